#include "conat/base/random.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <set>

using conat::Random;

TEST_CASE("the stream is ChaCha20 as RFC 8439 has it", "[random]") {
  Random random{Random::Seed{}};
  // Appendix A.1, test vectors 1 and 2: a key and a nonce of zeros, counters 0 and 1.
  CHECK(random.next_u32() == 0xade0b876);
  CHECK(random.next_u32() == 0x903df1a0);
  CHECK(random.next_u64() == 0x28bd8653e56a5d40);
  for (int i = 4; i < 16; ++i) random.next_u32();
  CHECK(random.next_u32() == 0xbee7079f);
  CHECK(random.next_u32() == 0x7a385155);
}

TEST_CASE("the key's bytes are read in little-endian order", "[random]") {
  // Appendix A.1, test vector 3 has counter 1: its block is the second of the stream.
  Random::Seed seed{};
  seed[31] = 1;
  Random random(seed);
  for (int i = 0; i < 16; ++i) random.next_u32();
  CHECK(random.next_u32() == 0x2452eb3a);
  CHECK(random.next_u32() == 0x9249f8ec);
}

TEST_CASE("equal seeds give equal streams, different ones different streams", "[random]") {
  Random a(7), b(7), c(8);
  const std::uint64_t first = a.next_u64();
  CHECK(first == b.next_u64());
  CHECK(first != c.next_u64());
  Random forked = a.fork();
  Random forked_again = b.fork();
  CHECK(forked.next_u64() == forked_again.next_u64());
  CHECK(forked.next_u64() != a.next_u64());
}

TEST_CASE("below is within its bound and even", "[random]") {
  Random random(1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts.at(random.below(6));
  for (const int count : counts) CHECK(std::abs(count - 10'000) < 500);
  CHECK(random.below(1) == 0);
  bool high = false;
  for (int i = 0; i < 100; ++i) high = random.below(0xffffffff) > 0x80000000 || high;
  CHECK(high);
}

TEST_CASE("unit is in [0, 1) and even", "[random]") {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.unit();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    sum += value;
  }
  CHECK(sum / 10'000 == Approx(0.5).margin(0.02));
}

TEST_CASE("ids use their alphabets and do not repeat", "[random]") {
  Random random(3);
  std::set<std::string> seen;
  std::set<char> letters;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random.id();
    REQUIRE(id.size() == 10);
    for (const char c : id) REQUIRE(std::isalnum(static_cast<unsigned char>(c)));
    CHECK(seen.insert(id).second);
    const std::string sid = random.sid();
    REQUIRE(sid.size() == 20);
    letters.insert(sid.begin(), sid.end());
    CHECK(seen.insert(sid).second);
  }
  CHECK(letters.size() == 64);
  CHECK(letters.count('-') == 1);
  CHECK(letters.count('_') == 1);
  CHECK(random.id(3).size() == 3);
}
