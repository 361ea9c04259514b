#include "conat/wire/headers.hpp"

#include <catch2/catch.hpp>

#include "conat/wire/codec.hpp"
#include "conat/wire/message.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("falsy headers are none", "[headers]") {
  CHECK(Headers().empty());
  CHECK(Headers(Value()).empty());
  CHECK(Headers(Value(false)).empty());
  CHECK(Headers(Value(0)).empty());
  CHECK(Headers(Value(0.0)).empty());
  CHECK(Headers(Value("")).empty());
  CHECK_FALSE(Headers(Value(Value::Map{})).empty());
  CHECK_FALSE(Headers(Value("x")).empty());
  CHECK_FALSE(Headers(Value(true)).empty());
  CHECK(Headers().value() == Value());
}

TEST_CASE("single entries are found without decoding", "[headers]") {
  const Value value =
      Value::Map{{"CN-Reply", "_INBOX.a.b"}, {"n", 300}, {"neg", -1}, {"o", Value::Map{{"x", 1}}}};
  const Headers headers(value);
  CHECK(headers.value() == value);
  CHECK(headers.text(header::reply) == "_INBOX.a.b");
  CHECK(headers.number("n") == 300u);
  CHECK(headers.get("o") == Value(Value::Map{{"x", 1}}));
  CHECK(headers.has("neg"));
  CHECK_FALSE(headers.text("n").has_value());
  CHECK_FALSE(headers.number("neg").has_value());
  CHECK_FALSE(headers.number(header::reply).has_value());
  CHECK_FALSE(headers.get("absent").has_value());
  CHECK_FALSE(headers.has("x"));
}

TEST_CASE("of equal keys the last counts, as in decoding", "[headers]") {
  const Headers headers(unhex("83a16101a16202a16103"));
  CHECK(headers.number("a") == 3u);
  CHECK(headers.value().find("a")->integer_or(0) == 3);
}

TEST_CASE("entries are replaced in place and appended", "[headers]") {
  Headers headers;
  headers.set("a", 1);
  headers.set("b", "x");
  headers.set("a", Value::Array{2});
  CHECK(encode_json(headers.value()) == R"({"a":[2],"b":"x"})");
  headers.erase("c");
  CHECK(encode_json(headers.value()) == R"({"a":[2],"b":"x"})");
  headers.erase("a");
  CHECK(encode_json(headers.value()) == R"({"b":"x"})");
  headers.erase("b");
  CHECK(headers.empty());
  for (int i = 0; i < 20; ++i) headers.set(std::to_string(i), i);
  CHECK(headers.value().if_map()->size() == 20);
  CHECK(headers.number("19") == 19u);
}

TEST_CASE("headers that are no map become one", "[headers]") {
  Headers text(Value("just text"));
  CHECK(text.value() == Value("just text"));
  CHECK_FALSE(text.text("a").has_value());
  text.set("a", 1);
  CHECK(text.value() == Value(Value::Map{{"a", 1}}));
}

TEST_CASE("malformed headers hold nothing", "[headers]") {
  for (const char* bad : {"81", "82a16101", "c1", "81a161", "dfffffffff"}) {
    Headers headers(unhex(bad));
    INFO(bad);
    CHECK(headers.value() == Value());
    CHECK_FALSE(headers.number("b").has_value());
    headers.set("b", 1);
    CHECK(headers.value() == Value(Value::Map{{"b", 1}}));
  }
  // Keys that are no text are passed over but kept.
  Headers odd(unhex("8201a178a16105"));
  CHECK(odd.number("a") == 5u);
  odd.set("a", 6);
  CHECK(hex(odd.encoded()) == "8201a178a16106");
}

TEST_CASE("a message's reply subject comes from its headers", "[message]") {
  Message message{"s", MessageData::of(Value(5), Headers(Value::Map{{"CN-Reply", "r"}}))};
  CHECK(message.reply_subject() == "r");
  CHECK(hex(message.data.raw) == "05");
  CHECK(*message.data.decode() == Value(5));
  message.data.headers = {};
  CHECK(message.reply_subject().empty());
  CHECK(*MessageData::of(Value("x"), {}, PayloadEncoding::json).decode() == Value("x"));
}
