// Results by the digest of what they were found for, for a short time, a bounded number of them.
//
// Thread safety: none.
#pragma once

#include <cstring>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "auth/crypto.hpp"
#include "conat/base/time.hpp"

namespace conat::auth {

// Digests are random already.
struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t value = 0;
    std::memcpy(&value, digest.data(), sizeof(value));
    return value;
  }
};

template <class Entry>
class ExpiringCache {
 public:
  // `ttl_ms` 0: keeps nothing.
  ExpiringCache(std::size_t max_entries, std::int64_t ttl_ms)
      : max_entries_(max_entries), ttl_ms_(ttl_ms) {}

  const Entry* find(TimeMs now, const Digest& key) {
    expire(now);
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second.first;
  }

  void put(TimeMs now, const Digest& key, Entry entry) {
    if (ttl_ms_ <= 0 || max_entries_ == 0) return;
    expire(now);
    const TimeMs until = now + ttl_ms_;
    entries_.insert_or_assign(key, std::pair(std::move(entry), until));
    order_.emplace_back(until, key);
    // An entry that was put twice stands in the order twice.
    while (order_.size() > max_entries_) drop_oldest();
  }

  void clear() {
    entries_.clear();
    order_.clear();
  }
  std::size_t size() const { return entries_.size(); }

 private:
  void expire(TimeMs now) {
    while (!order_.empty() && order_.front().first <= now) drop_oldest();
  }
  void drop_oldest() {
    const auto found = entries_.find(order_.front().second);
    if (found != entries_.end() && found->second.second <= order_.front().first) {
      entries_.erase(found);
    }
    order_.pop_front();
  }

  std::size_t max_entries_;
  std::int64_t ttl_ms_;
  std::unordered_map<Digest, std::pair<Entry, TimeMs>, DigestHash> entries_;
  std::deque<std::pair<TimeMs, Digest>> order_;  // the earliest first: all live equally long
};

}  // namespace conat::auth
