#include "broker/links.hpp"

#include <algorithm>
#include <utility>

#include "broker/shard.hpp"

namespace conat::server {
namespace {

Error failure(std::string text) { return Error(ErrorCode{}, std::move(text)); }

void answer(std::vector<Links::Done>& waiting, const Status& status) {
  for (const Links::Done& done : std::exchange(waiting, {})) done(status);
}

}  // namespace

struct Links::Entry {
  Entry(LinkOptions options, Random random, net::asio::io_context& context)
      : link(std::move(options), std::move(random)), timer(context) {}

  std::string url;
  native::ServerAddress target;
  std::shared_ptr<LinkMail> mail;
  Link link;
  std::shared_ptr<native::Transport> transport;
  net::Timer timer;
  std::vector<std::vector<PeerMessage>> outboxes;  // by shard
  std::vector<Done> joins;                         // wait for it to be up
  std::vector<Done> unjoins;
  std::string last_reason;     // why it was down, as the log has it
  bool takes_storage = false;  // of the other broker
  bool keep = false;           // also when it was never up
  bool was_up = false;
  bool leaving = false;
  bool armed = false;  // the timer
};

Links::Links(Common& common, Random random)
    : common_(common), random_(std::move(random)), work_(net::asio::make_work_guard(context_)) {}

Links::~Links() {
  context_.stop();
  if (thread_.joinable()) thread_.join();
  for (const EntryPointer& entry : entries_) entry->transport.reset();  // they name each other
}

// ---- calls from other threads ----

void Links::run_here(std::function<void()> task) {
  std::call_once(started_, [this] {
    thread_ = std::thread([this] { context_.run(); });
    running_ = true;
  });
  net::asio::post(context_, [this, task = std::move(task)] {
    if (!stopped_) task();
  });
}

void Links::join(std::string address, bool keep, Done done) {
  run_here([this, address = std::move(address), keep, done = std::move(done)]() mutable {
    do_join(address, keep, std::move(done));
  });
}

void Links::unjoin(std::string cluster, std::string id, Done done) {
  run_here([this, cluster = std::move(cluster), id = std::move(id),
            done = std::move(done)]() mutable { do_unjoin(cluster, id, std::move(done)); });
}

void Links::receive(ShardIndex link, ShardIndex from) {
  net::asio::post(context_, [this, link, from] { do_receive(link, from); });
}

std::vector<JoinedBroker> Links::brokers() const {
  const std::lock_guard lock(mutex_);
  return brokers_;
}

void Links::collect_metrics(std::function<void(const LinkMetrics&)> done) {
  if (!running_) return done({});  // nothing was ever joined
  run_here([this, done = std::move(done)] {
    LinkMetrics metrics;
    metrics.counters = ended_;
    for (const EntryPointer& entry : entries_) {
      metrics.up += entry->link.up() ? 1 : 0;
      metrics.groups += entry->link.groups();
      metrics.unsent_bytes += entry->link.unsent_bytes();
      metrics.counters += entry->link.counters();
    }
    done(metrics);
  });
}

void Links::stop() {
  net::asio::post(context_, [this] {
    stopped_ = true;
    for (const EntryPointer& entry : entries_) {
      entry->timer.cancel();
      if (entry->transport) entry->transport->close();
    }
  });
}

// ---- on the links' thread ----

void Links::do_join(const std::string& address, bool keep, Done done) {
  Result<native::ServerAddress> target = native::parse_server_address(address);
  if (!target) return done(failure("cannot join '" + address + "': " + target.error().text));
  const std::string url = target->url();
  for (const EntryPointer& entry : entries_) {
    if (entry->url != url || entry->leaving) continue;
    if (entry->link.up()) return done(Nothing{});
    entry->joins.push_back(std::move(done));
    entry->link.hurry(net::Loop::now());
    return drain(entry);
  }
  if (entries_.size() >= max_links) {
    return done(Error(ErrorCode{429, ""}, "this broker has joined " + std::to_string(max_links) +
                                              " others already, and cannot join more"));
  }
  add(url, std::move(*target), keep, std::move(done));
}

ShardIndex Links::free_index() const {
  auto index = static_cast<ShardIndex>(common_.shards.size());
  while (find(index) != nullptr) ++index;
  return index;
}

Links::EntryPointer Links::find(ShardIndex link) const {
  for (const EntryPointer& entry : entries_) {
    if (entry->mail->link == link) return entry;
  }
  return nullptr;
}

void Links::add(const std::string& url, native::ServerAddress target, bool keep, Done done) {
  const std::size_t shards = common_.shards.size();
  LinkOptions options;
  options.id = common_.options.id;
  options.cluster_name = common_.options.cluster_name;
  options.index = free_index();
  options.shard_count = static_cast<ShardIndex>(shards);
  options.max_queue_bytes = common_.options.max_queue_bytes;
  // Streams must not be split between two stores: there is one, this broker's own or that of the
  // first broker that was joined.
  options.takes_storage =
      common_.options.no_persist &&
      std::none_of(entries_.begin(), entries_.end(),
                   [](const EntryPointer& other) { return other->takes_storage; });
  const auto entry = std::make_shared<Entry>(options, random_.fork(), context_);
  entry->url = url;
  entry->target = std::move(target);
  entry->mail = std::make_shared<LinkMail>(options.index, shards);
  entry->outboxes.resize(shards);
  entry->takes_storage = options.takes_storage;
  entry->keep = keep;
  entry->joins.push_back(std::move(done));
  entries_.push_back(entry);
  for (const auto& shard : common_.shards) {
    shard->post([&shard = *shard, mail = entry->mail] { shard.add_link(mail); });
  }
  entry->link.start(net::Loop::now());
  drain(entry);
}

void Links::do_unjoin(const std::string& cluster, const std::string& id, Done done) {
  for (const EntryPointer& entry : entries_) {
    if (!entry->was_up || entry->leaving || entry->link.broker_id() != id ||
        entry->link.broker_cluster() != cluster) {
      continue;
    }
    log_line(LogLevel::info, "left a broker",
             {{"address", entry->url}, {"cluster", cluster}, {"id", id}});
    entry->unjoins.push_back(std::move(done));
    leave(entry);
    return drain(entry);
  }
  done(Error(ErrorCode{404, ""},
             "no broker with the id '" + id + "' in the cluster '" + cluster + "' is joined"));
}

void Links::leave(const EntryPointer& entry) {
  entry->leaving = true;
  entry->takes_storage = false;
  answer(entry->joins, failure("the broker at " + entry->url + " was left"));
  entry->link.stop(net::Loop::now());
  brokers_changed();
}

void Links::do_receive(ShardIndex link, ShardIndex from) {
  const EntryPointer entry = find(link);
  if (entry == nullptr) return;
  Shard& sender = *common_.shards[from];
  const auto result = entry->mail->to_link[from].take(inbox_);
  if (result.sender_waits) sender.post([&sender, link] { sender.mailbox_emptied(link); });
  const TimeMs now = net::Loop::now();
  for (PeerMessage& message : inbox_) {
    if (stopped_) break;
    entry->link.on_shard(now, from, std::move(message));
    drain(entry);
  }
  inbox_.clear();
}

// ---- a link and its transport ----

void Links::open_transport(const EntryPointer& entry) {
  native::TransportOptions options;
  options.address = entry->target;
  options.headers.emplace_back("Cookie", "sys=" + common_.options.system_password);
  native::TransportHandlers handlers;
  handlers.opened = [this, entry] {
    entry->link.on_open(net::Loop::now());
    drain(entry);
  };
  handlers.message = [this, entry](bool binary, ByteView message) {
    entry->link.on_message(net::Loop::now(), binary, message);
    drain(entry);
  };
  handlers.closed = [this, entry](const std::string& reason) {
    entry->transport.reset();
    entry->link.on_closed(net::Loop::now(), reason);
    drain(entry);
  };
  handlers.written = [this, entry] {
    if (!entry->transport) return;
    entry->link.on_written(net::Loop::now(), entry->transport->unsent_bytes(),
                           entry->transport->traffic().written);
    drain(entry);
  };
  entry->transport =
      native::Transport::open(context_, std::move(options), std::move(handlers), random_.fork());
}

void Links::drain(const EntryPointer& entry) {
  LinkEffect effect;
  while (!stopped_ && entry->link.next(effect)) carry_out(entry, effect);
  send_mail(*entry);
  arm_timer(entry);
}

void Links::carry_out(const EntryPointer& entry, LinkEffect& effect) {
  if (const auto* sending = std::get_if<link_effect::Send>(&effect)) {
    if (entry->transport) entry->transport->send(sending->messages);
  } else if (auto* mail = std::get_if<link_effect::ToShard>(&effect)) {
    entry->outboxes[mail->shard].push_back(std::move(mail->message));
  } else if (std::holds_alternative<link_effect::Open>(effect)) {
    open_transport(entry);
  } else if (std::holds_alternative<link_effect::Close>(effect)) {
    if (entry->transport) std::exchange(entry->transport, nullptr)->close();
  } else if (std::holds_alternative<link_effect::Identified>(effect)) {
    on_identified(entry);
  } else if (std::holds_alternative<link_effect::Up>(effect)) {
    on_up(entry);
  } else if (const auto* down = std::get_if<link_effect::Down>(&effect)) {
    on_down(entry, *down);
  } else if (std::holds_alternative<link_effect::Gone>(effect)) {
    on_gone(entry);
  }
}

// The same broker may be known by another address: one that it answers at is enough.
void Links::on_identified(const EntryPointer& entry) {
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const EntryPointer& other) {
    return other != entry && other->was_up && !other->leaving &&
           other->link.broker_id() == entry->link.broker_id() &&
           other->link.broker_cluster() == entry->link.broker_cluster();
  });
  if (same == entries_.end()) return entry->link.accept(net::Loop::now());
  const EntryPointer other = *same;
  if (other->link.up()) {
    answer(entry->joins, Nothing{});
    return leave(entry);
  }
  leave(other);
  drain(other);
  entry->link.accept(net::Loop::now());
}

void Links::on_up(const EntryPointer& entry) {
  entry->was_up = true;
  entry->last_reason.clear();
  log_line(LogLevel::info, "linked with a broker",
           {{"address", entry->url},
            {"cluster", entry->link.broker_cluster()},
            {"id", entry->link.broker_id()},
            {"groups", static_cast<std::uint64_t>(entry->link.groups())}});
  brokers_changed();
  answer(entry->joins, Nothing{});
}

void Links::on_down(const EntryPointer& entry, const link_effect::Down& down) {
  entry->transport.reset();
  if (entry->leaving) return;
  // Of attempts that fail for the same reason only the first is told.
  if (down.was_up || entry->last_reason != down.reason) {
    entry->last_reason = down.reason;
    log_line(LogLevel::warning, down.was_up ? "link to a broker lost" : "cannot link with a broker",
             {{"address", entry->url}, {"reason", down.reason}});
  }
  if (!down.was_up) {
    answer(entry->joins, failure("cannot join " + entry->url + ": " + down.reason));
  }
  if (!entry->was_up && !entry->keep) leave(entry);
}

void Links::on_gone(const EntryPointer& entry) {
  entry->timer.cancel();
  const ShardIndex link = entry->mail->link;
  for (const auto& shard : common_.shards) {
    shard->post([&shard = *shard, link] { shard.remove_link(link); });
  }
  ended_ += entry->link.counters();
  std::erase(entries_, entry);
  answer(entry->unjoins, Nothing{});
}

void Links::send_mail(Entry& entry) {
  for (ShardIndex to = 0; to < entry.outboxes.size(); ++to) {
    if (entry.outboxes[to].empty()) continue;
    // Its bound is never reached: the other broker sends little that is not confirmed.
    if (entry.mail->to_shard[to].put(entry.outboxes[to]).wake_receiver) {
      Shard& shard = *common_.shards[to];
      shard.post([&shard, mail = entry.mail] { shard.receive_link_mail(*mail); });
    }
  }
}

void Links::arm_timer(const EntryPointer& entry) {
  const auto due = entry->link.deadline();
  if (!due || stopped_) {
    entry->armed = false;
    entry->timer.cancel();
    return;
  }
  const std::chrono::steady_clock::time_point at{std::chrono::milliseconds(*due)};
  if (entry->timer.expiry() == at && entry->armed) return;
  entry->armed = true;
  entry->timer.expires_at(at);
  entry->timer.async_wait([this, entry](net::error_code error) {
    if (error || stopped_) return;
    entry->armed = false;
    entry->link.on_time(net::Loop::now());
    drain(entry);
  });
}

void Links::brokers_changed() {
  std::vector<JoinedBroker> brokers;
  for (const EntryPointer& entry : entries_) {
    if (!entry->was_up || entry->leaving) continue;
    brokers.push_back({entry->link.broker_cluster(), entry->link.broker_id(), entry->url});
  }
  for (const auto& shard : common_.shards) {
    shard->post([&shard = *shard, brokers] { shard.set_joined_brokers(brokers); });
  }
  const std::lock_guard lock(mutex_);
  brokers_ = std::move(brokers);
}

}  // namespace conat::server
