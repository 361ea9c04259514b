// How many messages and bytes were stored within the last second: what rate limits look at.
//
// Counts are kept per millisecond, so that at most a thousand entries exist whatever the rate, and
// every operation is O(1) amortized. Additions since mark() can be undone.
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "conat/base/time.hpp"

namespace conat {

class RateWindow {
 public:
  static constexpr std::int64_t length_ms = 1000;

  void add(UnixMs now, std::int64_t bytes);
  // Forgets what lies outside of (now - 1 s, now]; also the future, after a clock was set back.
  void advance(UnixMs now);
  std::int64_t messages() const { return messages_; }
  std::int64_t bytes() const { return bytes_; }
  void clear();

  void mark() { added_.clear(); }
  void undo();

 private:
  struct Entry {
    UnixMs time;
    std::int64_t messages;
    std::int64_t bytes;
  };
  template <class List>
  static void add_to(List& list, UnixMs time, std::int64_t bytes);

  std::deque<Entry> entries_;  // strictly ascending by time
  std::vector<Entry> added_;   // since mark()
  std::int64_t messages_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace conat
