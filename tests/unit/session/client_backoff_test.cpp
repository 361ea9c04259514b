#include "conat/session/client_backoff.hpp"

#include <catch2/catch.hpp>
#include <limits>

using conat::ClientBackoff;
using conat::Random;

TEST_CASE("delays double up to the maximum") {
  ClientBackoff backoff(500, 15'000, 0);
  Random random(1);
  for (const std::int64_t expected : {500, 1000, 2000, 4000, 8000, 15'000, 15'000}) {
    CHECK(backoff.next_ms(random) == expected);
  }
  backoff.reset();
  CHECK(backoff.next_ms(random) == 500);
}

TEST_CASE("jitter stays within its share and differs from one client to the next") {
  Random random(2);
  std::int64_t lowest = 10'000;
  std::int64_t highest = 0;
  for (int i = 0; i < 200; ++i) {
    ClientBackoff backoff(1000, 15'000, 0.5);
    const std::int64_t delay = backoff.next_ms(random);
    lowest = std::min(lowest, delay);
    highest = std::max(highest, delay);
  }
  CHECK(lowest >= 500);
  CHECK(highest <= 1500);
  CHECK(lowest < 700);
  CHECK(highest > 1300);
}

TEST_CASE("no options make a delay that is zero, negative or endless") {
  Random random(3);
  for (const double randomization :
       {0.0, 1.0, 1e9, -5.0, std::numeric_limits<double>::quiet_NaN()}) {
    for (const std::int64_t delay : {std::int64_t{-7}, std::int64_t{0}, std::int64_t{1} << 60}) {
      ClientBackoff backoff(delay, 1000, randomization);
      for (int i = 0; i < 100; ++i) {
        const std::int64_t ms = backoff.next_ms(random);
        CHECK(ms >= 1);
        CHECK(ms <= 1000);
      }
    }
  }
}
