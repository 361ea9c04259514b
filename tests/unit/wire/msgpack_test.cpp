#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "conat/wire/codec.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;

namespace {

std::string encoded(const Value& value) { return hex(encode_msgpack(value)); }

Value decoded(std::string_view hexadecimal) {
  const Result<Value> value = decode_msgpack(unhex(hexadecimal));
  REQUIRE(value.ok());
  return *value;
}

bool refused(std::string_view hexadecimal) { return !decode_msgpack(unhex(hexadecimal)).ok(); }

Bytes nested(std::size_t depth) {
  Bytes bytes(depth, 0x91);
  bytes.push_back(0xc0);
  return bytes;
}

}  // namespace

TEST_CASE("the recorded payload is written byte for byte", "[msgpack]") {
  const Value value = Value::Map{{"a", 1},
                                 {"b", Value::Array{true, nullptr, 1.5}},
                                 {"d", Value::Date{0}},
                                 {"bin", Bytes{1, 2, 3}}};
  const std::string recorded =
      "84a16101a16293c3c0cb3ff8000000000000a164d6ff00000000a362696ec403010203";
  CHECK(encoded(value) == recorded);
  CHECK(decoded(recorded) == value);
}

TEST_CASE("integers take their smallest form", "[msgpack]") {
  const std::pair<std::int64_t, const char*> forms[] = {
      {0, "00"},
      {127, "7f"},
      {128, "cc80"},
      {255, "ccff"},
      {256, "cd0100"},
      {65535, "cdffff"},
      {65536, "ce00010000"},
      {4294967295, "ceffffffff"},
      {4294967296, "cf0000000100000000"},
      {-1, "ff"},
      {-32, "e0"},
      {-33, "d0df"},
      {-128, "d080"},
      {-129, "d1ff7f"},
      {-32768, "d18000"},
      {-32769, "d2ffff7fff"},
      {-2147483648, "d280000000"},
      {-2147483649, "d3ffffffff7fffffff"},
      {std::numeric_limits<std::int64_t>::min(), "d38000000000000000"},
  };
  for (const auto& [number, form] : forms) {
    INFO(number);
    CHECK(encoded(Value(number)) == form);
    CHECK(*decoded(form).if_integer() == number);
  }
  CHECK(encoded(Value(std::numeric_limits<std::uint64_t>::max())) == "cfffffffffffffffff");
  CHECK(*decoded("cfffffffffffffffff").if_big_integer() ==
        std::numeric_limits<std::uint64_t>::max());
  // Read in larger forms than needed, too.
  CHECK(*decoded("d30000000000000005").if_integer() == 5);
  CHECK(*decoded("cf0000000000000005").if_integer() == 5);
}

TEST_CASE("reals stay reals", "[msgpack]") {
  CHECK(encoded(Value(1.0)) == "cb3ff0000000000000");
  CHECK(decoded("cb3ff0000000000000").if_real() != nullptr);
  CHECK(*decoded("ca3fc00000").if_real() == 1.5);
  CHECK(std::isnan(*decoded("cb7ff8000000000000").if_real()));
}

TEST_CASE("lengths take their smallest form", "[msgpack]") {
  const auto head = [](const Value& value, std::size_t bytes) {
    return encoded(value).substr(0, 2 * bytes);
  };
  CHECK(head(std::string(31, 'x'), 1) == "bf");
  CHECK(head(std::string(32, 'x'), 2) == "d920");
  CHECK(head(std::string(256, 'x'), 3) == "da0100");
  CHECK(head(std::string(65536, 'x'), 5) == "db00010000");
  CHECK(head(Bytes(), 2) == "c400");
  CHECK(head(Bytes(256), 3) == "c50100");
  CHECK(head(Bytes(65536), 5) == "c600010000");
  CHECK(head(Value::Array(15), 1) == "9f");
  CHECK(head(Value::Array(16), 3) == "dc0010");
  CHECK(head(Value::Array(65536), 5) == "dd00010000");
  CHECK(head(Value::Map{}, 1) == "80");
}

TEST_CASE("timestamps have three forms", "[msgpack]") {
  const auto date = [](std::string_view form) {
    const Value value = decoded(form);
    REQUIRE(value.if_date() != nullptr);
    return value.if_date()->unix_ms;
  };
  CHECK(encoded(Value::Date{1000}) == "d6ff00000001");
  CHECK(encoded(Value::Date{4294967295000}) == "d6ffffffffff");
  CHECK(encoded(Value::Date{4294967296000}) == "d7ff0000000100000000");
  CHECK(encoded(Value::Date{1}) == "d7ff003d090000000000");
  CHECK(encoded(Value::Date{-1}) == "c70cff3b8b87c0ffffffffffffffff");
  CHECK(encoded(Value::Date{17179869184000}) == "c70cff000000000000000400000000");
  CHECK(encoded(Value::Date{std::nan("")}) == "c0");
  CHECK(encoded(Value::Date{1e17}) == "c0");
  CHECK(date("d6ff00000001") == 1000);
  CHECK(date("d7ff003d090000000000") == 1);
  CHECK(date("c70cff3b8b87c0ffffffffffffffff") == -1);
  CHECK(date("c70cff000000000000000000000001") == 1000);
  // The quotient of this one would be rounded up to a whole second.
  CHECK(date(encoded(Value::Date{1e15 - 0.125})) == 1e15 - 0.125);
  CHECK(date(encoded(Value::Date{-1e-9})) == 0);
  CHECK(encoded(Value::Date{8.64e15}) == "c70cff00000000000007dba8218000");
  CHECK(date("c70cff00000000000007dba8218000") == 8.64e15);
}

TEST_CASE("extensions that are no dates are kept as they came", "[msgpack]") {
  for (const char* form :
       {"d40501", "d5050102", "c70005",
        "c7030501"
        "0203",
        // type -1 in a form that is none, with too many nanoseconds, beyond any date
        "d4ffff", "d7ffffffffff00000000", "c70cff000000007fffffffffffffff"}) {
    INFO(form);
    const Value value = decoded(form);
    REQUIRE(value.if_extension() != nullptr);
    CHECK(encoded(value) == form);
  }
}

TEST_CASE("MessagePack that is malformed is refused", "[msgpack]") {
  for (
      const char* bad :
      {"",           "c1",           "0000",         "91",           "81a161",       "a5616263",
       "d9",         "d905616263",   "c4",           "c405",         "cb00",         "d3000000",
       "d6ff00",     "c7",           "c70c",         "c70cff",       "dc",           "dc0001",
       "dd00000001", "ddffffffff00", "dfffffffff00", "dbffffffff00", "c6ffffffff00", "c9ffffffff00",
       "810101",     "81c001",       "8180c0",       "8190c0",       "81c40161c0"}) {
    INFO(bad);
    CHECK(refused(bad));
  }
}

TEST_CASE("MessagePack nests up to the limit", "[msgpack]") {
  CHECK(decode_msgpack(nested(limits::max_value_depth)).ok());
  CHECK_FALSE(decode_msgpack(nested(limits::max_value_depth + 1)).ok());
  CHECK(decode_msgpack(nested(limits::max_value_depth + 1), limits::max_value_depth + 1).ok());
  CHECK_FALSE(decode_msgpack(nested(1'000'000)).ok());
}

TEST_CASE("of equal keys the last value wins in MessagePack, too", "[msgpack]") {
  CHECK(decoded("83a16101a16202a16103") == Value(Value::Map{{"a", 3}, {"b", 2}}));
}

TEST_CASE("keys that are no UTF-8 are repaired, and may then be the same key", "[msgpack]") {
  CHECK(decoded("82a19e01a18b02") == Value(Value::Map{{"\xef\xbf\xbd", 2}}));
}

TEST_CASE("payloads are encoded as their number says", "[codec]") {
  const Value value = Value::Map{{"a", 1}};
  CHECK(as_text(encode_payload(PayloadEncoding::json, value)) == R"({"a":1})");
  CHECK(hex(encode_payload(PayloadEncoding::msgpack, value)) == "81a16101");
  CHECK(*decode_payload(PayloadEncoding::json, as_bytes(R"({"a":1})")) == value);
  CHECK(*decode_payload(PayloadEncoding::msgpack, unhex("81a16101")) == value);
  CHECK_FALSE(decode_payload(static_cast<PayloadEncoding>(7), unhex("c0")).ok());
}

TEST_CASE("a cursor walks over values", "[msgpack]") {
  const Bytes bytes = unhex("82 a3666f6f 92 05 cd0100 d9036261 72 c403010203");
  MsgpackCursor cursor(bytes);
  CHECK(cursor.next_is_map());
  CHECK(cursor.read_map() == 2);
  CHECK(cursor.read_text() == "foo");
  CHECK(cursor.next_is_array());
  CHECK(cursor.read_array() == 2);
  CHECK(cursor.next_is_unsigned());
  CHECK(cursor.read_unsigned() == 5);
  CHECK(cursor.read_unsigned() == 256);
  CHECK(cursor.next_is_text());
  CHECK(cursor.read_text() == "bar");
  CHECK(cursor.next_is_binary());
  CHECK(hex(cursor.read_binary()) == "010203");
  CHECK(cursor.ok());
  CHECK(cursor.at_end());
  CHECK_FALSE(cursor.next_is_nil());
}

TEST_CASE("a cursor fails softly", "[msgpack]") {
  const auto fails = [](std::string_view form, auto&& read) {
    const Bytes bytes = unhex(form);
    MsgpackCursor cursor(bytes);
    read(cursor);
    INFO(form);
    CHECK_FALSE(cursor.ok());
    CHECK(cursor.skip().empty());
    CHECK(cursor.read_text().empty());
    CHECK_FALSE(cursor.next_is_text());
  };
  for (const char* form : {"", "c0", "a5", "d9", "da00", "db000000", "d905", "dbffffffff"}) {
    fails(form, [](MsgpackCursor& cursor) { cursor.read_text(); });
  }
  for (const char* form : {"", "c0", "c4", "c5", "c401", "c6ffffffff", "a0"}) {
    fails(form, [](MsgpackCursor& cursor) { cursor.read_binary(); });
  }
  for (const char* form : {"", "90", "81", "81a0", "de", "de0001", "df00000001", "dfffffffff"}) {
    fails(form, [](MsgpackCursor& cursor) { cursor.read_map(); });
  }
  for (const char* form : {"", "80", "91", "dc", "dc0001", "ddffffffff"}) {
    fails(form, [](MsgpackCursor& cursor) { cursor.read_array(); });
  }
  for (const char* form :
       {"", "ff", "cc", "cd00", "d0ff", "d3ffffffffffffffff", "cb0000000000000000"}) {
    fails(form, [](MsgpackCursor& cursor) { cursor.read_unsigned(); });
  }
}

TEST_CASE("numbers are read in every integer form", "[msgpack]") {
  for (const char* form : {"05", "cc05", "cd0005", "ce00000005", "cf0000000000000005", "d005",
                           "d10005", "d200000005", "d30000000000000005"}) {
    INFO(form);
    const Bytes bytes = unhex(form);
    MsgpackCursor cursor(bytes);
    CHECK(cursor.next_is_unsigned());
    CHECK(cursor.read_unsigned() == 5);
    CHECK(cursor.at_end());
  }
}

TEST_CASE("values of every kind are skipped whole", "[msgpack]") {
  for (const char* form : {"c0",
                           "c2",
                           "7f",
                           "e0",
                           "ca00000000",
                           "cb0000000000000000",
                           "cc00",
                           "cd0000",
                           "ce00000000",
                           "cf0000000000000000",
                           "d000",
                           "d10000",
                           "d200000000",
                           "d30000000000000000",
                           "d40000",
                           "d5000000",
                           "d60000000000",
                           "d7000000000000000000",
                           "d80000000000000000000000000000000000",
                           "c7020000 00",
                           "c80002000000",
                           "c9000000020000 00",
                           "c4020000",
                           "c500020000",
                           "c6000000020000",
                           "a26162",
                           "d9026162",
                           "da00026162",
                           "db000000026162",
                           "920102",
                           "dc00020102",
                           "dd000000020102",
                           "8201020304",
                           "de000201020304",
                           "df0000000201020304",
                           "81a161928081a16290"}) {
    INFO(form);
    Bytes bytes = unhex(form);
    bytes.push_back(0xc0);
    MsgpackCursor cursor(bytes);
    CHECK(hex(cursor.skip()) == hex(unhex(form)));
    CHECK(cursor.next_is_nil());
  }
}

TEST_CASE("the pieces that are assembled by hand are well-formed", "[msgpack]") {
  for (const std::size_t size : {0, 15, 16, 31, 32, 255, 256, 65535, 65536}) {
    INFO(size);
    const auto count = static_cast<std::uint32_t>(size);
    Bytes out;
    append_msgpack_array(out, 3);
    append_msgpack_text(out, std::string(size, 'x'));
    append_msgpack_binary(out, Bytes(size));
    append_msgpack_unsigned(out, size);
    CHECK(encode_msgpack(Value::Array{std::string(size, 'x'), Bytes(size), std::uint64_t{size}}) ==
          out);
    out.clear();
    append_msgpack_array(out, count);
    for (std::size_t i = 0; i < size; ++i) append_msgpack_nil(out);
    CHECK(encode_msgpack(Value::Array(size)) == out);
    out.clear();
    Value::Map map;
    append_msgpack_map(out, count);
    for (std::size_t i = 0; i < size; ++i) {
      append_msgpack_text(out, std::to_string(i));
      append_msgpack_nil(out);
      map.emplace_back(std::to_string(i), nullptr);
    }
    CHECK(encode_msgpack(map) == out);
  }
  Bytes out;
  append_msgpack_unsigned(out, 4294967295);
  append_msgpack_unsigned(out, 4294967296);
  CHECK(hex(out) == "ceffffffffcf0000000100000000");
}
