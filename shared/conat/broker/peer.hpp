// What sibling shards tell each other. The same messages are meant to travel between machines.
//
// Thread safety: plain values that own their bytes, made to be moved into another thread's mailbox.
// Messages from one shard to another arrive in the order sent.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

using ShardIndex = std::uint16_t;

namespace peer {
// This shard's subscribers of (pattern, queue) changed: `weight` is how many it has now.
struct InterestChanged {
  std::string pattern;
  std::string queue;
  std::uint32_t weight;
};
// Asks for InterestSynced once everything sent before is applied: a `subscribe` is acknowledged
// when all siblings have answered.
struct InterestSync {
  std::uint64_t token;
};
struct InterestSynced {
  std::uint64_t token;
};
// A publish for takers on the receiving shard: deliver to one member of each target.
struct Forward {
  struct Target {
    std::string pattern;
    std::string queue;
  };
  std::string subject;
  std::vector<Target> targets;
  // Tells senders apart for keeping the chunks of one message on one member: unique to the
  // sending connection over all shards.
  std::uint64_t sender;
  // The tail, owned: see conat::Tail.
  PacketEncoding encoding;
  Bytes elements;
  std::uint32_t count;
  std::vector<Bytes> attachments;
  std::string message_id;
  std::uint64_t sequence;
  bool done;
};
// The sender is gone: forget its unfinished messages.
struct SenderClosed {
  std::uint64_t sender;
};
}  // namespace peer

using PeerMessage = std::variant<peer::InterestChanged, peer::InterestSync, peer::InterestSynced,
                                 peer::Forward, peer::SenderClosed>;

}  // namespace conat
