#include <catch2/catch.hpp>

#include "conat/wire/codec.hpp"
#include "conat/wire/headers.hpp"
#include "conat/wire/json_cursor.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/utf8.hpp"
#include "property/wire/random_values.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("every value survives MessagePack", "[property]") {
  Random random(11);
  for (int round = 0; round < 3000; ++round) {
    const Value value = random_value(random, {});
    const Bytes bytes = encode_msgpack(value);
    const Result<Value> back = decode_msgpack(bytes);
    INFO(encode_json(value));
    REQUIRE(back.ok());
    REQUIRE(*back == value);
    REQUIRE(encode_msgpack(*back) == bytes);
    // And none that is cut short is taken for one.
    const ByteView part(bytes.data(), random.below(static_cast<std::uint32_t>(bytes.size())));
    REQUIRE_FALSE(decode_msgpack(part).ok());
  }
}

TEST_CASE("every JSON value survives JSON", "[property]") {
  Random random(12);
  for (int round = 0; round < 3000; ++round) {
    const Value value = random_value(random, ValueOptions::json());
    const std::string text = encode_json(value);
    const Result<Value> back = decode_json(text);
    INFO(text);
    REQUIRE(back.ok());
    REQUIRE(*back == value);
    REQUIRE(encode_json(*back) == text);
  }
}

TEST_CASE("the JSON cursor and decoder accept the same texts", "[property]") {
  Random random(13);
  int accepted = 0;
  for (int round = 0; round < 8000; ++round) {
    std::string text = encode_json(random_value(random, {}, 2));
    constexpr std::string_view kBreakers = "{}[],:\"\\0-.eE+tn u\n";
    for (std::uint32_t i = random.below(3); i > 0; --i) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      const char breaker = kBreakers[random.below(static_cast<std::uint32_t>(kBreakers.size()))];
      if (random.below(2) == 0) {
        text[at] = breaker;
      } else {
        text.insert(at, 1, breaker);
      }
    }
    JsonCursor cursor(text);
    cursor.skip();
    cursor.skip_space();
    const bool scanned = cursor.ok() && cursor.at_end();
    const Result<Value> decoded = decode_json(text);
    INFO(text);
    if (decoded.ok()) ++accepted;
    // The cursor leaves the encoding of characters to others.
    REQUIRE((scanned && is_utf8(as_bytes(text))) == decoded.ok());
    if (decoded) REQUIRE(decode_json(encode_json(*decoded)).ok());
  }
  CHECK(accepted > 500);
}

TEST_CASE("the MessagePack cursor and decoder accept the same bytes", "[property]") {
  Random random(14);
  for (int round = 0; round < 8000; ++round) {
    Bytes bytes = encode_msgpack(random_value(random, {}, 2));
    for (std::uint32_t i = random.below(3); i > 0; --i) {
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] =
          static_cast<std::uint8_t>(random.below(256));
    }
    MsgpackCursor cursor(bytes);
    const ByteView skipped = cursor.skip();
    const Result<Value> decoded = decode_msgpack(skipped);
    // Only map keys can be wrong then.
    if (!decoded && cursor.ok()) REQUIRE(decoded.error().text.find("key") != std::string::npos);
    if (decoded) REQUIRE(cursor.ok());
  }
}

TEST_CASE("headers behave like a map", "[property]") {
  Random random(15);
  for (int round = 0; round < 100; ++round) {
    Headers headers;
    Value model;
    for (int step = 0; step < 30; ++step) {
      const std::string key = "k" + std::to_string(random.below(8));
      if (random.below(3) == 0) {
        headers.erase(key);
        model.erase(key);
      } else {
        const Value value = random_value(random, {}, 1);
        headers.set(key, value);
        model.set(key, value);
      }
      const Value expected = model.is_null() || model.if_map()->empty() ? Value() : model;
      REQUIRE(headers.value() == expected);
      const Value* entry = model.find(key);
      REQUIRE(headers.has(key) == (entry != nullptr));
      if (entry != nullptr) REQUIRE(headers.get(key) == *entry);
    }
  }
}
