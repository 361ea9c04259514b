// Publishes that one shard passes on to another, packed one behind the other into one buffer: what
// crosses threads is a few large allocations, not several small ones for each message, which the
// other thread would have to give back.
//
// A large publish is not packed: one copy of it, which never changes, is shared by all shards that
// it goes to. The packed form is that of this process (its byte order and alignment).
//
// Thread safety: none; a block is moved to another thread as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/wire/packet.hpp"

namespace conat::peer {

// A publisher, told apart from all others over all shards.
using Sender = std::uint64_t;
// A queue group of the shard that announced it; never used again for another one.
using Group = std::uint64_t;

// A publish for takers on the receiving shard: deliver to one member of each group.
struct ForwardedPublish {
  PublishView publish;
  std::span<const Group> groups;  // groups of one pattern stand together
  Sender sender = 0;              // keeps the chunks of one message on one member
};

class ForwardBlock {
 public:
  // From this size on a block takes no more.
  static constexpr std::size_t full_bytes = 64 * 1024;
  // Subject, tail and attachments of so many bytes together are shared instead of packed.
  static constexpr std::size_t shared_from_bytes = 8 * 1024;

  // What several blocks may share of one publish; made by the first add() that needs it.
  using SharedBody = std::shared_ptr<const Bytes>;

  // Copies everything that `forwarded` views. Pass the same `body`, empty at first, when the same
  // publish is added to other blocks.
  void add(const ForwardedPublish& forwarded, SharedBody& body);

  bool full() const { return packed_.size() >= full_bytes; }
  std::size_t count() const { return count_; }
  // About what it takes in memory, shared bodies included.
  std::size_t memory_bytes() const;

 private:
  friend class ForwardReader;

  Bytes packed_;
  std::vector<SharedBody> bodies_;  // of the shared ones, in order
  std::size_t count_ = 0;
};

// Reads a block from the start; the block must outlive it and what it returns.
class ForwardReader {
 public:
  explicit ForwardReader(const ForwardBlock& block) : block_(block) {}

  // The next publish, valid until the following call; nullptr at the end.
  const ForwardedPublish* next();

 private:
  const ForwardBlock& block_;
  std::size_t place_ = 0;
  std::size_t bodies_ = 0;
  std::vector<ByteView> attachments_;
  ForwardedPublish forwarded_;
};

}  // namespace conat::peer
