// The message ids (msgID) of the last two minutes, for recognizing a repeated set.
//
// Only a hash of each id and its sequence number are kept in memory; the store has the ids
// themselves and settles what a hash suggests. Bounded in bytes: beyond it the oldest are forgotten
// early. Additions since mark() can be undone; forgetting needs no undoing, what is forgotten is
// past its time. Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "conat/base/time.hpp"
#include "conat/stream/store.hpp"

namespace conat {

class MessageIdWindow {
 public:
  // `stores_text`: the store keeps the ids in memory too, so their length counts.
  MessageIdWindow(std::size_t max_bytes, bool stores_text)
      : max_bytes_(max_bytes), stores_text_(stores_text) {}

  // The message that may have had this id.
  std::optional<StreamSequence> find(std::string_view id) const;
  void add(std::string_view id, StreamSequence seq, UnixMs time);
  // Forgets ids past their time and those beyond the bound, at most `max_entries` of them;
  // returns how many.
  std::size_t advance(UnixMs now, std::size_t max_entries);
  bool due(UnixMs now) const;
  bool empty() const { return entries_.empty(); }
  // Everything up to this sequence number has been forgotten, here: the store may follow.
  StreamSequence forgotten_through() const { return forgotten_through_; }
  void set_forgotten_through(StreamSequence seq) { forgotten_through_ = seq; }

  void mark() { added_ = 0; }
  void undo();

 private:
  struct Entry {
    std::uint64_t hash;
    StreamSequence seq;
    UnixMs time;
    std::size_t bytes;
  };
  std::size_t cost(std::string_view id) const;
  void drop(const Entry& entry);

  std::size_t max_bytes_;
  bool stores_text_;
  std::deque<Entry> entries_;  // ascending by seq
  std::unordered_map<std::uint64_t, StreamSequence> by_hash_;
  std::size_t bytes_ = 0;
  std::size_t added_ = 0;  // entries at the back that came since mark()
  StreamSequence forgotten_through_ = 0;
};

}  // namespace conat
