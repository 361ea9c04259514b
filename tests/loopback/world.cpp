#include "loopback/world.hpp"

#include <algorithm>
#include <utility>

namespace conat::test {

World::World(WorldOptions options, OnEffect on_effect)
    : options_(std::move(options)), on_effect_(std::move(on_effect)), random_(options_.seed) {
  start_broker();
}

void World::restart_broker() {
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    shards_[shard]->shut_down(now_);
    drain_broker(shard);
  }
  peers_.clear();
  start_broker();
}

void World::start_broker() {
  shards_.clear();
  for (ShardIndex shard = 0; shard < options_.shards; ++shard) {
    BrokerOptions broker = options_.broker;
    broker.shard = shard;
    broker.shard_count = options_.shards;
    shards_.push_back(std::make_unique<Broker>(broker, random_.fork()));
  }
}

std::size_t World::add_client(ClientOptions options, std::optional<PacketEncoding> encoding) {
  const PacketEncoding alternating =
      members_.size() % 2 == 0 ? PacketEncoding::msgpack : PacketEncoding::text;
  options.encoding = encoding.value_or(alternating);
  auto client = std::make_unique<Client>(std::move(options), random_.fork());
  Client* added = client.get();
  const std::size_t index =
      add_client(*added, [added](ClientEffect& effect) { return added->next(effect); });
  members_[index].owned = std::move(client);
  return index;
}

std::size_t World::add_client(Client& client, std::function<bool(ClientEffect&)> next) {
  Member member;
  member.client = &client;
  member.next = std::move(next);
  members_.push_back(std::move(member));
  return members_.size() - 1;
}

void World::run_for(std::int64_t ms) {
  run_until([] { return false; }, ms);
}

bool World::run_until(const std::function<bool()>& done, std::int64_t limit_ms) {
  const TimeMs end = now_ + limit_ms;
  drain();
  while (!done()) {
    const std::optional<TimeMs> next = next_time();
    if (!next || *next > end) {
      now_ = end;
      return done();
    }
    now_ = std::max(now_, *next);
    step();
  }
  return true;
}

void World::cut(std::size_t index) {
  Link* link = members_[index].link;
  if (link == nullptr) return;
  // A part of what is under way still arrives. Behind the ends pushed here nothing does (see
  // send()); each side notices when its end comes.
  const auto lose_tail = [&](std::deque<Parcel>& queue) {
    if (queue.empty()) return;
    queue.resize(random_.below(static_cast<std::uint32_t>(queue.size()) + 1));
  };
  lose_tail(link->up);
  lose_tail(link->down);
  link->up.push_back({link->up.empty() ? now_ : link->up.back().due, {}});
  link->down.push_back({link->down.empty() ? now_ : link->down.back().due, {}});
}

void World::set_unreachable(std::size_t index, bool unreachable) {
  members_[index].unreachable = unreachable;
}

std::optional<TimeMs> World::next_time() const {
  std::optional<TimeMs> next;
  for (const Member& member : members_) {
    next = earlier(next, member.client->deadline());
    next = earlier(next, member.connect_at);
  }
  for (const auto& shard : shards_) next = earlier(next, shard->deadline());
  for (const Link& link : links_) {
    if (link.broker_listens && !link.up.empty() && !link.paused)
      next = earlier(next, link.up.front().due);
    if (link.client_listens && !link.down.empty()) next = earlier(next, link.down.front().due);
  }
  if (!peers_.empty()) next = earlier(next, peers_.front().due);
  if (timers_.deadline) next = earlier(next, timers_.deadline());
  return next;
}

void World::step() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.connect_at && *member.connect_at <= now_) open(i);
    const std::optional<TimeMs> deadline = member.client->deadline();
    if (deadline && *deadline <= now_) member.client->on_time(now_);
  }
  for (auto& shard : shards_) {
    const std::optional<TimeMs> deadline = shard->deadline();
    if (deadline && *deadline <= now_) shard->on_time(now_);
  }
  if (timers_.deadline) {
    const std::optional<TimeMs> deadline = timers_.deadline();
    if (deadline && *deadline <= now_) timers_.on_time(now_);
  }
  drain();
  while (!peers_.empty() && peers_.front().due <= now_) {
    PeerParcel parcel = std::move(peers_.front());
    peers_.pop_front();
    shards_[parcel.to]->on_peer(now_, parcel.from, std::move(parcel.message));
    drain_broker(parcel.to);
  }
  for (auto link = links_.begin(); link != links_.end();) {
    deliver_up(*link);
    deliver_down(*link);
    const bool over = !link->client_listens && !link->broker_listens;
    link = over ? links_.erase(link) : std::next(link);
  }
  drain();
}

void World::drain() {
  for (std::size_t i = 0; i < members_.size(); ++i) drain_client(i);
  for (std::size_t i = 0; i < shards_.size(); ++i) drain_broker(i);
}

void World::drain_client(std::size_t index) {
  ClientEffect effect;
  while (members_[index].next(effect)) {
    Member& member = members_[index];
    if (std::holds_alternative<client_effect::OpenTransport>(effect)) {
      member.connect_at = arrival(now_);
    } else if (std::holds_alternative<client_effect::CloseTransport>(effect)) {
      member.connect_at.reset();
      if (member.link == nullptr) continue;
      send(member.link->up, {});
      member.link->client_listens = false;
      member.link->down.clear();
      member.link = nullptr;
    } else if (auto* sent = std::get_if<client_effect::SendMessages>(&effect)) {
      if (member.link == nullptr) continue;
      Bytes frames;
      for (const WireMessage& message : sent->messages) {
        append_masked_frame(frames,
                            message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                            message.payload, random_.next_u32());
      }
      send(member.link->up, std::move(frames));
    } else {
      on_effect_(index, effect);
    }
  }
}

void World::drain_broker(std::size_t shard) {
  BrokerEffect effect;
  while (shards_[shard]->next(effect)) {
    if (auto* sent = std::get_if<effect::Send>(&effect)) {
      shards_[shard]->on_written(now_, sent->connection, sent->bytes.size());
      Link* link = find(shard, sent->connection);
      if (link != nullptr && link->client_listens) {
        send(link->down, to_bytes(sent->bytes.view()));
      }
    } else if (auto* closed = std::get_if<effect::Close>(&effect)) {
      if (Link* link = find(shard, closed->connection)) {
        link->broker_listens = false;
        link->up.clear();
        if (!closed->flush) link->down.clear();
        send(link->down, {});
      }
    } else if (auto* pause = std::get_if<effect::PauseReading>(&effect)) {
      if (Link* link = find(shard, pause->connection)) link->paused = pause->paused;
    } else if (auto* peer = std::get_if<effect::ToPeer>(&effect)) {
      const TimeMs after = peers_.empty() ? now_ : peers_.back().due;
      peers_.push_back(
          {after, static_cast<ShardIndex>(shard), peer->shard, std::move(peer->message)});
    }
  }
}

void World::open(std::size_t index) {
  Member& member = members_[index];
  member.connect_at.reset();
  if (member.unreachable) {
    member.client->on_transport_closed(now_);
    return;
  }
  const std::size_t shard = random_.below(static_cast<std::uint32_t>(shards_.size()));
  Handshake handshake;
  handshake.address = "127.0.0.1";
  handshake.identity = Identity{};
  links_.push_back({});
  Link& link = links_.back();
  link.client = index;
  link.shard = shard;
  link.connection = shards_[shard]->open(now_, std::move(handshake));
  member.link = &link;
  member.client->on_transport_open(now_);
  drain_broker(shard);
}

void World::deliver_up(Link& link) {
  while (link.broker_listens && !link.paused && !link.up.empty() && link.up.front().due <= now_) {
    Parcel parcel = std::move(link.up.front());
    link.up.pop_front();
    if (parcel.bytes.empty()) {
      link.broker_listens = false;
      shards_[link.shard]->on_closed(now_, link.connection);
      link.up.clear();
    } else {
      shards_[link.shard]->on_bytes(now_, link.connection, parcel.bytes);
    }
    drain_broker(link.shard);
  }
}

void World::deliver_down(Link& link) {
  while (link.client_listens && !link.down.empty() && link.down.front().due <= now_) {
    Parcel parcel = std::move(link.down.front());
    link.down.pop_front();
    Client& client = *members_[link.client].client;
    const auto lost = [&] {
      link.client_listens = false;
      link.down.clear();
      members_[link.client].link = nullptr;
      client.on_transport_closed(now_);
    };
    if (parcel.bytes.empty()) {
      lost();
    } else {
      link.reader.feed(parcel.bytes);
      bool more = true;
      while (more && link.client_listens) {
        switch (link.reader.next()) {
          case WebSocketReader::Step::message:
            client.on_transport_message(now_, link.reader.binary(), link.reader.payload());
            drain_client(link.client);
            break;
          case WebSocketReader::Step::close:
          case WebSocketReader::Step::error:
            if (link.broker_listens) send(link.up, {});
            lost();
            break;
          case WebSocketReader::Step::need_more:
            more = false;
            break;
          default:
            break;
        }
      }
    }
    drain_client(link.client);
  }
}

// Cuts the bytes into a few pieces that arrive one after the other.
void World::send(std::deque<Parcel>& queue, Bytes bytes) {
  // Behind the end nothing arrives.
  if (!queue.empty() && queue.back().bytes.empty()) return;
  TimeMs due = queue.empty() ? now_ : queue.back().due;
  if (bytes.empty()) {
    queue.push_back({arrival(due), {}});
    return;
  }
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    const std::size_t left = bytes.size() - offset;
    const std::size_t size =
        random_.below(4) == 0 ? 1 + random_.below(static_cast<std::uint32_t>(left)) : left;
    due = arrival(due);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    queue.push_back({due, Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))});
    offset += size;
  }
}

World::Link* World::find(std::size_t shard, ConnectionId connection) {
  for (Link& link : links_) {
    if (link.broker_listens && link.shard == shard && link.connection == connection) return &link;
  }
  return nullptr;
}

TimeMs World::arrival(TimeMs not_before) {
  const auto bound = static_cast<std::uint32_t>(options_.max_latency_ms) + 1;
  return std::max(not_before, now_ + static_cast<std::int64_t>(random_.below(bound)));
}

}  // namespace conat::test
