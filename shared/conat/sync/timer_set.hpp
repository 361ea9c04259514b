// One timer for each of many objects, by number.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "conat/base/time.hpp"

namespace conat {

class TimerSet {
 public:
  // Replaces the timer of `id`; nullopt: none.
  void set(std::uint32_t id, std::optional<TimeMs> at) {
    const auto known = at_.find(id);
    if (known != at_.end()) {
      if (at && *at == known->second) return;
      order_.erase({known->second, id});
      if (!at) {
        at_.erase(known);
        return;
      }
      known->second = *at;
    } else {
      if (!at) return;
      at_.emplace(id, *at);
    }
    order_.emplace(*at, id);
  }

  std::optional<TimeMs> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }

  // Takes out a timer that is due; 0 when there is none.
  std::uint32_t pop_due(TimeMs now) {
    if (order_.empty() || order_.begin()->first > now) return 0;
    const std::uint32_t id = order_.begin()->second;
    order_.erase(order_.begin());
    at_.erase(id);
    return id;
  }

 private:
  std::set<std::pair<TimeMs, std::uint32_t>> order_;
  std::unordered_map<std::uint32_t, TimeMs> at_;
};

}  // namespace conat
