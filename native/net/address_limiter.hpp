// How often clients of one address may connect: two token buckets for each IPv4 address or IPv6
// /64, one for WebSocket handshakes and a tenfold one for connections of any kind.
//
// A table of fixed size: when there are more addresses than places, those that have used the least
// of their credit are forgotten first. Addresses of this machine are not limited unless asked for.
// Thread safety: all functions from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "conat/base/time.hpp"
#include "net/asio.hpp"

namespace conat::net {

class AddressLimiter {
 public:
  struct Options {
    double per_second = 0;  // WebSocket handshakes of one address; 0: no limit
    double burst = 0;       // how many may come at once; at least 1 is used
    bool limit_loopback = false;
    std::uint64_t seed = 0;  // spreads the addresses over the table in an order nobody can foresee
  };
  // Connections of any kind, in handshakes.
  static constexpr double connections_factor = 10;
  static constexpr std::size_t max_addresses = 16'384;

  AddressLimiter() = default;
  void configure(Options options);  // before the first call of the others

  // A connection was accepted. False: far too many, drop it.
  bool may_connect(TimeMs now, const asio::ip::address& address);
  // A WebSocket handshake came. False: too many, refuse it.
  bool may_open(TimeMs now, const asio::ip::address& address);
  // Until an address that has used up its credit may open one more.
  std::int64_t retry_after_s() const;

 private:
  using Key = std::array<std::uint8_t, 16>;
  static constexpr std::size_t ways = 4;
  struct Entry {
    Key key{};
    TimeMs since = 0;  // of the two credits
    double opens = 0;
    double connections = 0;
    bool used = false;
  };

  bool is_limited(const asio::ip::address& address) const;
  bool take(TimeMs now, const asio::ip::address& address, double Entry::*credit);
  Entry& entry_of(TimeMs now, const Key& key);
  void refill(TimeMs now, Entry& entry) const;

  Options options_;
  std::mutex mutex_;
  std::vector<Entry> entries_;  // sets of `ways` places behind each other
};

}  // namespace conat::net
