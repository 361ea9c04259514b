#include "net/address_limiter.hpp"

#include <algorithm>
#include <cmath>

namespace conat::net {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

template <class Bytes>
std::uint64_t word_of(const Bytes& bytes, std::size_t at) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) word = word << 8 | bytes[at + i];
  return word;
}

bool is_v4_in_v6(const asio::ip::address& address) {
  return address.is_v6() && address.to_v6().is_v4_mapped();
}

}  // namespace

void AddressLimiter::configure(Options options) {
  options_ = options;
  options_.burst = std::max(options.burst, 1.0);
  if (options_.per_second > 0) entries_.resize(max_addresses);
}

bool AddressLimiter::may_connect(TimeMs now, const asio::ip::address& address) {
  return take(now, address, &Entry::connections);
}

bool AddressLimiter::may_open(TimeMs now, const asio::ip::address& address) {
  return take(now, address, &Entry::opens);
}

std::int64_t AddressLimiter::retry_after_s() const {
  return static_cast<std::int64_t>(std::clamp(std::ceil(1 / options_.per_second), 1.0, 3600.0));
}

bool AddressLimiter::is_limited(const asio::ip::address& address) const {
  if (entries_.empty() || address.is_unspecified()) return false;
  if (options_.limit_loopback) return true;
  if (!is_v4_in_v6(address)) return !address.is_loopback();
  return !asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
}

bool AddressLimiter::take(TimeMs now, const asio::ip::address& address, double Entry::*credit) {
  if (!is_limited(address)) return true;
  const asio::ip::address_v6 wide =
      address.is_v6() ? address.to_v6()
                      : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4());
  Key key = wide.to_bytes();
  // A client has a whole /64 to choose its address from.
  if (!wide.is_v4_mapped()) std::fill(key.begin() + 8, key.end(), std::uint8_t{0});
  const std::lock_guard lock(mutex_);
  Entry& entry = entry_of(now, key);
  if (entry.*credit < 1) return false;
  entry.*credit -= 1;
  return true;
}

AddressLimiter::Entry& AddressLimiter::entry_of(TimeMs now, const Key& key) {
  const std::uint64_t hash = mix(mix(word_of(key, 0) ^ options_.seed) ^ word_of(key, 8));
  const std::size_t first = static_cast<std::size_t>(hash % (entries_.size() / ways)) * ways;
  Entry* richest = &entries_[first];
  for (std::size_t i = first; i < first + ways; ++i) {
    Entry& entry = entries_[i];
    refill(now, entry);
    if (entry.used && entry.key == key) return entry;
    const bool richer = entry.opens + entry.connections > richest->opens + richest->connections;
    if (richest->used && (!entry.used || richer)) richest = &entry;
  }
  *richest = {key, now, options_.burst, options_.burst * connections_factor, true};
  return *richest;
}

void AddressLimiter::refill(TimeMs now, Entry& entry) const {
  const double seconds = static_cast<double>(now - entry.since) / 1000;
  const double credit = std::max(seconds, 0.0) * options_.per_second;
  entry.opens = std::min(options_.burst, entry.opens + credit);
  entry.connections = std::min(options_.burst * connections_factor,
                               entry.connections + credit * connections_factor);
  entry.since = now;
}

}  // namespace conat::net
