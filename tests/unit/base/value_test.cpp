#include "conat/base/value.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using conat::Bytes;
using conat::Value;

TEST_CASE("unsigned numbers are stored as int64 when they fit", "[value]") {
  const Value small(std::uint64_t{5});
  REQUIRE(small.if_integer() != nullptr);
  CHECK(*small.if_integer() == 5);
  const Value largest(std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  CHECK(largest.if_integer() != nullptr);
  const Value big(std::uint64_t{1} << 63);
  CHECK(big.if_integer() == nullptr);
  CHECK(*big.if_big_integer() == std::uint64_t{1} << 63);
}

TEST_CASE("numbers are compared by value and exactly", "[value]") {
  CHECK(Value(1) == Value(1.0));
  CHECK(Value(1.0) == Value(1));
  CHECK(Value(1) != Value(1.5));
  CHECK(Value(0) == Value(-0.0));
  CHECK(Value(std::int64_t{9007199254740993}) != Value(9007199254740992.0));
  CHECK(Value(std::numeric_limits<std::int64_t>::max()) != Value(9223372036854775808.0));
  CHECK(Value(std::numeric_limits<std::int64_t>::min()) == Value(-9223372036854775808.0));
  CHECK(Value(std::uint64_t{1} << 63) == Value(9223372036854775808.0));
  CHECK(Value(std::numeric_limits<std::uint64_t>::max()) != Value(18446744073709551616.0));
  CHECK(Value(std::nan("")) == Value(std::nan("")));
  CHECK(Value(std::nan("")) != Value(0));
  CHECK(Value(1) != Value(true));
  CHECK(Value(1) != Value("1"));
  CHECK(Value(-1) != Value(std::numeric_limits<std::uint64_t>::max()));
}

TEST_CASE("values are equal by kind and content", "[value]") {
  CHECK(Value() == Value(nullptr));
  CHECK(Value("a") == Value(std::string("a")));
  CHECK(Value(Bytes{1}) != Value(Bytes{2}));
  CHECK(Value(Value::Array{1, "x"}) == Value(Value::Array{1.0, "x"}));
  CHECK(Value(Value::Array{1}) != Value(Value::Array{1, 2}));
  CHECK(Value(Value::Date{5}) == Value(Value::Date{5}));
  CHECK(Value(Value::Date{5}) != Value(5));
  CHECK(Value(Value::Extension{1, {2}}) == Value(Value::Extension{1, {2}}));
  CHECK(Value(Value::Extension{1, {2}}) != Value(Value::Extension{3, {2}}));
  CHECK(Value(Value::Map{}) != Value(Value::Array{}));
}

TEST_CASE("maps are equal in any order", "[value]") {
  CHECK(Value(Value::Map{{"a", 1}, {"b", 2}}) == Value(Value::Map{{"b", 2}, {"a", 1}}));
  CHECK(Value(Value::Map{{"a", 1}, {"b", 2}}) != Value(Value::Map{{"b", 1}, {"a", 2}}));
  CHECK(Value(Value::Map{{"a", 1}}) != Value(Value::Map{{"b", 1}}));
  Value::Map up, down;
  for (int i = 0; i < 100; ++i) {
    up.emplace_back(std::to_string(i), i);
    down.emplace_back(std::to_string(99 - i), 99 - i);
  }
  CHECK(Value(up) == Value(down));
  down[50].second = -1;
  CHECK(Value(up) != Value(down));
}

TEST_CASE("maps are edited in place", "[value]") {
  Value map;
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  CHECK(map == Value(Value::Map{{"a", 3}, {"b", 2}}));
  CHECK((*map.if_map())[0].first == "a");
  CHECK(map.find("b")->integer_or(0) == 2);
  CHECK(map.find("c") == nullptr);
  CHECK(map.erase("a"));
  CHECK_FALSE(map.erase("a"));
  CHECK(map == Value(Value::Map{{"b", 2}}));
  Value text("x");
  text.set("a", 1);
  CHECK(text == Value("x"));
  CHECK(text.find("a") == nullptr);
  CHECK_FALSE(text.erase("a"));
}

TEST_CASE("accessors take what converts without loss and nothing else", "[value]") {
  CHECK(Value(2).number_or(9) == 2);
  CHECK(Value(2.5).number_or(9) == 2.5);
  CHECK(Value("2").number_or(9) == 9);
  CHECK(Value(2.0).integer_or(9) == 2);
  CHECK(Value(2.5).integer_or(9) == 9);
  CHECK(Value(1e300).integer_or(9) == 9);
  CHECK(Value(std::numeric_limits<double>::infinity()).integer_or(9) == 9);
  CHECK(Value(std::uint64_t{1} << 63).integer_or(9) == 9);
  CHECK(Value("x").text_or("y") == "x");
  CHECK(Value(1).text_or("y") == "y");
  CHECK(Value(true).bool_or(false));
  CHECK_FALSE(Value(1).bool_or(false));
  CHECK(Value(1).is_number());
  CHECK(Value(1.5).is_number());
  CHECK_FALSE(Value(true).is_number());
}
