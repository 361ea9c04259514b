// When which connection wants to be woken. A connection has one entry that counts (the caller
// remembers its time); later or stale entries are told apart by it when they come up.
//
// Thread safety: none.
#pragma once

#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "conat/base/time.hpp"
#include "conat/broker/broker.hpp"

namespace conat {

class TimerQueue {
 public:
  struct Entry {
    TimeMs at;
    ConnectionId connection;
    bool operator>(const Entry& other) const { return at > other.at; }
  };

  void add(TimeMs at, ConnectionId connection) { entries_.push({at, connection}); }
  std::optional<TimeMs> next_at() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.top().at;
  }
  Entry take() {
    const Entry entry = entries_.top();
    entries_.pop();
    return entry;
  }

 private:
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> entries_;
};

}  // namespace conat
