// The inside of a Broker. Its parts have files of their own: broker.cpp (connections and time),
// broker_identity.cpp (who they are), broker_events.cpp (what clients ask for), broker_routing.cpp
// (publishes on their way to takers), broker_peers.cpp (sibling shards, back pressure) and
// broker_joined.cpp (brokers that have joined this one).
//
// Invariants: a connection's subscriptions and the interest table agree at all times, so a member
// that the table names is an open connection. Connections are dropped only between two events
// (settle()), never while a publish is on its way through the table. Thread safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conat/broker/broker.hpp"
#include "conat/broker/chunk_routes.hpp"
#include "conat/broker/connection_table.hpp"
#include "conat/broker/effect_queue.hpp"
#include "conat/broker/interest_waits.hpp"
#include "conat/broker/reader_congestion.hpp"
#include "conat/broker/sender_holds.hpp"
#include "conat/broker/timer_queue.hpp"
#include "conat/session/server_session.hpp"
#include "conat/subject/interest_table.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

class Broker::Impl {
 public:
  Impl(BrokerOptions options, Random random);

  // ---- broker.cpp: see Broker ----
  ConnectionId open(TimeMs now, Handshake handshake);
  void on_bytes(TimeMs now, ConnectionId id, std::span<std::uint8_t> bytes);
  void on_closed(TimeMs now, ConnectionId id);
  void on_written(TimeMs now, ConnectionId id, std::size_t bytes);
  bool on_authenticated(TimeMs now, ConnectionId id, Identity identity);
  void withdraw(TimeMs now, ConnectionId id);
  void on_compressed(TimeMs now, ConnectionId id, std::size_t bytes);
  std::size_t max_message_bytes(ConnectionId id);
  void on_peer(TimeMs now, ShardIndex from, PeerMessage message);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  void shut_down(TimeMs now);
  std::vector<ConnectionDescription> describe_connections();
  std::size_t disconnect(TimeMs now, const std::vector<std::string>& sids);
  std::uint64_t queued_bytes();
  void add_link(ShardIndex link) {
    if (link >= forward_groups_.size()) forward_groups_.resize(link + std::size_t{1});
  }
  void set_cluster_addresses(std::vector<std::string> addresses) {
    cluster_addresses_ = std::move(addresses);
  }
  bool next(BrokerEffect& effect) {
    if (effects_.next(effect)) return true;
    if (!interest_due_) return false;
    send_interest();
    return effects_.next(effect);
  }
  const BrokerCounters& counters();

 private:
  // A publish on its way to its takers.
  struct Delivery {
    TimeMs now;
    std::string_view subject;
    const Tail* tail;
    peer::Sender sender;
    ConnectionId excluded = 0;  // does not get it
    std::size_t tail_bytes = 0;
    bool chunked = false;
    ChunkRoutes::Route* route = nullptr;
    // Of the pattern it is being delivered under: the frame for each encoding, once it was needed.
    const InterestPattern* pattern = nullptr;
    std::array<SharedBytes, 2> frames;
    std::array<bool, 2> failed{};
    // For back pressure: from how many waiting bytes on a taker is looked at, how many takers there
    // are, whether one keeps up, and the fullest one above the mark.
    std::uint64_t mark = 0;
    std::uint32_t takers = 0;
    bool fed_others = false;
    ConnectionId fullest = 0;
    std::uint64_t fullest_bytes = 0;
    ConnectionId own_fullest = 0;       // among the broker's own clients
    std::optional<ShardIndex> farther;  // where a taker elsewhere is: the last one
  };
  struct PendingAck {
    ConnectionId connection;
    SharedBytes bytes;
  };
  struct Sync {
    std::uint32_t missing;  // siblings that have not answered, and one for the brokers
    std::vector<PendingAck> acks;
  };
  // Waits until brokers that have joined this one know of the interest that there was.
  struct Barrier {
    TimeMs until;
    ShardIndex from;  // who is told then: a sibling, or this shard
    std::uint64_t token;
    struct Wait {
      ConnectionId broker;
      std::uint64_t point;  // of its InterestExport
    };
    std::vector<Wait> waits;
  };
  // Someone who sends over the connection of a broker that has joined this one.
  struct LinkSender {
    ConnectionId broker;
    peer::Sender sender;  // there
  };
  // Whom a queue group's member is chosen from: those of this shard, of this broker, of all.
  enum class Reach : std::uint8_t { shard, broker, all };
  struct RemoteSender {
    bool fed_others = false;         // since it was last let go
    std::optional<TimeMs> asked_at;  // since then, to hold it
  };

  // ---- broker.cpp ----
  void send(ConnectionId id, ConnectionHead& head, SharedBytes bytes);
  void flush_output(ConnectionId id, ConnectionHead& head);
  void take_off(TimeMs now, ConnectionId id, ConnectionHead& head, std::size_t bytes);
  void charge(TimeMs now, ConnectionId id, Connection& connection, std::uint64_t messages,
              std::uint64_t bytes);
  void overflow(ConnectionId id, ConnectionHead& head, std::string_view subject = {});
  void close_transport(ConnectionId id, ConnectionHead& head, CloseReason reason, bool flush);
  void settle(TimeMs now);
  void finish_session(TimeMs now, ConnectionId id, ConnectionHead& head);
  void drop(TimeMs now, ConnectionId id, ConnectionHead& head);
  void drop_subscriptions(ConnectionId id, ConnectionHead& head);
  void arm_timer(ConnectionId id, Connection& connection);
  void run_timer(TimeMs now, ConnectionId id, ConnectionHead& head);
  void check_stalled(TimeMs now, ConnectionId id, ConnectionHead& head);

  // ---- broker_identity.cpp ----
  void ask_identity(ConnectionId id, ConnectionHead& head);
  // Both return whether the identity is in force now.
  bool sign_in(TimeMs now, ConnectionId id, ConnectionHead& head, Identity identity);
  void on_auth(TimeMs now, ConnectionId id, ConnectionHead& head, const PacketView& packet);
  bool renew(TimeMs now, ConnectionId id, ConnectionHead& head, Identity identity);
  void drop_refused_subscriptions(ConnectionId id, ConnectionHead& head);

  // ---- broker_events.cpp ----
  void on_event(TimeMs now, ConnectionId id, ConnectionHead& head);
  void on_subscribe(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  void on_unsubscribe(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  void on_subscriptions(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  void on_wait_for_interest(TimeMs now, ConnectionId id, ConnectionHead& head,
                            const PacketView& packet);
  void on_stats(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  void on_cluster(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  Value subscribe(ConnectionId id, ConnectionHead& head, const Value& request);
  Value unsubscribe(ConnectionId id, ConnectionHead& head, const Value& request);
  using RequestHandler = Value (Impl::*)(ConnectionId, ConnectionHead&, const Value&);
  Value for_each_request(ConnectionId id, ConnectionHead& head, const PacketView& packet,
                         RequestHandler handle);
  std::size_t subscription_limit(const Connection& connection) const;
  void remove_subscription(ConnectionId id, InterestGroup& group);
  // What refuses a request: {error, code?}.
  static Value error_value(std::string text, int code = 0);
  static Value error_value(const Error& error);
  Value malformed();
  Value refuse(ConnectionId id, ConnectionHead& head, bool publishing, std::string_view subject);
  void acknowledge(ConnectionId id, ConnectionHead& head, const PacketView& packet, Value value);
  void acknowledge_when_synced(ConnectionId id, ConnectionHead& head, const PacketView& packet,
                               Value value);
  void answer_waits(std::string_view pattern);
  void expire_waits(TimeMs now);

  // ---- broker_routing.cpp ----
  void on_publish(TimeMs now, ConnectionId id, ConnectionHead& head, const PacketView& packet);
  std::uint64_t route(Delivery& delivery, std::span<InterestPattern* const> patterns);
  void prepare_chunks(Delivery& delivery);
  void finish_chunks(const Delivery& delivery);
  static void set_pattern(Delivery& delivery, const InterestPattern& pattern);
  bool deliver(Delivery& delivery, ConnectionId member);
  bool make_frame(Delivery& delivery, PacketEncoding encoding);
  void note_full(Delivery& delivery, ConnectionId member, ConnectionHead& head);
  std::uint64_t mark_for(std::size_t tail_bytes) const;
  void judge(Delivery& delivery) const;
  GroupChoice choose(Delivery& delivery, const InterestGroup& group, Reach reach);
  GroupChoice choose_at_random(const InterestGroup& group, ConnectionId excluded, Reach reach);
  GroupChoice choose_for_chunk(Delivery& delivery, const InterestGroup& group, Reach reach);
  void pass_on(Delivery& delivery, const InterestGroup::Remote& taker);
  void forward(const Delivery& delivery);

  // ---- broker_peers.cpp ----
  bool is_sibling(ShardIndex from) const { return from < options_.shard_count; }
  void to_siblings(const PeerMessage& message);
  void to_peers(const PeerMessage& message);
  void announce(const InterestGroup& group, std::uint32_t weight);
  void flush_syncs(TimeMs now);
  void finish_sync(Sync& sync);
  void on_interest_changed(ShardIndex from, const peer::InterestChanged& change);
  void on_synced(std::uint64_t token);
  void on_forward(TimeMs now, const peer::ForwardedPublish& forwarded, Reach reach);
  void on_sender_closed(peer::Sender sender);
  void on_hold(TimeMs now, ShardIndex from, const peer::HoldSender& hold);
  void press_back(const Delivery& delivery);
  void hold_sender(TimeMs now, peer::Sender sender, peer::HoldKind kind);
  bool is_large(const Delivery& delivery) const { return delivery.mark != high_water_bytes_; }
  void await_sibling(TimeMs now, ConnectionId id, ConnectionHead& head, const Delivery& delivery);
  void answer_sibling(const Delivery& delivery);
  void let_go(TimeMs now, const std::vector<peer::Sender>& senders);
  void stop_reading(ConnectionId id);
  void resume_reading(TimeMs now, ConnectionId id);
  void pause(ConnectionId id, Connection& connection, std::uint8_t reason);
  void go_on(TimeMs now, ConnectionId id, Connection& connection, std::uint8_t reason);
  void check_congestion(TimeMs now);

  // ---- broker_joined.cpp ----
  void on_link(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  bool on_joined_by_event(TimeMs now, ConnectionId id, ConnectionHead& head,
                          const PacketView& packet);
  Value begin_joined_by(ConnectionId id, ConnectionHead& head, const PacketView& packet);
  void end_joined_by(TimeMs now, ConnectionId id, Connection& connection);
  std::uint64_t own_weight(const InterestGroup& group) const {
    return group.members.size() + group.reach_below(options_.shard_count).weight;
  }
  void touch(const InterestGroup* group);
  void send_interest();
  void send_batch(ConnectionId id, ConnectionHead& head, InterestExport& interest);
  bool wait_for_brokers(TimeMs now, ShardIndex from, std::uint64_t token);
  bool is_settled(const Barrier::Wait& wait);
  void check_barriers(TimeMs now);
  void pass_barrier(const Barrier& barrier);
  peer::Sender link_sender(ConnectionId id, JoinedBy& joined_by, peer::Sender there);
  void forget_link_sender(peer::Sender sender);
  void tell_link_sender(peer::Sender sender, std::string_view event,
                        std::optional<peer::HoldKind> kind);

  const BrokerOptions options_;
  const ServerSessionOptions session_options_;
  Random random_;
  // Marks of a connection's queue in bytes, see reader_congestion.hpp: above the high one it is
  // behind, until it is below the low one; below keep_up_bytes_ it keeps up, unless it was behind a
  // moment ago.
  const std::uint64_t high_water_bytes_;
  const std::uint64_t low_water_bytes_;
  const std::uint64_t keep_up_bytes_;

  ConnectionTable connections_;
  InterestTable interest_;
  InterestWaits waits_;
  ChunkRoutes chunk_routes_;
  ReaderCongestion congestion_;
  SenderHolds holds_;
  TimerQueue timers_;
  EffectQueue effects_;
  BrokerCounters counters_;

  std::uint64_t last_token_ = 0;
  std::unordered_map<std::uint64_t, Sync> syncs_;
  std::vector<PendingAck> unsynced_acks_;  // wait for a sync that is still to be sent
  bool interest_announced_ = false;        // by the event that is being handled
  std::unordered_map<peer::Sender, RemoteSender> remote_senders_;  // that were held up

  std::vector<ConnectionId> joined_by_;  // connections of brokers that have joined this one
  bool interest_due_ = false;            // one of them may have to be told something
  std::deque<Barrier> barriers_;         // in the order in which they began
  std::unordered_map<peer::Sender, LinkSender> link_senders_;
  std::uint64_t last_link_sender_ = 0;
  std::vector<std::string> cluster_addresses_;

  bool shut_down_ = false;
  std::vector<ConnectionId> overflowed_;  // are to be cut off
  // Kept for their memory.
  ServerSession::Output output_;
  Bytes scratch_;
  std::vector<peer::Group> link_groups_;
  std::vector<std::vector<peer::Group>> forward_groups_;  // by shard; joined brokers behind them
};

}  // namespace conat
