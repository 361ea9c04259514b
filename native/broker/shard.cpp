#include "broker/shard.hpp"

#include <utility>

namespace conat::server {
namespace {

// How long a closed connection may take to read the rest and close its end.
constexpr TimeMs usual_linger_ms = 5000;
constexpr TimeMs shutdown_linger_ms = 1000;

// A close frame by itself, as the last thing sent.
bool is_close_frame(const SharedBytes& bytes) {
  return bytes.size() >= 2 && bytes.size() <= 127 && bytes.data()[0] == 0x88;
}

std::string address_of(const Options& options, std::uint16_t port) {
  const std::string scheme = options.tls() ? "https" : "http";
  return scheme + "://localhost:" + std::to_string(port) + options.base_path;
}

}  // namespace

Shard::Shard(Common& common, ShardIndex index)
    : common_(common),
      index_(index),
      listener_(loop_),
      routes_(common.options.base_path, common.files, make_hooks()),
      http_(loop_,
            net::HttpServer::Options{.timeout_ms = common.options.handshake_timeout_ms,
                                     .compression = common.options.compression},
            routes_),
      sign_ins_(
          *common.authenticator, common.origins, common.options.token_cookies,
          [this](std::function<void()> task) { loop_.post(std::move(task)); },
          [this](const SignIns::Question& question, const auth::Outcome& outcome) {
            on_identified(question, outcome);
          }),
      timer_(loop_.context()),
      linger_ms_(usual_linger_ms) {
  routes_.set_server(http_);
  loop_.set_turn_end([this] { end_turn(); });
}

Shard::~Shard() = default;

net::error_code Shard::listen(const net::asio::ip::tcp::endpoint& endpoint) {
  return listener_.open(endpoint);
}

void Shard::prepare(Random random, storage::StorageEngine* storage) {
  const Options& options = common_.options;
  BrokerOptions broker;
  broker.id = options.id;
  broker.cluster_name = options.cluster_name;
  broker.address = address_of(options, port());
  broker.shard = index_;
  broker.shard_count = static_cast<ShardIndex>(common_.shards.size());
  broker.max_payload_bytes = options.max_payload_bytes;
  broker.max_subscriptions_per_client = options.max_subscriptions_per_client;
  broker.max_subscriptions_per_hub = options.max_subscriptions_per_hub;
  broker.max_queue_bytes = options.max_queue_bytes;
  broker.rate_limits = {options.max_messages_per_second, options.max_bytes_per_second,
                        options.rate_burst_ms};
  broker.ping_interval_ms = options.ping_interval_ms;
  broker.ping_timeout_ms = options.ping_timeout_ms;
  broker.connect_timeout_ms = options.connect_timeout_ms;
  broker.rules = options.rules;
  broker_.emplace(std::move(broker), random.fork());
  outboxes_.resize(common_.shards.size());
  if (index_ == 0) prepare_own_clients(random, storage);
}

void Shard::prepare_own_clients(Random& random, storage::StorageEngine* storage) {
  const Options& options = common_.options;
  if (storage != nullptr) {
    PersistServerOptions persist;
    persist.server_id = options.id;
    persistence_.emplace(*broker_, *storage, std::move(persist), random.fork());
    own_clients_.push_back(&*persistence_);
  }
  if (options.has_system_account()) {
    SystemServiceOptions system;
    system.id = options.id;
    system.cluster_name = options.cluster_or_default();
    system.address = address_of(options, port());
    SystemService::Hooks hooks;
    hooks.describe = [this](auto done) { describe_connections(std::move(done)); };
    hooks.join = [this](std::string address, SystemService::Done done) {
      common_.links->join(std::move(address), false, on_this_shard(std::move(done)));
    };
    hooks.unjoin = [this](std::string cluster, std::string id, SystemService::Done done) {
      common_.links->unjoin(std::move(cluster), std::move(id), on_this_shard(std::move(done)));
    };
    hooks.joined = [this] { return common_.links->brokers(); };
    hooks.disconnect = [this](std::vector<std::string> ids, std::function<void()> done) {
      disconnect(std::move(ids), std::move(done));
    };
    system_service_.emplace(*broker_, common_.admission, std::move(system), std::move(hooks),
                            random.fork());
    own_clients_.push_back(&*system_service_);
  }
}

// What comes on another thread, handled on this one.
std::function<void(const Status&)> Shard::on_this_shard(std::function<void(const Status&)> done) {
  return [this, done = std::move(done)](const Status& status) {
    loop_.post([this, done, status] {
      done(status);
      loop_.request_turn_end();
    });
  };
}

void Shard::run() {
  listener_.start([this](net::Socket socket) { accept(std::move(socket)); });
  for (InProcessClient* client : own_clients_) client->start(net::Loop::now());
  loop_.request_turn_end();
  loop_.run();
}

// ---- connections ----

Routes::Hooks Shard::make_hooks() {
  Routes::Hooks hooks;
  hooks.ready = [this] { return common_.ready.load(std::memory_order_relaxed); };
  // Those beyond the limit are told so and closed; far beyond it they are not even let in.
  hooks.may_open = [this] {
    const std::size_t limit = common_.options.max_connections;
    return common_.connections.load(std::memory_order_relaxed) < limit + limit / 10 + 100;
  };
  hooks.within_rate = [this](net::HttpConnectionId id) {
    if (common_.options.connection_rate <= 0) return true;
    if (common_.address_limiter.may_open(net::Loop::now(), http_.peer(id))) return true;
    ++refused_by_rate_;
    return false;
  };
  hooks.retry_after_s = common_.address_limiter.retry_after_s();
  hooks.allows_origin = [this](const net::HttpRequest& request) {
    return sign_ins_.allows_origin(request, common_.options.tls());
  };
  hooks.open = [this](net::UpgradedStream upgraded, const net::HttpRequest& request) {
    open(std::move(upgraded), request);
  };
  hooks.metrics = [this](std::function<void(std::string)> done) {
    collect_metrics(std::move(done));
  };
  return hooks;
}

void Shard::accept(net::Socket socket) {
  if (common_.options.connection_rate > 0) {
    net::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error || !common_.address_limiter.may_connect(net::Loop::now(), peer.address())) {
      ++dropped_by_rate_;
      return;
    }
  }
  std::unique_ptr<net::TlsChannel> tls;
  if (const auto context = common_.certificates.current()) {
    tls = std::make_unique<net::TlsChannel>(*context);
  }
  http_.add(std::move(socket), std::move(tls));
}

void Shard::open(net::UpgradedStream upgraded, const net::HttpRequest& request) {
  net::Stream& stream = *upgraded.stream;
  common_.connections.fetch_add(1, std::memory_order_relaxed);
  Handshake handshake;
  handshake.address = stream.address();
  Admission::Ticket ticket;
  handshake.identity = sign_ins_.known_identity();
  if (handshake.identity) {
    handshake.identity = admit(stream.address(), std::move(*handshake.identity), ticket);
  }
  const TimeMs now = net::Loop::now();
  const ConnectionId id = broker_->open(now, std::move(handshake));
  tickets_.emplace(id, std::move(ticket));
  stream.set_owner(*this, id);
  sign_ins_.opened(id, request, stream.address(), stream.is_tls());
  if (upgraded.deflate) {
    stream.set_filter(std::make_unique<net::CompressionFilter>(
        compression_, upgraded.deflate->window_bits, broker_->max_message_bytes(id)));
  }
  connections_.insert(id, std::move(upgraded.stream));
  if (!upgraded.rest.empty()) {
    auto* bytes = reinterpret_cast<std::uint8_t*>(upgraded.rest.data());
    read_bytes(stream, {bytes, upgraded.rest.size()});
  }
  drain_broker();
  loop_.request_turn_end();
}

// Counts a connection whose user is known, or turns it away: then the identity is the refusal.
Identity Shard::admit(const std::string& address, Identity identity, Admission::Ticket& ticket) {
  if (identity.refused()) {
    log_refusal(LogLevel::info, "sign-in refused", address, Value(), identity.user);
    return identity;
  }
  Admission::Verdict verdict = common_.admission.admit(identity.user);
  if (verdict.ticket) {
    ticket = std::move(*verdict.ticket);
    return identity;
  }
  ++over_limit_;
  log_refusal(LogLevel::warning, "too many connections", address, identity.user, verdict.refusal);
  return Identity{std::move(verdict.refusal), {}, {}};
}

// Answers effect::Authenticate. A renewal is of a connection that is counted already.
void Shard::on_identified(const SignIns::Question& question, const auth::Outcome& answer) {
  const ConnectionId id = question.connection;
  const net::Stream* stream = connections_.find(id);
  if (stream == nullptr) return;
  // It may have been found just before it was withdrawn.
  const bool holds = !answer || common_.authenticator->holds(answer->grant);
  const auth::Outcome outcome =
      holds ? answer : auth::Outcome(auth::refused("withdrawn meanwhile"));
  sign_in_counters_.count(question.method, outcome.ok());
  const TimeMs now = net::Loop::now();
  Identity identity = identity_of(outcome, now);
  if (!question.renewal) {
    Admission::Ticket ticket;
    tickets_.erase(id);  // of an earlier CONNECT on the same transport
    identity = admit(stream->address(), std::move(identity), ticket);
    tickets_.emplace(id, std::move(ticket));
  }
  if (broker_->on_authenticated(now, id, std::move(identity))) {
    sign_ins_.granted(id, outcome->grant);
  }
  drain_broker();
  loop_.request_turn_end();
}

void Shard::close_withdrawn() {
  const std::vector<ConnectionId> ids = sign_ins_.withdrawn();
  if (ids.empty()) return;
  const TimeMs now = net::Loop::now();
  for (const ConnectionId id : ids) broker_->withdraw(now, id);
  drain_broker();
  loop_.request_turn_end();
  log_line(LogLevel::info, "connections closed: their user or key was withdrawn",
           {{"count", ids.size()}});
}

// The transport is gone, or about to go.
void Shard::forget(ConnectionId id) {
  tickets_.erase(id);
  sign_ins_.closed(id);
  common_.connections.fetch_sub(1, std::memory_order_relaxed);
}

void Shard::on_stream_bytes(net::Stream& stream, std::span<std::uint8_t> bytes) {
  read_bytes(stream, bytes);
  loop_.request_turn_end();
}

void Shard::read_bytes(net::Stream& stream, std::span<std::uint8_t> bytes) {
  if (stream.filter() != nullptr) return read_compressed(stream, bytes);
  broker_->on_bytes(net::Loop::now(), stream.tag(), bytes);
  drain_broker();
}

// One message after the other, each judged by the bound that holds when its turn has come, until
// reading is to stop: few bytes can stand for very many.
void Shard::read_compressed(net::Stream& stream, std::span<std::uint8_t> bytes) {
  const ConnectionId id = stream.tag();
  const auto alive = stream.shared_from_this();
  net::CompressionFilter& filter = *stream.filter();
  filter.feed(bytes);
  while (connections_.find(id) != nullptr && !stream.is_paused() && !loop_.reads_held()) {
    filter.set_max_message_bytes(broker_->max_message_bytes(id));
    const auto frame = filter.next();
    if (frame.empty()) break;
    broker_->on_bytes(net::Loop::now(), id, frame);
    drain_broker();
  }
  filter.keep_rest();
  if (filter.has_rest() && loop_.reads_held()) held_compressed_.push_back(id);
}

void Shard::read_rest_soon(ConnectionId id) {
  loop_.post([this, id] {
    net::Stream* stream = connections_.find(id);
    if (stream != nullptr && stream->filter()->has_rest()) on_stream_bytes(*stream, {});
  });
}

void Shard::on_stream_written(net::Stream& stream, std::size_t bytes) {
  broker_->on_written(net::Loop::now(), stream.tag(), bytes);
  drain_broker();
}

void Shard::on_stream_closed(net::Stream& stream) {
  const ConnectionId id = stream.tag();
  const auto kept = connections_.extract(id);
  if (kept == nullptr) return;
  forget(id);
  broker_->on_closed(net::Loop::now(), id);
  drain_broker();
  loop_.request_turn_end();
}

// ---- the broker's effects ----

void Shard::drain_broker() {
  while (broker_->next(effect_)) {
    if (auto* sending = std::get_if<effect::Send>(&effect_)) {
      carry_out(*sending);
    } else if (auto* mail = std::get_if<effect::ToPeer>(&effect_)) {
      outboxes_[mail->shard].messages.push_back(std::move(mail->message));
      loop_.request_turn_end();  // that is when it is sent, whatever caused it
    } else if (const auto* closing = std::get_if<effect::Close>(&effect_)) {
      carry_out(*closing);
    } else if (const auto* pause = std::get_if<effect::PauseReading>(&effect_)) {
      carry_out(*pause);
    } else if (auto* question = std::get_if<effect::Authenticate>(&effect_)) {
      sign_ins_.ask(std::move(*question));
    }
  }
}

InProcessClient* Shard::own_client(ConnectionId id) {
  for (InProcessClient* client : own_clients_) {
    if (client->owns(id)) return client;
  }
  return nullptr;
}

void Shard::carry_out(effect::Send& sending) {
  if (net::Stream* stream = connections_.find(sending.connection)) {
    if (stream->filter() != nullptr) {
      return send_compressed(*stream, sending.connection, sending.bytes);
    }
    stream->send(std::move(sending.bytes));
  } else if (InProcessClient* client = own_client(sending.connection)) {
    client->on_frames(std::move(sending.bytes));
    loop_.request_turn_end();
  }
}

void Shard::send_compressed(net::Stream& stream, ConnectionId id, const SharedBytes& bytes) {
  SharedBytes compressed = stream.filter()->outgoing(bytes);
  const std::size_t saved = bytes.size() - compressed.size();
  stream.send(std::move(compressed));
  // The broker's bound is for what waits here.
  if (saved > 0) broker_->on_compressed(net::Loop::now(), id, saved);
}

void Shard::carry_out(const effect::Close& closing) {
  if (InProcessClient* client = own_client(closing.connection)) {
    if (!closing_) {
      log_line(LogLevel::warning, "one of the broker's own clients was disconnected",
               {{"client", client->name()}, {"reason", close_reason_text(closing.reason)}});
    }
    client->on_disconnected();
    return loop_.request_turn_end();
  }
  const auto stream = connections_.extract(closing.connection);
  if (stream == nullptr) return;
  forget(closing.connection);
  log_close(closing);
  if (closing.flush) {
    stream->close(linger_ms_);
  } else {
    // What waits is dropped, but the peer may still learn why: the close frame is the last thing.
    stream->close_dropping(linger_ms_, is_close_frame);
  }
}

void Shard::carry_out(const effect::PauseReading& pause) {
  if (net::Stream* stream = connections_.find(pause.connection)) {
    if (pause.paused) {
      stream->pause_reading();
    } else {
      stream->resume_reading();
      if (stream->filter() != nullptr && stream->filter()->has_rest()) {
        read_rest_soon(pause.connection);
      }
    }
  } else if (InProcessClient* client = own_client(pause.connection)) {
    client->on_pause(pause.paused);
    loop_.request_turn_end();
  }
}

// ---- turns, mail and time ----

void Shard::end_turn() {
  if (!own_clients_.empty() && !closing_) {
    bool ready = true;
    for (InProcessClient* client : own_clients_) {
      client->pump(net::Loop::now(), [this] { drain_broker(); });
      ready = ready && client->ready();
    }
    common_.ready.store(ready, std::memory_order_relaxed);
  }
  send_mail();
  arm_timer();
  compression_.end_turn();
}

Mailbox::PutResult Shard::put_mail(ShardIndex to, Outbox& outbox) {
  if (outbox.link) {
    const auto result = outbox.link->to_link[index_].put(outbox.messages);
    if (result.wake_receiver) common_.links->receive(to, index_);
    return result;
  }
  if (to >= common_.shards.size()) {  // of a broker that is not joined any more
    outbox.messages.clear();
    return {false, false};
  }
  const auto result = common_.mailbox(index_, to).put(outbox.messages);
  if (result.wake_receiver) {
    common_.shards[to]->post(
        [&receiver = *common_.shards[to], from = index_] { receiver.receive_mail(from); });
  }
  return result;
}

void Shard::send_mail() {
  for (ShardIndex to = 0; to < outboxes_.size(); ++to) {
    Outbox& outbox = outboxes_[to];
    if (outbox.messages.empty()) continue;
    const auto result = put_mail(to, outbox);
    if (result.full && !outbox.full) {
      outbox.full = true;
      ++holds_;
      loop_.hold_reads();
    }
  }
}

void Shard::receive_mail(ShardIndex from) {
  const auto result = common_.mailbox(from, index_).take(inbox_);
  if (result.sender_waits) {
    common_.shards[from]->post(
        [&sender = *common_.shards[from], to = index_] { sender.mailbox_emptied(to); });
  }
  read_mail(from);
}

void Shard::receive_link_mail(LinkMail& mail) {
  mail.to_shard[index_].take(inbox_);
  read_mail(mail.link);
}

// Hands what is in inbox_ to the broker.
void Shard::read_mail(ShardIndex from) {
  const TimeMs now = net::Loop::now();
  for (auto& message : inbox_) {
    broker_->on_peer(now, from, std::move(message));
    drain_broker();
  }
  inbox_.clear();
  loop_.request_turn_end();
}

void Shard::mailbox_emptied(ShardIndex to) {
  outboxes_[to].full = false;
  for (const auto& outbox : outboxes_) {
    if (outbox.full) return;
  }
  if (!loop_.reads_held()) return;
  loop_.release_reads();
  for (const ConnectionId id : std::exchange(held_compressed_, {})) read_rest_soon(id);
}

void Shard::add_link(std::shared_ptr<LinkMail> mail) {
  if (outboxes_.size() <= mail->link) outboxes_.resize(mail->link + std::size_t{1});
  broker_->add_link(mail->link);
  Outbox& outbox = outboxes_[mail->link];
  outbox.messages.clear();
  outbox.link = std::move(mail);
}

void Shard::remove_link(ShardIndex link) {
  outboxes_[link].link.reset();
  outboxes_[link].messages.clear();
  mailbox_emptied(link);
}

void Shard::set_joined_brokers(const std::vector<JoinedBroker>& brokers) {
  const Options& options = common_.options;
  std::vector<std::string> addresses{address_of(options, port())};
  for (const JoinedBroker& broker : brokers) {
    if (broker.cluster == options.cluster_or_default()) addresses.push_back(broker.address);
  }
  broker_->set_cluster_addresses(std::move(addresses));
}

// The timer may be early, never late: it is set anew only for what is due before it.
void Shard::arm_timer() {
  auto due = broker_->deadline();
  for (InProcessClient* client : own_clients_) {
    if (!closing_) due = earlier(due, client->deadline());
  }
  if (!due || (armed_ && *armed_ <= *due)) return;
  armed_ = due;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(*due)));
  timer_.async_wait([this](net::error_code error) {
    if (error) return;
    armed_.reset();
    on_time();
  });
}

void Shard::on_time() {
  const TimeMs now = net::Loop::now();
  broker_->on_time(now);
  for (InProcessClient* client : own_clients_) {
    if (closing_) break;
    const auto due = client->deadline();
    if (due && *due <= now) client->on_time(now);
  }
  drain_broker();
  loop_.request_turn_end();
}

void Shard::on_storage(StorageResult result) {
  if (!persistence_ || closing_) return;
  persistence_->on_storage(net::Loop::now(), std::move(result));
  loop_.request_turn_end();
}

// ---- the end ----

void Shard::stop_accepting() {
  listener_.close();
  http_.close();
  if (persistence_) persistence_->stop();
}

void Shard::close_all(std::function<void()> done) {
  closing_ = true;
  linger_ms_ = shutdown_linger_ms;
  broker_->shut_down(net::Loop::now());
  drain_broker();
  loop_.release_reads();
  loop_.request_turn_end();
  loop_.when_no_streams(std::move(done));
}

}  // namespace conat::server
