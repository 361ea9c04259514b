// This broker's end of a link to one that it has joined: a client of that broker on one side, and
// on the other, for each shard of this broker, one more sibling.
//
//   idle --time--> opening --info--> identified --accept()--> asking --linked--> catching_up --> up
//    ^                |                 |                       |                   |            |
//    +----------------+-----------------+-----------------------+-------------------+------------+
//                        what fails or is lost: Down, and an attempt later; for ever, until stop()
//
// It signs in as a hub user, asks by the event `link` to be told interest, hands what it is told to
// all shards as InterestChanged, and confirms a batch when all of them have it. What shards forward
// to it goes out as the event `forward`. See link_codec.hpp and docs/protocol.md.
//
// The queue to the other broker is bounded like that of a slow consumer: senders that fill it are
// held up by the rules of reader_congestion.hpp, and beyond max_queue_bytes the connection is given
// up. Then, as in every outage, the shards forget that broker's subscribers at once, and what they
// still had for it is dropped.
//
// Thread safety: none, one thread. Deterministic; `now` comes in.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/base/random.hpp"
#include "conat/base/time.hpp"
#include "conat/broker/link_codec.hpp"
#include "conat/broker/peer.hpp"
#include "conat/broker/reader_congestion.hpp"
#include "conat/session/client_backoff.hpp"
#include "conat/session/client_session.hpp"

namespace conat {

struct LinkOptions {
  std::string id = "0";      // of this broker
  std::string cluster_name;  // of this broker; empty: none
  ShardIndex index = 1;      // as which shards know it; at least shard_count
  ShardIndex shard_count = 1;
  // Whether the other broker's persistence server may serve this one's clients.
  bool takes_storage = false;
  std::size_t max_queue_bytes = limits::max_queue_bytes;
  std::int64_t attempt_ms = 10'000;  // in which the other broker must have answered
};

namespace link_effect {
// Open a transport to the other broker, signed in as a hub user.
struct Open {};
// Close it, if it is there, and hear nothing more of it.
struct Close {};
struct Send {
  WireMessages messages;
};
struct ToShard {
  ShardIndex shard;
  PeerMessage message;
};
// It has said who it is: call accept(), or stop().
struct Identified {};
// All shards know its interest.
struct Up {};
// The link is lost, or an attempt has failed; another one follows.
struct Down {
  std::string reason;
  bool was_up;
};
// After stop(): no shard knows anything of it any more, and it may be destroyed.
struct Gone {};
}  // namespace link_effect

using LinkEffect =
    std::variant<link_effect::Open, link_effect::Close, link_effect::Send, link_effect::ToShard,
                 link_effect::Identified, link_effect::Up, link_effect::Down, link_effect::Gone>;

struct LinkCounters {
  std::uint64_t ups = 0;
  std::uint64_t downs = 0;      // when it was up
  std::uint64_t forwarded = 0;  // publishes
  std::uint64_t forwarded_bytes = 0;
  // Publishes that were not passed on: the link was down, or the other broker does not take such
  // large messages, or MessagePack cannot hold them.
  std::uint64_t dropped = 0;

  LinkCounters& operator+=(const LinkCounters& other);
};

class Link {
 public:
  Link(LinkOptions options, Random random);

  // Begins with the first attempt; call once.
  void start(TimeMs now);
  // Ends it for good; Gone follows.
  void stop(TimeMs now);
  // Tries again now, when it waits for the next attempt.
  void hurry(TimeMs now);
  // The answer to Identified.
  void accept(TimeMs now);

  // ---- the transport that Open has asked for ----
  void on_open(TimeMs now);
  void on_message(TimeMs now, bool binary, ByteView message);
  void on_closed(TimeMs now, const std::string& reason);
  // `unsent`: what it still has; `written`: what it has got rid of in all.
  void on_written(TimeMs now, std::uint64_t unsent, std::uint64_t written);

  // ---- shards and time ----
  void on_shard(TimeMs now, ShardIndex shard, PeerMessage message);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;

  bool next(LinkEffect& effect);

  bool up() const { return phase_ == Phase::up; }
  // Who the other broker has said it is; "default" when it has no cluster name.
  const std::string& broker_id() const { return broker_id_; }
  const std::string& broker_cluster() const { return broker_cluster_; }
  const LinkCounters& counters() const { return counters_; }
  std::uint64_t unsent_bytes() const { return unsent_bytes_; }
  std::size_t groups() const { return groups_.size(); }

 private:
  enum class Phase : std::uint8_t { idle, opening, identified, asking, catching_up, up, stopped };
  struct Key {
    std::string pattern;
    std::string queue;
  };
  // A batch that not all shards have confirmed yet.
  struct Batch {
    std::uint64_t number;  // the other broker's; 0: nothing is answered
    std::uint32_t missing;
    bool synced;
  };

  void try_now(TimeMs now);
  void fail(TimeMs now, std::string reason);
  void disconnect(TimeMs now, std::string reason);
  void forget_interest();
  void sync_shards(std::uint64_t batch, bool synced);
  void to_shards(const PeerMessage& message);
  void to_shard_of(peer::Sender sender, PeerMessage message);
  void send(WireMessages messages);
  bool connected() const { return session_.has_value() && session_->connected(); }

  void on_event(TimeMs now);
  void on_info(TimeMs now);
  void on_ack(TimeMs now);
  bool apply(const link::InterestEntry& entry);
  void on_synced(TimeMs now, ShardIndex shard, std::uint64_t token);
  void forward(TimeMs now, const peer::ForwardedPublish& forwarded);
  void press_back(TimeMs now, peer::Sender sender);
  void let_go();

  const LinkOptions options_;
  Random random_;
  ClientBackoff backoff_;
  const std::uint64_t high_water_bytes_;

  Phase phase_ = Phase::idle;
  std::optional<ClientSession> session_;
  std::optional<TimeMs> due_at_;  // the next attempt, or the end of the patience with this one
  std::string broker_id_;
  std::string broker_cluster_;
  std::size_t max_payload_bytes_ = 0;  // of the other broker

  std::unordered_map<peer::Group, Key> groups_;  // that shards know of
  link::Interest interest_;                      // kept for its memory
  std::uint64_t last_token_ = 0;
  std::map<std::uint64_t, Batch> batches_;  // by token
  // What comes from a shard names groups of an earlier connection until it has confirmed this.
  std::vector<std::uint64_t> stale_until_;

  std::uint64_t unsent_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  ReaderCongestion congestion_;                        // its one reader is the other broker
  std::unordered_map<peer::Sender, TimeMs> asked_at_;  // of senders that are held up

  LinkCounters counters_;
  std::deque<LinkEffect> effects_;
};

}  // namespace conat
