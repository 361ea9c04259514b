// Many deadlines, of which most are given up before they come: a binary heap whose entries are
// checked against the owner's present state when they come to the top.
//
// The owner keeps the true deadline with each of its objects and treats a popped entry that does
// not equal it as void. Void entries are swept out when they outnumber the live objects.
// Thread safety: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "conat/base/time.hpp"

namespace conat::client_parts {

class DeadlineHeap {
 public:
  struct Entry {
    TimeMs when = 0;
    std::uint64_t id = 0;
    bool operator>(const Entry& other) const {
      return when != other.when ? when > other.when : id > other.id;
    }
  };

  void add(TimeMs when, std::uint64_t id) {
    heap_.push_back({when, id});
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  // Never later than the earliest true deadline; earlier when the top is void.
  std::optional<TimeMs> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().when;
  }

  std::optional<Entry> pop_due(TimeMs now) {
    if (heap_.empty() || heap_.front().when > now) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }

  // Sweeps when void entries are the majority. `is_current(entry)` tells them apart.
  template <class IsCurrent>
  void sweep(std::size_t live, IsCurrent&& is_current) {
    if (heap_.size() <= 2 * live + kSlack) return;
    heap_.erase(std::remove_if(heap_.begin(), heap_.end(),
                               [&](const Entry& entry) { return !is_current(entry); }),
                heap_.end());
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  void clear() { heap_.clear(); }

 private:
  static constexpr std::size_t kSlack = 256;
  std::vector<Entry> heap_;
};

}  // namespace conat::client_parts
