#include "conat/broker/broker.hpp"

#include <algorithm>
#include <utility>

#include "conat/broker/broker_impl.hpp"

namespace conat {
namespace {

// A reader that was behind is not one that keeps up for so long, however quickly it caught up: or
// the only reader of a sender would pass for two.
constexpr std::int64_t kBehindMs = 5000;

ServerSessionOptions session_options(const BrokerOptions& options) {
  ServerSessionOptions session;
  session.broker_id = options.id;
  session.cluster_name = options.cluster_name;
  session.max_payload_bytes = options.max_payload_bytes;
  session.ping_interval_ms = options.ping_interval_ms;
  session.ping_timeout_ms = options.ping_timeout_ms;
  session.connect_timeout_ms = options.connect_timeout_ms;
  return session;
}

CloseReason close_reason(SessionEnd end) {
  switch (end) {
    case SessionEnd::none:
      return CloseReason::transport_lost;
    case SessionEnd::peer_closed:
    case SessionEnd::by_owner:
      return CloseReason::peer_closed;
    case SessionEnd::web_socket_error:
      return CloseReason::web_socket_error;
    case SessionEnd::too_big:
      return CloseReason::too_big;
    case SessionEnd::malformed_packet:
      return CloseReason::malformed_packet;
    case SessionEnd::keep_alive:
      return CloseReason::keep_alive;
    case SessionEnd::no_connect:
      return CloseReason::no_connect;
    case SessionEnd::refused:
      return CloseReason::refused;
    case SessionEnd::expired:
      return CloseReason::expired;
  }
  return CloseReason::transport_lost;
}

}  // namespace

Broker::Broker(BrokerOptions options, Random random)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(random))) {}
Broker::~Broker() = default;

ConnectionId Broker::open(TimeMs now, Handshake handshake) {
  return impl_->open(now, std::move(handshake));
}
void Broker::on_bytes(TimeMs now, ConnectionId connection, std::span<std::uint8_t> bytes) {
  impl_->on_bytes(now, connection, bytes);
}
void Broker::on_closed(TimeMs now, ConnectionId connection) { impl_->on_closed(now, connection); }
void Broker::on_written(TimeMs now, ConnectionId connection, std::size_t bytes) {
  impl_->on_written(now, connection, bytes);
}
void Broker::on_compressed(TimeMs now, ConnectionId connection, std::size_t bytes) {
  impl_->on_compressed(now, connection, bytes);
}
std::size_t Broker::max_message_bytes(ConnectionId connection) const {
  return impl_->max_message_bytes(connection);
}
void Broker::on_peer(TimeMs now, ShardIndex from, PeerMessage message) {
  impl_->on_peer(now, from, std::move(message));
}
void Broker::set_cluster_addresses(std::vector<std::string> addresses) {
  impl_->set_cluster_addresses(std::move(addresses));
}
void Broker::add_link(ShardIndex link) { impl_->add_link(link); }
bool Broker::on_authenticated(TimeMs now, ConnectionId connection, Identity identity) {
  return impl_->on_authenticated(now, connection, std::move(identity));
}
void Broker::withdraw(TimeMs now, ConnectionId connection) { impl_->withdraw(now, connection); }
void Broker::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> Broker::deadline() const { return impl_->deadline(); }
void Broker::shut_down(TimeMs now) { impl_->shut_down(now); }
std::vector<ConnectionDescription> Broker::describe_connections() const {
  return impl_->describe_connections();
}
std::size_t Broker::disconnect(TimeMs now, const std::vector<std::string>& sids) {
  return impl_->disconnect(now, sids);
}
std::uint64_t Broker::queued_bytes() const { return impl_->queued_bytes(); }
bool Broker::next(BrokerEffect& effect) { return impl_->next(effect); }
const BrokerCounters& Broker::counters() const { return impl_->counters(); }

Broker::Impl::Impl(BrokerOptions options, Random random)
    : options_(std::move(options)),
      session_options_(session_options(options_)),
      random_(std::move(random)),
      high_water_bytes_(ReaderCongestion::high_water_bytes(options_.max_queue_bytes)),
      low_water_bytes_(high_water_bytes_ / 2),
      keep_up_bytes_(high_water_bytes_ / 16),
      connections_(options_.shard),
      interest_(random_.next_u64()),
      chunk_routes_(static_cast<std::size_t>(random_.next_u64())),
      holds_(static_cast<std::size_t>(high_water_bytes_ / 8)),
      cluster_addresses_{options_.address},
      forward_groups_(options_.shard_count) {}

// ---- connections ----

ConnectionId Broker::Impl::open(TimeMs now, Handshake handshake) {
  auto made =
      std::make_unique<Connection>(session_options_, std::move(handshake), now, options_.rules);
  Connection& connection = *made;
  connection.rate_meter.start(now, options_.rate_limits);
  const ConnectionId id = connections_.add(std::move(made));
  ++counters_.connections_opened;
  ++counters_.connections_open;
  connection.session.open(now, random_, output_);
  flush_output(id, connections_.at(id));
  arm_timer(id, connection);
  return id;
}

void Broker::Impl::on_bytes(TimeMs now, ConnectionId id, std::span<std::uint8_t> bytes) {
  ConnectionHead* head = connections_.find(id);
  if (head == nullptr) return;
  Connection& connection = *head->connection;
  std::uint64_t events = 0;
  connection.session.feed(bytes);
  for (bool more = true; more;) {
    const ServerSession::Step step = connection.session.next(now, random_, output_);
    if (!output_.empty()) flush_output(id, *head);
    switch (step) {
      case ServerSession::Step::need_more:
        more = false;
        break;
      case ServerSession::Step::authenticate:
        ask_identity(id, *head);
        break;
      case ServerSession::Step::connected:
        head->encoding = connection.session.encoding();
        connection.signed_in(now);
        if (connection.identity.refused()) ++counters_.refused_users;
        break;
      case ServerSession::Step::event:
        connection.active_at = now;
        ++events;
        on_event(now, id, *head);
        break;
      case ServerSession::Step::disconnected:
        drop_subscriptions(id, *head);
        if (connection.joined_by) end_joined_by(now, id, connection);
        waits_.forget(id);
        // A late answer must not be taken for that to the next CONNECT.
        if (connection.question != Question::none) {
          connection.session.close(WebSocketCloseCode::no_status, output_);
          flush_output(id, *head);
        }
        break;
      case ServerSession::Step::closed:
        finish_session(now, id, *head);
        more = false;
        break;
    }
    if (!overflowed_.empty()) settle(now);
    head = connections_.find(id);
    if (head == nullptr) break;
  }
  if (!unsynced_acks_.empty()) flush_syncs(now);
  if (head == nullptr) return;
  if (options_.rate_limits.any()) charge(now, id, connection, events, bytes.size());
  arm_timer(id, connection);
}

// Counts what has come; whoever has sent too much is not read from for a while.
void Broker::Impl::charge(TimeMs now, ConnectionId id, Connection& connection,
                          std::uint64_t messages, std::uint64_t bytes) {
  if (connection.in_process || connection.authorization.is_hub()) return;
  const std::int64_t pause_ms =
      connection.rate_meter.take(now, options_.rate_limits, messages, bytes);
  if (pause_ms == 0) return;
  connection.reading_due = now + pause_ms;
  ++counters_.rate_pauses;
  pause(id, connection, Connection::over_rate);
}

void Broker::Impl::on_closed(TimeMs now, ConnectionId id) {
  ConnectionHead* head = connections_.find(id);
  if (head == nullptr) return;
  ++counters_.closes[static_cast<std::size_t>(CloseReason::transport_lost)];
  counters_.dropped_bytes_closed += head->queued_bytes;
  drop(now, id, *head);
}

void Broker::Impl::on_written(TimeMs now, ConnectionId id, std::size_t bytes) {
  ConnectionHead* head = connections_.find(id);
  if (head == nullptr) return;
  head->written_bytes += bytes;
  take_off(now, id, *head, bytes);
}

void Broker::Impl::on_compressed(TimeMs now, ConnectionId id, std::size_t bytes) {
  if (ConnectionHead* head = connections_.find(id)) take_off(now, id, *head, bytes);
}

std::size_t Broker::Impl::max_message_bytes(ConnectionId id) {
  const ConnectionHead* head = connections_.find(id);
  return head == nullptr ? 0 : head->connection->session.max_message_bytes();
}

void Broker::Impl::take_off(TimeMs now, ConnectionId id, ConnectionHead& head, std::size_t bytes) {
  head.queued_bytes -= std::min<std::uint64_t>(bytes, head.queued_bytes);
  // One that took a large message is to have taken (nearly) all of it, so that it is not in memory
  // any more when the next one is; one that was behind, to be well below.
  const std::uint64_t low = head.behind ? low_water_bytes_ : keep_up_bytes_ / 512;
  if (head.congested && head.queued_bytes < low) {
    head.congested = false;
    head.stuck = false;
    if (std::exchange(head.behind, false)) head.behind_until = now + kBehindMs;
    let_go(now, congestion_.release(id));
  }
}

void Broker::Impl::send(ConnectionId id, ConnectionHead& head, SharedBytes bytes) {
  head.queued_bytes += bytes.size();
  if (head.queued_bytes > options_.max_queue_bytes) overflow(id, head);
  effects_.send(id, std::move(bytes));
}

// Sends what the session has put into output_.
void Broker::Impl::flush_output(ConnectionId id, ConnectionHead& head) {
  for (SharedBytes& bytes : output_) send(id, head, std::move(bytes));
  output_.clear();
}

// Marks a connection to be cut off as soon as nothing is going on.
void Broker::Impl::overflow(ConnectionId id, ConnectionHead& head, std::string_view subject) {
  if (head.overflowed || head.in_process) return;
  head.overflowed = true;
  head.connection->overflow_subject = subject;
  overflowed_.push_back(id);
}

void Broker::Impl::settle(TimeMs now) {
  while (!overflowed_.empty()) {
    const ConnectionId id = overflowed_.back();
    overflowed_.pop_back();
    ConnectionHead* head = connections_.find(id);
    if (head == nullptr) continue;
    ++counters_.slow_consumers;
    counters_.dropped_bytes_slow_consumer += head->queued_bytes;
    head->connection->session.close(WebSocketCloseCode::try_again_later, output_);
    close_transport(id, *head, CloseReason::slow_consumer, false);
    drop(now, id, *head);
  }
}

// The session has ended by itself; its close frame is sent.
void Broker::Impl::finish_session(TimeMs now, ConnectionId id, ConnectionHead& head) {
  const SessionEnd end = head.connection->session.end();
  if (end == SessionEnd::malformed_packet || end == SessionEnd::web_socket_error) {
    ++counters_.malformed_packets;
  }
  if (end == SessionEnd::keep_alive) ++counters_.keep_alive_closes;
  if (end == SessionEnd::expired) ++counters_.expired_users;
  close_transport(id, head, close_reason(end), true);
  drop(now, id, head);
}

void Broker::Impl::drop(TimeMs now, ConnectionId id, ConnectionHead& head) {
  drop_subscriptions(id, head);
  if (head.connection->joined_by) end_joined_by(now, id, *head.connection);
  waits_.forget(id);
  chunk_routes_.forget(id);
  if (head.known_sender) {
    congestion_.forget_sender(id);
    holds_.forget(id);
  }
  if (head.congested) let_go(now, congestion_.release(id));
  if (head.known_to_peers) to_peers(peer::SenderClosed{id});
  --counters_.connections_open;
  connections_.remove(id);
}

void Broker::Impl::drop_subscriptions(ConnectionId id, ConnectionHead& head) {
  const SubscriptionList subscriptions = std::exchange(head.connection->subscriptions, {});
  subscriptions.for_each([&](InterestGroup& group) { remove_subscription(id, group); });
}

// ---- time ----

void Broker::Impl::arm_timer(ConnectionId id, Connection& connection) {
  const TimeMs at = std::min(connection.session.deadline(), connection.reading_due);
  if (connection.timer_at && *connection.timer_at <= at) return;
  connection.timer_at = at;
  timers_.add(at, id);
}

void Broker::Impl::run_timer(TimeMs now, ConnectionId id, ConnectionHead& head) {
  Connection& connection = *head.connection;
  connection.timer_at.reset();
  if (now >= connection.reading_due) {
    connection.reading_due = Connection::never;
    go_on(now, id, connection, Connection::over_rate);
  }
  const bool alive = connection.session.on_time(now, output_);
  flush_output(id, head);
  if (!alive) {
    finish_session(now, id, head);
    return;
  }
  check_stalled(now, id, head);
  arm_timer(id, connection);
}

// Cuts off a connection that is far behind and has taken nothing for a heartbeat's time, though it
// may be answering pings.
void Broker::Impl::check_stalled(TimeMs now, ConnectionId id, ConnectionHead& head) {
  Connection& connection = *head.connection;
  if (head.queued_bytes <= high_water_bytes_) {
    connection.stalled_since.reset();
  } else if (!connection.stalled_since || connection.stalled_at_bytes != head.written_bytes) {
    connection.stalled_since = now;
    connection.stalled_at_bytes = head.written_bytes;
  } else if (now - *connection.stalled_since >= options_.ping_timeout_ms) {
    overflow(id, head);
  }
}

void Broker::Impl::on_time(TimeMs now) {
  for (auto at = timers_.next_at(); at && *at <= now; at = timers_.next_at()) {
    const TimerQueue::Entry entry = timers_.take();
    ConnectionHead* head = connections_.find(entry.connection);
    if (head == nullptr || head->connection->timer_at != entry.at) continue;  // a stale entry
    run_timer(now, entry.connection, *head);
  }
  expire_waits(now);
  check_barriers(now);
  check_congestion(now);
  chunk_routes_.expire(now);
  settle(now);
}

std::optional<TimeMs> Broker::Impl::deadline() const {
  std::optional<TimeMs> first = earlier(timers_.next_at(), waits_.deadline());
  first = earlier(first, congestion_.deadline());
  first = earlier(first, holds_.deadline());
  if (!barriers_.empty()) first = earlier(first, barriers_.front().until);
  return earlier(first, chunk_routes_.deadline());
}

void Broker::Impl::shut_down(TimeMs now) {
  shut_down_ = true;  // siblings need not be told what has gone
  connections_.for_each([&](ConnectionId id, ConnectionHead& head) {
    head.connection->session.close(WebSocketCloseCode::going_away, output_);
    close_transport(id, head, CloseReason::shutdown, true);
    drop(now, id, head);
  });
  overflowed_.clear();
}

const BrokerCounters& Broker::Impl::counters() {
  counters_.match_cache_hits = interest_.statistics().cache_hits;
  counters_.match_cache_misses = interest_.statistics().cache_misses;
  return counters_;
}

}  // namespace conat
