// Refusals that the server reported lately (`permission` events): the same call fails locally for a
// minute instead of asking again.
//
// Bounded by limits::max_permission_cache_entries; the oldest goes first. Thread safety: none.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conat/base/time.hpp"

namespace conat::client_parts {

enum class PermissionType : std::uint8_t { publish, subscribe };

class PermissionCache {
 public:
  void add(TimeMs now, PermissionType type, std::string_view subject, std::string message);
  // The refusal's text, or null.
  const std::string* find(TimeMs now, PermissionType type, std::string_view subject);
  void clear();
  std::size_t size() const { return refusals_.size(); }

 private:
  struct Refusal {
    TimeMs until = 0;
    std::string message;
  };
  void expire(TimeMs now);

  std::unordered_map<std::string, Refusal> refusals_;
  // In the order of their end, which is that of their arrival.
  std::deque<std::pair<TimeMs, std::string>> order_;
};

}  // namespace conat::client_parts
