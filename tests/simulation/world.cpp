#include "simulation/world.hpp"

#include <algorithm>
#include <utility>

namespace conat::simulation {

World::World(WorldOptions options, OnEffect on_effect, OnTrace on_trace)
    : options_(options),
      on_effect_(std::move(on_effect)),
      on_trace_(std::move(on_trace)),
      random_(options.seed),
      disk_(random_.fork(), options.max_disk_delay_ms) {
  nodes_.emplace_back();
  start_broker();
  start_host();
}

std::optional<TimeMs> World::Node::deadline() const {
  std::optional<TimeMs> due;
  if (fabric) due = fabric->deadline();
  if (host) due = host->deadline();
  return due ? std::optional<TimeMs>(*due - ahead_ms) : std::nullopt;
}

void World::Node::on_time(TimeMs now) {
  if (fabric) fabric->on_time(now + ahead_ms);
  if (host) host->on_time(now + ahead_ms);
}

void World::trace(const std::string& line) {
  if (on_trace_) on_trace_(std::to_string(now_) + " " + line);
}

std::size_t World::add_client(ClientOptions options) {
  nodes_.emplace_back();
  nodes_.back().fabric = std::make_unique<Fabric>(std::move(options), random_.fork());
  nodes_.back().fabric->client().connect(now_);
  return nodes_.size() - 2;
}

void World::start_broker() {
  broker_at_.reset();
  for (ShardIndex shard = 0; shard < options_.shards; ++shard) {
    BrokerOptions broker;
    broker.shard = shard;
    broker.shard_count = options_.shards;
    shards_.push_back(std::make_unique<Broker>(broker, random_.fork()));
  }
}

void World::start_host() {
  host_at_.reset();
  ClientOptions options;
  options.encoding = PacketEncoding::msgpack;
  if (options_.host_in_broker) {
    options.reconnection_delay_ms = 10;
    options.reconnection_delay_max_ms = 100;
  }
  nodes_[0].host = std::make_unique<PersistHost>(PersistServerOptions{}, options, random_.fork());
  nodes_[0].host->start(now_ + nodes_[0].ahead_ms);
}

// ---- time ----

void World::run_for(std::int64_t ms) {
  const TimeMs end = now_ + ms;
  drain();
  while (true) {
    const std::optional<TimeMs> next = next_time();
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    step();
  }
  now_ = end;
}

std::optional<TimeMs> World::next_time() const {
  std::optional<TimeMs> next = earlier(earlier(broker_at_, host_at_), disk_.deadline());
  for (const Node& node : nodes_) next = earlier(next, earlier(node.deadline(), node.connect_at));
  for (const auto& shard : shards_) next = earlier(next, shard->deadline());
  for (const Link& link : links_) {
    const bool up = link.broker_listens && !link.up.empty() && !link.paused;
    const bool down = link.client_listens && !link.down.empty();
    if (up) next = earlier(next, std::max(link.frozen_until, link.up.front().due));
    if (down) next = earlier(next, std::max(link.frozen_until, link.down.front().due));
  }
  if (!peers_.empty()) next = earlier(next, peers_.front().due);
  return next;
}

void World::step() {
  ++events_;
  if (broker_at_ && *broker_at_ <= now_) start_broker();
  if (host_at_ && *host_at_ <= now_) start_host();
  disk_.step(now_);
  StorageResult result;
  while (disk_.next_result(now_, result)) {
    if (nodes_[0].host) nodes_[0].host->on_storage(clock(host), std::move(result));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.connect_at && *node.connect_at <= now_) open(i);
    const std::optional<TimeMs> deadline = node.deadline();
    if (deadline && *deadline <= now_) node.on_time(now_);
  }
  for (auto& shard : shards_) {
    const std::optional<TimeMs> deadline = shard->deadline();
    if (deadline && *deadline <= now_) shard->on_time(now_);
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
  for (std::size_t i = 0; i < nodes_.size(); ++i) drain_node(i);
  for (std::size_t i = 0; i < shards_.size(); ++i) drain_broker(i);
}

// ---- nodes ----

void World::drain_node(std::size_t index) {
  if (index == 0) {
    drain_host();
  } else {
    drain_fabric(index);
  }
}

void World::drain_fabric(std::size_t index) {
  FabricEffect effect;
  while (nodes_[index].fabric && nodes_[index].fabric->next(clock(index - 1), effect)) {
    auto* work = std::get_if<ClientEffect>(&effect);
    if (work == nullptr || !carry_out(index, *work)) on_effect_(index - 1, effect);
  }
}

void World::drain_host() {
  PersistHostEffect effect;
  while (nodes_[0].host && nodes_[0].host->next(clock(host), effect)) {
    if (auto* work = std::get_if<ClientEffect>(&effect)) {
      carry_out(0, *work);
      continue;
    }
    auto& storage = std::get<PersistEffect>(effect);
    if (auto* opening = std::get_if<persist_effect::OpenStream>(&storage)) {
      disk_.open(now_, *opening);
    } else if (auto* submit = std::get_if<persist_effect::Submit>(&storage)) {
      disk_.submit(now_, std::move(*submit));
    } else if (auto* closing = std::get_if<persist_effect::CloseStream>(&storage)) {
      disk_.close(*closing);
    }
  }
}

// True when it was the transport's work.
bool World::carry_out(std::size_t index, ClientEffect& effect) {
  Node& node = nodes_[index];
  if (std::holds_alternative<client_effect::OpenTransport>(effect)) {
    const bool near = index == 0 && options_.host_in_broker;
    node.connect_at = near ? now_ : now_ + static_cast<TimeMs>(random_.below(20));
    return true;
  }
  if (std::holds_alternative<client_effect::CloseTransport>(effect)) {
    node.connect_at.reset();
    drop_link(node);
    return true;
  }
  auto* sent = std::get_if<client_effect::SendMessages>(&effect);
  if (sent == nullptr) return false;
  if (node.link == nullptr) return true;
  Bytes frames;
  for (const WireMessage& message : sent->messages) {
    append_masked_frame(frames, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                        message.payload, random_.next_u32());
  }
  send(*node.link, node.link->up, std::move(frames));
  return true;
}

// The node leaves its link; the broker learns of it when the end arrives.
void World::drop_link(Node& node) {
  if (node.link == nullptr) return;
  send(*node.link, node.link->up, {});
  node.link->client_listens = false;
  node.link->down.clear();
  node.link = nullptr;
}

void World::open(std::size_t index) {
  Node& node = nodes_[index];
  node.connect_at.reset();
  if (node.unreachable || shards_.empty()) {
    node.on_transport_closed(now_);
    return;
  }
  const std::size_t shard = random_.below(static_cast<std::uint32_t>(shards_.size()));
  links_.emplace_back();
  Link& link = links_.back();
  link.node = index;
  link.shard = shard;
  const bool near = index == 0 && options_.host_in_broker;
  link.latency_ms = near ? 0
                         : static_cast<std::int64_t>(random_.below(
                               static_cast<std::uint32_t>(options_.max_latency_ms) + 1));
  Handshake handshake;
  handshake.address = "127.0.0.1";
  handshake.identity = Identity{};
  handshake.in_process = near;
  link.connection = shards_[shard]->open(now_, std::move(handshake));
  node.link = &link;
  node.client().on_transport_open(now_ + node.ahead_ms);
  drain_broker(shard);
}

// ---- the broker ----

void World::drain_broker(std::size_t shard) {
  BrokerEffect effect;
  while (shards_[shard]->next(effect)) {
    if (auto* sent = std::get_if<effect::Send>(&effect)) {
      Link* link = find(shard, sent->connection);
      if (link != nullptr && link->client_listens) {
        send(*link, link->down, to_bytes(sent->bytes.view()));
      } else {
        shards_[shard]->on_written(now_, sent->connection, sent->bytes.size());
      }
    } else if (auto* closed = std::get_if<effect::Close>(&effect)) {
      Link* link = find(shard, closed->connection);
      if (link == nullptr) continue;
      link->broker_listens = false;
      link->up.clear();
      if (!closed->flush) link->down.clear();
      send(*link, link->down, {});
    } else if (auto* pause = std::get_if<effect::PauseReading>(&effect)) {
      if (Link* link = find(shard, pause->connection)) link->paused = pause->paused;
    } else if (auto* peer = std::get_if<effect::ToPeer>(&effect)) {
      const TimeMs after = peers_.empty() ? now_ : peers_.back().due;
      peers_.push_back({std::max(after, now_ + static_cast<TimeMs>(random_.below(3))),
                        static_cast<ShardIndex>(shard), peer->shard, std::move(peer->message)});
    }
  }
}

World::Link* World::find(std::size_t shard, ConnectionId connection) {
  for (Link& link : links_) {
    if (link.shard == shard && link.connection == connection && link.broker_listens) return &link;
  }
  return nullptr;
}

// ---- links ----

void World::deliver_up(Link& link) {
  while (link.broker_listens && !link.paused && !link.up.empty() && link.up.front().due <= now_ &&
         link.frozen_until <= now_) {
    Parcel parcel = std::move(link.up.front());
    link.up.pop_front();
    if (parcel.bytes.empty()) {
      link.broker_listens = false;
      link.up.clear();
      shards_[link.shard]->on_closed(now_, link.connection);
    } else {
      shards_[link.shard]->on_bytes(now_, link.connection, parcel.bytes);
    }
    drain_broker(link.shard);
  }
}

void World::client_lost(Link& link) {
  link.client_listens = false;
  link.down.clear();
  nodes_[link.node].link = nullptr;
  nodes_[link.node].on_transport_closed(now_);
}

void World::deliver_down(Link& link) {
  while (link.client_listens && !link.down.empty() && link.down.front().due <= now_ &&
         link.frozen_until <= now_) {
    Parcel parcel = std::move(link.down.front());
    link.down.pop_front();
    if (parcel.bytes.empty()) {
      client_lost(link);
    } else {
      if (link.broker_listens) {
        shards_[link.shard]->on_written(now_, link.connection, parcel.bytes.size());
      }
      read_frames(link, parcel.bytes);
    }
    drain_node(link.node);
  }
}

void World::read_frames(Link& link, Bytes& bytes) {
  link.reader.feed(bytes);
  while (link.client_listens) {
    switch (link.reader.next()) {
      case WebSocketReader::Step::message:
        nodes_[link.node].client().on_transport_message(
            now_ + nodes_[link.node].ahead_ms, link.reader.binary(), link.reader.payload());
        drain_node(link.node);
        break;
      case WebSocketReader::Step::close:
      case WebSocketReader::Step::error:
        if (link.broker_listens) send(link, link.up, {});
        client_lost(link);
        return;
      case WebSocketReader::Step::need_more:
        return;
      default:
        break;
    }
  }
}

// Cuts the bytes into a few pieces that arrive one after the other.
void World::send(Link& link, std::deque<Parcel>& queue, Bytes bytes) {
  // Behind the end nothing arrives.
  if (!queue.empty() && queue.back().bytes.empty()) return;
  TimeMs due = queue.empty() ? now_ : queue.back().due;
  if (bytes.empty()) {
    queue.push_back({arrival(link, due), {}});
    return;
  }
  if (bytes.size() > 8 && random_.below(8) == 0) {
    const std::size_t first = 1 + random_.below(static_cast<std::uint32_t>(bytes.size() - 1));
    const auto middle = bytes.begin() + static_cast<std::ptrdiff_t>(first);
    due = arrival(link, due);
    queue.push_back({due, Bytes(bytes.begin(), middle)});
    bytes.erase(bytes.begin(), middle);
  }
  queue.push_back({arrival(link, due), std::move(bytes)});
}

TimeMs World::arrival(const Link& link, TimeMs not_before) {
  if (link.latency_ms == 0) return std::max(not_before, now_);
  std::int64_t latency = link.latency_ms;
  latency += static_cast<std::int64_t>(random_.below(static_cast<std::uint32_t>(latency) + 1));
  if (random_.below(200) == 0) latency += static_cast<std::int64_t>(random_.below(1000));
  return std::max(not_before, now_ + latency);
}

// ---- troubles ----

void World::cut(std::size_t client) {
  Link* link = nodes_[node_of(client)].link;
  if (link == nullptr) return;
  trace("cut " + std::to_string(node_of(client)));
  // A part of what is under way still arrives; each side notices when its end comes.
  const auto lose_tail = [&](std::deque<Parcel>& queue) {
    if (!queue.empty()) queue.resize(random_.below(static_cast<std::uint32_t>(queue.size()) + 1));
    if (!queue.empty() && queue.back().bytes.empty()) return;
    queue.push_back({queue.empty() ? now_ : queue.back().due, {}});
  };
  lose_tail(link->up);
  lose_tail(link->down);
}

void World::freeze(std::size_t client, std::int64_t ms) {
  Link* link = nodes_[node_of(client)].link;
  if (link == nullptr) return;
  trace("freeze " + std::to_string(node_of(client)) + " for " + std::to_string(ms));
  link->frozen_until = std::max(link->frozen_until, now_ + ms);
}

void World::set_unreachable(std::size_t client, bool unreachable) {
  trace((unreachable ? "unreachable " : "reachable ") + std::to_string(node_of(client)));
  nodes_[node_of(client)].unreachable = unreachable;
}

void World::crash_client(std::size_t client) {
  trace("crash of client " + std::to_string(client));
  Node& node = nodes_[node_of(client)];
  drop_link(node);
  node.connect_at.reset();
  node.fabric.reset();
}

void World::advance_clock(std::size_t client, std::int64_t ms) {
  trace("the clock of " + std::to_string(node_of(client)) + " advances by " + std::to_string(ms));
  nodes_[node_of(client)].ahead_ms += ms;
}

void World::crash_host(std::int64_t down_ms) {
  if (!nodes_[0].host) return;
  trace("crash of the persistence server for " + std::to_string(down_ms));
  drop_link(nodes_[0]);
  nodes_[0].host.reset();
  nodes_[0].connect_at.reset();
  disk_.crash();
  host_at_ = now_ + down_ms;
}

void World::crash_broker(std::int64_t down_ms) {
  if (shards_.empty()) return;
  if (options_.host_in_broker) crash_host(down_ms);
  trace("crash of the broker for " + std::to_string(down_ms));
  shards_.clear();
  peers_.clear();
  drop_links();
  broker_at_ = now_ + down_ms;
  if (host_at_) host_at_ = std::max(*host_at_, *broker_at_);
}

// The clients notice as far as their links still carry anything.
void World::drop_links() {
  for (Link& link : links_) {
    link.broker_listens = false;
    link.up.clear();
    if (link.client_listens) send(link, link.down, {});
  }
}

void World::heal() {
  trace("heal");
  for (Node& node : nodes_) node.unreachable = false;
  if (broker_at_) broker_at_ = now_;
  if (host_at_) host_at_ = now_;
  for (Link& link : links_) {
    // A dead link stays dead, a frozen one moves.
    if (link.frozen_until < now_ + 100'000'000) link.frozen_until = 0;
  }
}

}  // namespace conat::simulation
