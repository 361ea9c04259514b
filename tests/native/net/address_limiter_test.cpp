#include "net/address_limiter.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace conat::net {
namespace {

asio::ip::address address_of(const std::string& text) { return asio::ip::make_address(text); }

int opens_of(AddressLimiter& limiter, TimeMs now, const std::string& address) {
  int count = 0;
  while (count < 10'000 && limiter.may_open(now, address_of(address))) ++count;
  return count;
}

}  // namespace

TEST_CASE("An address has its burst, and then its rate") {
  AddressLimiter limiter;
  limiter.configure({.per_second = 2, .burst = 5});
  CHECK(opens_of(limiter, 1000, "192.0.2.1") == 5);
  CHECK(opens_of(limiter, 1400, "192.0.2.1") == 0);
  CHECK(opens_of(limiter, 1500, "192.0.2.1") == 1);
  CHECK(opens_of(limiter, 3000, "192.0.2.1") == 3);
  CHECK(opens_of(limiter, 1'000'000, "192.0.2.1") == 5);
  CHECK(opens_of(limiter, 1'000'000, "192.0.2.2") == 5);
  CHECK(limiter.retry_after_s() == 1);
}

TEST_CASE("Connections of any kind have ten times as much") {
  AddressLimiter limiter;
  limiter.configure({.per_second = 0.1, .burst = 3});
  const auto address = address_of("192.0.2.1");
  int count = 0;
  while (limiter.may_connect(5, address)) ++count;
  CHECK(count == 30);
  CHECK(limiter.may_open(5, address));
  CHECK_FALSE(limiter.may_connect(900, address));
  CHECK(limiter.may_connect(1005, address));
  CHECK(limiter.retry_after_s() == 10);
}

TEST_CASE("An IPv6 client is its /64, an IPv4 one in IPv6 is the same as without") {
  AddressLimiter limiter;
  limiter.configure({.per_second = 1, .burst = 4});
  CHECK(opens_of(limiter, 0, "2001:db8:1:2::1") == 4);
  CHECK(opens_of(limiter, 0, "2001:db8:1:2:ffff:ffff:ffff:ffff") == 0);
  CHECK(opens_of(limiter, 0, "2001:db8:1:3::1") == 4);
  CHECK(opens_of(limiter, 0, "192.0.2.7") == 4);
  CHECK(opens_of(limiter, 0, "::ffff:192.0.2.7") == 0);
}

TEST_CASE("Addresses of this machine are limited only when asked for") {
  AddressLimiter limiter;
  limiter.configure({.per_second = 1, .burst = 1});
  for (const std::string address : {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"}) {
    CHECK(opens_of(limiter, 0, address) == 10'000);
  }
  AddressLimiter strict;
  strict.configure({.per_second = 1, .burst = 1, .limit_loopback = true});
  CHECK(opens_of(strict, 0, "127.0.0.1") == 1);
  CHECK(opens_of(strict, 0, "::1") == 1);
}

TEST_CASE("Without a rate nobody is limited") {
  AddressLimiter limiter;
  CHECK(opens_of(limiter, 0, "192.0.2.1") == 10'000);
  limiter.configure({});
  CHECK(opens_of(limiter, 0, "192.0.2.1") == 10'000);
}

TEST_CASE("A flood of addresses displaces those that have used little") {
  AddressLimiter limiter;
  limiter.configure({.per_second = 0.001, .burst = 100, .seed = 12345});
  CHECK(opens_of(limiter, 0, "192.0.2.1") == 100);
  for (int i = 0; i < 60'000; ++i) {
    const std::string address = "10." + std::to_string(i >> 16) + "." +
                                std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255);
    REQUIRE(limiter.may_open(1, address_of(address)));
  }
  CHECK(opens_of(limiter, 2, "192.0.2.1") == 0);
}

}  // namespace conat::net
