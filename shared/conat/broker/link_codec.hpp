// What two linked brokers say to each other, as Socket.IO events in the MessagePack encoding; the
// list of them, with their order, is in docs/protocol.md.
//
// What is for every message is written and read by hand: nothing is decoded into Values, and a
// publish's tail is copied as it is. Thread safety: pure functions and plain values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "conat/broker/peer.hpp"
#include "conat/wire/packet.hpp"

namespace conat::link {

// The version of all this; both sides must have the same.
inline constexpr std::int64_t version = 1;
// What a forwarded publish may be larger than what a client may send: the groups that it names.
inline constexpr std::size_t spare_bytes = 16u << 20;

namespace event {
inline constexpr std::string_view link = "link";                 // to the other: tell me interest
inline constexpr std::string_view interest = "interest";         // from it: a batch of changes
inline constexpr std::string_view applied = "interest-applied";  // to it: all shards have these
inline constexpr std::string_view forward = "forward";           // to it: a publish for its groups
inline constexpr std::string_view sender_closed = "sender-closed";  // to it
inline constexpr std::string_view hold = "hold";                    // from it
inline constexpr std::string_view release = "release";              // from it
}  // namespace event

// `[batch, synced, entry...]`, an entry being `[group, weight, pattern, queue]`, or `[group]` when
// nobody is left in it. `synced`: there was nothing more to tell at that time.
class InterestBatch {
 public:
  // From this size on it takes no more.
  static constexpr std::size_t full_bytes = 32 * 1024;

  void add(peer::Group group, std::uint32_t weight, std::string_view pattern,
           std::string_view queue);
  void add_gone(peer::Group group);
  bool full() const { return entries_.size() >= full_bytes; }
  WireMessages finish(std::uint64_t batch, bool synced) const;

 private:
  Bytes entries_;
  std::uint32_t count_ = 0;
};

// Views into the packet; `weight` 0: gone, without pattern and queue.
struct InterestEntry {
  peer::Group group = 0;
  std::uint32_t weight = 0;
  std::string_view pattern;
  std::string_view queue;
};
struct Interest {
  std::uint64_t batch = 0;
  bool synced = false;
  std::vector<InterestEntry> entries;
};
// False when it is malformed. Patterns and queues are not judged.
bool read_interest(const PacketView& packet, Interest& interest);

// `[[sender, group...], [subject, ...tail]]`. Fails when the tail cannot be converted to
// MessagePack.
Result<WireMessage> encode_forward(const peer::ForwardedPublish& forwarded);
// `groups` holds what the result's `groups` views.
bool read_forward(const PacketView& packet, Bytes& scratch, std::vector<peer::Group>& groups,
                  peer::ForwardedPublish& forwarded);

// An event whose arguments are small numbers: a batch, a sender, a sender and a kind of hold.
WireMessages encode_numbers(std::string_view event, std::initializer_list<std::uint64_t> numbers);
// False unless there are exactly so many.
bool read_numbers(const PacketView& packet, std::span<std::uint64_t> numbers);

}  // namespace conat::link
