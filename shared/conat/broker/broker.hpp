// One shard of the broker: the sessions of its connections, its interest table, and what it knows
// of its sibling shards. It decides everything and does nothing: bytes, time and peers' messages
// come in, effects come out of next().
//
// Routing (shared/conat/subject/interest_table.hpp): a publish is matched once, framed once for
// each (pattern, encoding) it is delivered under, and queued by reference to every taker.
//
// Slow readers. Each connection's queue is counted in bytes: added at effect::Send, taken off by
// on_written. Above max_queue_bytes the connection is cut off (close code 1013); so is one that has
// stayed above the high-water mark (an eighth of that, at most 8 MiB) and taken nothing between two
// heartbeats. Before it comes to that, publishers are slowed down by effect::PauseReading, so that
// a burst fills no queue; the policy, by which readers that keep up never lose more than 4 % of
// their rate and nobody waits for ever, stands in reader_congestion.hpp and sender_holds.hpp.
//
// Who connects is found out by the shell: before it opens the connection (Handshake::identity), or
// when the broker asks by effect::Authenticate, at each CONNECT and for the event `auth`, by which
// a client renews an identity that expires. At most one question per connection is open; until a
// CONNECT's is answered the connection is not signed in, and its time limit goes on.
//
// Rate limits (rate_meter.hpp): a connection that has sent more than it may is not read from until
// it has credit again. Nothing is lost, and nobody else is affected.
//
// Thread safety: none; one Broker per event loop. Messages between siblings (PeerMessage) own their
// bytes and may cross threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/random.hpp"
#include "conat/base/time.hpp"
#include "conat/base/value.hpp"
#include "conat/broker/authorization_rules.hpp"
#include "conat/broker/identity.hpp"
#include "conat/broker/peer.hpp"
#include "conat/broker/rate_meter.hpp"
#include "conat/wire/websocket.hpp"

namespace conat {

// Names a connection of this shard; never reused.
using ConnectionId = std::uint64_t;

struct BrokerOptions {
  std::string id = "0";                      // the broker's id, in `info`
  std::string cluster_name;                  // empty: none
  std::string address = "http://localhost";  // what `cluster` answers at first
  ShardIndex shard = 0;
  ShardIndex shard_count = 1;
  std::size_t max_payload_bytes = limits::max_payload_bytes;
  std::size_t max_subscriptions_per_client = limits::max_subscriptions_per_client;
  std::size_t max_subscriptions_per_hub = limits::max_subscriptions_per_hub;
  std::size_t max_queue_bytes = limits::max_queue_bytes;
  // What one connection may send; a hub's and the broker's own clients may send as they like.
  RateLimits rate_limits;
  std::int64_t ping_interval_ms = limits::ping_interval_ms;
  std::int64_t ping_timeout_ms = limits::ping_timeout_ms;
  std::int64_t connect_timeout_ms = limits::connect_timeout_ms;  // for being signed in
  std::vector<AuthorizationRule> rules;  // in addition to the protocol's; checked (check_rule)
};

// What is known of a connection when it opens.
struct Handshake {
  std::string address;               // of the peer, for statistics
  std::optional<Identity> identity;  // nullopt: the broker asks for it at each CONNECT
  // One of the broker's own clients: unmasked frames, no limits, nobody asks who it is.
  bool in_process = false;
};

// Why a connection was closed.
enum class CloseReason : std::uint8_t {
#define CONAT_CLOSE_REASON(name, text) name,
#include "conat/broker/close_reasons.def"
#undef CONAT_CLOSE_REASON
};
inline constexpr std::size_t close_reason_count = 0
#define CONAT_CLOSE_REASON(name, text) +1
#include "conat/broker/close_reasons.def"
#undef CONAT_CLOSE_REASON
    ;
// For logs and metrics; a string literal.
const char* close_reason_text(CloseReason reason);

// Whose connection it was, for the log.
struct CloseDetails {
  std::string sid;  // empty: not signed in
  Value user;
  std::string address;
  std::uint64_t queued_bytes = 0;  // that it had not taken
  std::string subject;  // slow consumer: of the message that was too much, when it was one
};

namespace effect {
// Bytes of the WebSocket stream for a connection; write them in this order.
struct Send {
  ConnectionId connection;
  SharedBytes bytes;
};
// Flush what was sent, then close the transport. Nothing more will be sent to it, and on_bytes and
// on_closed are no longer expected for it.
struct Close {
  ConnectionId connection;
  CloseReason reason = CloseReason::transport_lost;
  bool flush = true;                            // false: drop what is queued
  std::unique_ptr<const CloseDetails> details;  // never null
};
// Stop or resume reading from a connection (back pressure on publishers).
struct PauseReading {
  ConnectionId connection;
  bool paused;
};
struct ToPeer {
  ShardIndex shard;
  PeerMessage message;
};
// Find out who this is and answer by on_authenticated, at once or later. A question about a
// connection that closes meanwhile needs no answer.
struct Authenticate {
  ConnectionId connection;
  Value auth;    // what CONNECT or the event `auth` carried: a map, or null when there was none
  bool renewal;  // false: at CONNECT
};
}  // namespace effect

using BrokerEffect = std::variant<effect::Send, effect::Close, effect::PauseReading, effect::ToPeer,
                                  effect::Authenticate>;

// Counted since the start, for /metrics.
struct BrokerCounters {
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t messages_received = 0;  // publishes
  std::uint64_t bytes_received = 0;     // payload bytes of the publishes' tails
  std::uint64_t deliveries = 0;
  std::uint64_t bytes_delivered = 0;  // framed
  std::uint64_t subscriptions = 0;
  std::uint64_t malformed_events = 0;
  std::uint64_t malformed_packets = 0;
  std::uint64_t slow_consumers = 0;
  std::uint64_t rate_pauses = 0;  // reading stopped for a connection's rate limit
  std::uint64_t keep_alive_closes = 0;
  std::uint64_t refused_users = 0;    // sign-ins that ended with an error
  std::uint64_t expired_users = 0;    // connections closed because their identity had expired
  std::uint64_t renewals = 0;         // identities that were renewed
  std::uint64_t failed_renewals = 0;  // renewals that were refused
  std::uint64_t permission_errors = 0;
  std::uint64_t reading_pauses = 0;  // times a publisher was held up
  std::array<std::uint64_t, close_reason_count> closes{};
  // Deliveries that could not be made: not expressible in the reader's encoding; the reader had
  // gone while the message was on its way from another shard.
  std::uint64_t drops_unconvertible = 0;
  std::uint64_t drops_gone = 0;
  // What had been sent to connections and was not taken by them when they were closed.
  std::uint64_t dropped_bytes_slow_consumer = 0;
  std::uint64_t dropped_bytes_closed = 0;
  std::uint64_t joined_by = 0;           // connections of brokers that have joined this one, now
  std::uint64_t forwards_received = 0;   // publishes that came from those
  std::uint64_t late_confirmations = 0;  // times one of them was not waited for any longer
  std::uint64_t match_cache_hits = 0;
  std::uint64_t match_cache_misses = 0;
};

struct TrafficCount {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

// A client that is signed in, for administrators. The broker's own clients are not shown.
struct ConnectionDescription {
  std::string sid;  // of Socket.IO
  Value user;
  std::string address;
  TrafficCount sent;      // messages that it published, and their payloads
  TrafficCount received;  // what it says that it has received (event `stats`)
  std::size_t subscriptions = 0;
  TimeMs connected_at = 0;  // signed in
  TimeMs active_at = 0;     // its last event
};

class Broker {
 public:
  Broker(BrokerOptions options, Random random);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // A WebSocket connection whose HTTP handshake is done.
  ConnectionId open(TimeMs now, Handshake handshake);
  // Bytes of the WebSocket stream as they were read; decoded in place.
  void on_bytes(TimeMs now, ConnectionId connection, std::span<std::uint8_t> bytes);
  // The transport is gone (not called after an effect::Close).
  void on_closed(TimeMs now, ConnectionId connection);
  // `bytes` of what was sent have left the shell's queue: the bound for slow consumers.
  void on_written(TimeMs now, ConnectionId connection, std::size_t bytes);
  // The answer to effect::Authenticate; ignored when nothing is asked (any more). Returns whether
  // that identity is in force now.
  bool on_authenticated(TimeMs now, ConnectionId connection, Identity identity);
  // The identity of a connection does not hold any more: closes it with 1008 as one that has
  // expired (no Socket.IO disconnect, so that the client comes back and is asked again).
  void withdraw(TimeMs now, ConnectionId connection);
  // What was sent takes `bytes` less in the shell's queue than it had.
  void on_compressed(TimeMs now, ConnectionId connection, std::size_t bytes);
  // How large a message of the connection may be now; 0 when it has gone.
  std::size_t max_message_bytes(ConnectionId connection) const;
  // A broker is being joined: from now on it is one more peer, with that number, from shard_count
  // on and below shard_count + max_links.
  void add_link(ShardIndex link);
  // `from`: a sibling, or a joined broker.
  void on_peer(TimeMs now, ShardIndex from, PeerMessage message);
  // What the event `cluster` answers from now on; this broker's own address is the first.
  void set_cluster_addresses(std::vector<std::string> addresses);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  // Closes every connection with 1001 (no Socket.IO disconnect, so that clients come back).
  void shut_down(TimeMs now);

  // ---- administration; each looks at every connection ----
  std::vector<ConnectionDescription> describe_connections() const;
  // Tells those clients to go (Socket.IO's DISCONNECT: they do not come back by themselves) and
  // closes them. Returns how many there were.
  std::size_t disconnect(TimeMs now, const std::vector<std::string>& sids);
  // What was sent to connections and not written yet.
  std::uint64_t queued_bytes() const;

  // Moves the next effect out; false when there is none. Drain it after each on_... call or batch.
  bool next(BrokerEffect& effect);

  const BrokerCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
