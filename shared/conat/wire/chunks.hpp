// Cutting a payload into chunks and joining them again.
//
// A message is incomplete from its first chunk on until its last. The number of incomplete messages
// and their bytes are bounded (limits::max_partial_messages, `max_bytes`): the one that waits
// longest gives way. Thread safety: none; one Reassembler per subscription owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/time.hpp"
#include "conat/wire/message.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

// max(1000, max_payload - 100000)
std::size_t chunk_size(std::size_t max_payload_bytes);

class Reassembler {
 public:
  explicit Reassembler(std::size_t max_bytes = limits::max_partial_bytes) : max_bytes_(max_bytes) {}

  // Adds a chunk under `stream` (which tells subscriptions apart) and returns the whole message
  // when it was the last. A chunk out of sequence discards its message and counts in discarded();
  // when it is a first chunk it begins the message anew.
  std::optional<MessageData> add(TimeMs now, std::uint64_t stream, const TailFields& chunk);
  // Drops incomplete messages whose last chunk came limits::partial_message_ttl_ms ago.
  void expire(TimeMs now);
  std::optional<TimeMs> deadline() const;
  // Drops what belongs to a stream, or everything (connection lost).
  void forget(std::uint64_t stream);
  void clear();

  // Messages (or late pieces of them) that were given up.
  std::uint64_t discarded() const { return discarded_; }
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Partial {
    TimeMs last_chunk = 0;
    std::uint64_t next_sequence = 0;
    Bytes raw;
  };
  using Partials = std::unordered_map<std::string, Partial>;

  void drop(Partials::iterator partial);
  void append_raw(Partial& partial, ByteView raw);
  void make_room(const std::string& spared);

  std::size_t max_bytes_;
  Partials partials_;  // key: stream and message id
  std::size_t held_bytes_ = 0;
  std::uint64_t discarded_ = 0;
};

}  // namespace conat
