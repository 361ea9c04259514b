// Random values for the wire layer's properties.
#pragma once

#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "conat/base/random.hpp"
#include "conat/base/value.hpp"

namespace conat::test {

struct ValueOptions {
  bool binary = true;
  bool dates = true;
  // Only what JSON can hold, so that it comes back as it was.
  static ValueOptions json() { return {false, false}; }
};

inline Bytes random_bytes(Random& random, std::uint32_t max_size) {
  Bytes bytes(random.below(max_size + 1));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

inline std::string random_text(Random& random, std::uint32_t max_pieces) {
  constexpr const char* kPieces[] = {"a",
                                     ".",
                                     "\"",
                                     "\\",
                                     "\n",
                                     "\x01",
                                     "\x7f",
                                     "\xc3\xa4",
                                     "\xe2\x82\xac",
                                     "\xf0\x9f\x98\x80",
                                     "_placeholder",
                                     "num",
                                     "7"};
  std::string text;
  for (std::uint32_t i = random.below(max_pieces + 1); i > 0; --i) {
    text.append(kPieces[random.below(13)]);
  }
  return text;
}

inline Value random_number(Random& random) {
  switch (random.below(5)) {
    case 0:
      return static_cast<std::int64_t>(random.next_u64() >> random.below(64));
    case 1:
      return -static_cast<std::int64_t>(random.next_u64() >> (1 + random.below(63)));
    case 2:
      return random.next_u64();
    case 3:
      // Below 2^53: above it JSON's shortest digits are those of another integer.
      return (random.unit() - 0.5) * static_cast<double>(random.next_u64() >> 11);
    default:
      return static_cast<double>(random.below(1000)) / 8;
  }
}

inline Value random_value(Random& random, const ValueOptions& options, int depth = 4) {
  switch (random.below(depth > 0 ? 10 : 7)) {
    case 0:
      return {};
    case 1:
      return random.below(2) == 0;
    case 2:
    case 3:
      return random_number(random);
    case 4:
      return random_text(random, 6);
    case 5:
      if (options.binary) return random_bytes(random, 40);
      return random_text(random, 40);
    case 6:
      if (options.dates) {
        // Milliseconds, as JavaScript's dates are.
        return Value::Date{static_cast<double>(static_cast<std::int64_t>(random.next_u64() >> 12)) -
                           2e15};
      }
      return random_number(random);
    case 7: {
      Value::Array items;
      for (std::uint32_t i = random.below(6); i > 0; --i) {
        items.push_back(random_value(random, options, depth - 1));
      }
      return items;
    }
    default: {
      Value map = Value::Map{};
      for (std::uint32_t i = random.below(random.below(10) == 0 ? 40 : 5); i > 0; --i) {
        map.set(random_text(random, 4), random_value(random, options, depth - 1));
      }
      return map;
    }
  }
}

// How many binary values there are: a text packet takes only so many.
inline std::size_t count_binary(const Value& value) {
  std::size_t count = value.if_binary() != nullptr ? 1 : 0;
  if (const auto* items = value.if_array()) {
    for (const Value& item : *items) count += count_binary(item);
  }
  if (const auto* map = value.if_map()) {
    for (const auto& entry : *map) count += count_binary(entry.second);
  }
  return count;
}

}  // namespace conat::test
