// The connections of a shard by id.
//
// An id is (shard, generation, place): finding one is an index and a comparison, and an id is never
// used again. Thread safety: none. References to heads are valid until the next add().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "conat/broker/connection.hpp"

namespace conat {

class ConnectionTable {
 public:
  explicit ConnectionTable(ShardIndex shard) : shard_(shard) {}

  ConnectionId add(std::unique_ptr<Connection> connection);
  void remove(ConnectionId id);

  ConnectionHead* find(ConnectionId id) {
    const std::size_t place = place_of(id);
    if (place >= heads_.size()) return nullptr;
    ConnectionHead& head = heads_[place];
    return head.connection && id == id_of(place, head.generation) ? &head : nullptr;
  }
  // For an id that is known to be there.
  ConnectionHead& at(ConnectionId id) { return heads_[place_of(id)]; }

  // Calls visit(ConnectionId, ConnectionHead&) for each; visit may remove that one.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::size_t place = 0; place < heads_.size(); ++place) {
      if (heads_[place].connection) visit(id_of(place, heads_[place].generation), heads_[place]);
    }
  }

  // Ids of a space of their own, for those who send over a link: never one of a connection.
  ConnectionId link_sender_id(std::uint64_t number) const {
    return std::uint64_t{shard_} << 48 | (number >> (kPlaceBits - 1)) << kPlaceBits | kLinkSender |
           (number & (kLinkSender - 1));
  }
  static bool is_link_sender(ConnectionId id) { return (id & kLinkSender) != 0; }

  std::size_t size() const { return size_; }
  static ShardIndex shard_of(ConnectionId id) { return static_cast<ShardIndex>(id >> 48); }

 private:
  static constexpr int kPlaceBits = 24;
  static constexpr int kGenerationBits = 24;
  static constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;
  // A place beyond all that memory could hold.
  static constexpr std::uint64_t kLinkSender = std::uint64_t{1} << (kPlaceBits - 1);
  static constexpr std::uint32_t kLastGeneration = (std::uint32_t{1} << kGenerationBits) - 1;

  static std::size_t place_of(ConnectionId id) { return id & kPlaceMask; }
  ConnectionId id_of(std::size_t place, std::uint32_t generation) const {
    return std::uint64_t{shard_} << 48 | std::uint64_t{generation} << kPlaceBits | place;
  }

  ShardIndex shard_;
  std::vector<ConnectionHead> heads_;
  std::deque<std::uint32_t> free_;  // first freed, first used
  std::size_t size_ = 0;
};

}  // namespace conat
