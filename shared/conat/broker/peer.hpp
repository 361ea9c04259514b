// What sibling shards tell each other, and what a shard and a joined broker tell each other: that
// one is a shard farther away (link.hpp), with a number behind those of the siblings.
//
// Interest is announced with a number for each group, so that a forwarded publish names its takers
// by numbers: nothing is looked up by text and no text is copied for each taker.
//
// Thread safety: plain values that own their bytes, made to be moved into another thread's mailbox.
// Messages from one shard to another arrive in the order sent.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "conat/broker/forward_block.hpp"

namespace conat {

using ShardIndex = std::uint16_t;

// Brokers that one broker may join.
inline constexpr ShardIndex max_links = 64;

namespace peer {
// This shard's subscribers of (pattern, queue) changed: `weight` is how many it has now.
struct InterestChanged {
  std::string pattern;
  std::string queue;
  std::uint32_t weight;
  Group group;
};
// Asks for InterestSynced once everything sent before is applied: a `subscribe` is acknowledged
// when all siblings have answered.
struct InterestSync {
  std::uint64_t token;
};
struct InterestSynced {
  std::uint64_t token;
};
// The sender is gone: forget its unfinished messages.
struct SenderClosed {
  Sender sender;
};
// How long a sender may be held up.
enum class HoldKind : std::uint8_t {
  brief,  // it has other readers, which keep up
  fair,   // as the sender's shard judges
  firm,   // until it is let go: the reader is one of the broker's own clients
};
// A reader on this shard is behind with what this sender of the receiving shard publishes: stop
// reading from it for now.
struct HoldSender {
  Sender sender;
  HoldKind kind;
};
struct ReleaseSender {
  Sender sender;
};
}  // namespace peer

using PeerMessage =
    std::variant<peer::InterestChanged, peer::InterestSync, peer::InterestSynced,
                 peer::ForwardBlock, peer::SenderClosed, peer::HoldSender, peer::ReleaseSender>;

// About what a message takes in memory, for the bounds of mailboxes.
std::size_t memory_bytes(const PeerMessage& message);

}  // namespace conat
