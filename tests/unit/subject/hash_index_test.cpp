#include "conat/subject/hash_index.hpp"

#include <catch2/catch.hpp>
#include <map>

#include "conat/base/random.hpp"

using namespace conat;

TEST_CASE("HashIndex behaves like a multimap, with colliding hashes too", "[subject]") {
  Random random(7);
  HashIndex index;
  std::map<std::uint32_t, std::uint32_t> model;  // value -> hash
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t value = random.below(500);
    const auto known = model.find(value);
    if (known == model.end()) {
      const std::uint32_t hash = random.below(64) * 0x01000193;
      model[value] = hash;
      index.insert(hash, value);
    } else if (random.below(2) == 0) {
      CHECK(index.erase(known->second, value));
      CHECK_FALSE(index.erase(known->second, value));
      model.erase(known);
    }
    REQUIRE(index.size() == model.size());
    const std::uint32_t probe = random.below(500);
    const auto there = model.find(probe);
    const std::uint32_t hash = there == model.end() ? 0 : there->second;
    const std::uint32_t found = index.find(hash, [&](std::uint32_t v) { return v == probe; });
    REQUIRE(found == (there == model.end() ? HashIndex::kNone : probe));
  }
}

TEST_CASE("hash_text depends on the whole text and on the seed", "[subject]") {
  CHECK(hash_text("abc", 1) == hash_text("abc", 1));
  CHECK(hash_text("abc", 1) != hash_text("abc", 2));
  CHECK(hash_text("abcdefgh1", 1) != hash_text("abcdefgh2", 1));
  CHECK(hash_text("", 1) != hash_text(std::string_view("\0", 1), 1));
}
