#include <catch2/catch.hpp>
#include <clocale>
#include <cmath>
#include <limits>

#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"

using namespace conat;

namespace {

std::string again(std::string_view text) {
  const Result<Value> value = decode_json(text);
  return value ? encode_json(*value) : "error";
}

bool accepts(std::string_view text) {
  JsonCursor cursor(text);
  cursor.skip();
  cursor.skip_space();
  const bool scanned = cursor.ok() && cursor.at_end();
  const bool decoded = decode_json(text).ok();
  CHECK(scanned == decoded);
  return decoded;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("JSON is written compactly, as JSON.stringify writes it", "[json]") {
  CHECK(encode_json(Value::Map{{"a", 1},
                               {"b", Value::Array{true, nullptr, 1.5}},
                               {"d", Value::Date{0}},
                               {"bin", Bytes{1, 2, 3}}}) ==
        R"({"a":1,"b":[true,null,1.5],"d":"1970-01-01T00:00:00.000Z",)"
        R"("bin":{"type":"Buffer","data":[1,2,3]}})");
  CHECK(encode_json(Value::Map{}) == "{}");
  CHECK(encode_json(Value::Array{}) == "[]");
  CHECK(encode_json(Value::Extension{5, {1, 255}}) == R"({"type":5,"data":[1,255]})");
}

TEST_CASE("numbers look as in JavaScript", "[json]") {
  const auto shown = [](double number) { return encode_json(Value(number)); };
  CHECK(shown(1.0) == "1");
  CHECK(shown(-0.0) == "0");
  CHECK(shown(0.1) == "0.1");
  CHECK(shown(0.1 + 0.2) == "0.30000000000000004");
  CHECK(shown(100) == "100");
  CHECK(shown(123456789012345680000.0) == "123456789012345680000");
  CHECK(shown(1e21) == "1e+21");
  CHECK(shown(1.5e300) == "1.5e+300");
  CHECK(shown(0.000001) == "0.000001");
  CHECK(shown(1e-7) == "1e-7");
  CHECK(shown(-1.25e-9) == "-1.25e-9");
  CHECK(shown(5e-324) == "5e-324");
  CHECK(shown(1.7976931348623157e308) == "1.7976931348623157e+308");
  CHECK(shown(2.2250738585072014e-308) == "2.2250738585072014e-308");
  CHECK(shown(0x1p-1017) == "7.120236347223045e-307");
  CHECK(shown(9007199254740993.0) == "9007199254740992");
  CHECK(shown(std::nan("")) == "null");
  CHECK(shown(-std::numeric_limits<double>::infinity()) == "null");
  CHECK(encode_json(Value(std::numeric_limits<std::int64_t>::min())) == "-9223372036854775808");
  CHECK(encode_json(Value(std::numeric_limits<std::uint64_t>::max())) == "18446744073709551615");
}

TEST_CASE("numbers are read exactly", "[json]") {
  const auto read = [](std::string_view text) { return *decode_json(text); };
  CHECK(*read("0").if_integer() == 0);
  CHECK(*read("-5").if_integer() == -5);
  CHECK(*read("9223372036854775807").if_integer() == std::numeric_limits<std::int64_t>::max());
  CHECK(*read("9223372036854775808").if_big_integer() == std::uint64_t{1} << 63);
  CHECK(*read("18446744073709551616").if_real() == 18446744073709551616.0);
  CHECK(*read("1.0").if_real() == 1.0);
  CHECK(*read("1e2").if_real() == 100.0);
  CHECK(*read("1E-2").if_real() == 0.01);
  CHECK(*read("123.456e+1").if_real() == 1234.56);
  CHECK(*read("1e400").if_real() == std::numeric_limits<double>::infinity());
  CHECK(*read("-1e400").if_real() == -std::numeric_limits<double>::infinity());
  CHECK(*read("1e-400").if_real() == 0.0);
  CHECK(*read("1e99999999999999999999").if_real() == std::numeric_limits<double>::infinity());
  CHECK(*read("0e99999999999999999999").if_real() == 0.0);
  CHECK(*read("2.2250738585072011e-308").if_real() == 2.2250738585072011e-308);
  // Half way between two doubles, and a trace above, behind more digits than are kept.
  CHECK(*read("9007199254740993.0").if_real() == 9007199254740992.0);
  CHECK(*read("9007199254740993." + std::string(2000, '0') + "1").if_real() == 9007199254740994.0);
  CHECK(*read("0." + std::string(400, '0') + "1e401").if_real() == 1.0);
}

TEST_CASE("numbers do not depend on the locale", "[json]") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  bool comma = false;
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C"}) {
    if (std::setlocale(LC_ALL, name) != nullptr) {
      comma = std::localeconv()->decimal_point[0] == ',';
      break;
    }
  }
  INFO("with a decimal comma: " << comma);
  CHECK(encode_json(Value(1234.5e-30)) == "1.2345e-27");
  CHECK(*decode_json("1234.5e-30")->if_real() == 1234.5e-30);
  std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE("strings are escaped as JSON.stringify escapes them", "[json]") {
  CHECK(encode_json(Value("\"\\/\b\f\n\r\t\x01\x1f\x7f")) ==
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
  CHECK(encode_json(Value("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xe2\x80\xa8")) ==
        "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xe2\x80\xa8\"");
  CHECK(encode_json(Value(std::string("a\0b", 3))) == "\"a\\u0000b\"");
  // What is no UTF-8 must not get into a text frame.
  CHECK(encode_json(Value("a\xff"
                          "b")) ==
        "\"a\xef\xbf\xbd"
        "b\"");
  CHECK(encode_json(Value(Value::Map{{"k\xc3", 1}})) == "{\"k\xef\xbf\xbd\":1}");
}

TEST_CASE("string escapes are read", "[json]") {
  CHECK(again(R"("\"\\\/\b\f\n\r\t\u00e4\u20AC")") ==
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa4\xe2\x82\xac\"");
  CHECK(again(R"("\ud83d\ude00")") == "\"\xf0\x9f\x98\x80\"");
  // Surrogates that stand alone.
  CHECK(again(R"("\ud83d")") == "\"\xef\xbf\xbd\"");
  CHECK(again(R"("\ude00x")") == "\"\xef\xbf\xbdx\"");
  CHECK(again(R"("\ud83d\ud83d\ude00")") == "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
  CHECK(again(R"("\ud83d\n")") == "\"\xef\xbf\xbd\\n\"");
  CHECK(again(R"("\u0000")") == R"("\u0000")");
}

TEST_CASE("the grammar of RFC 8259 is kept strictly", "[json]") {
  for (const char* good :
       {"null", "true", "false", " \t\r\n1 ", "{}", "[]", "[ ]", "{ }", R"({"a":{"b":[1,2,{}]}})",
        R"([1 , 2])", R"({"a" : 1 , "b" : 2})", "-0", "0.5", "-1.5e+7", R"("")", R"({"":""})"}) {
    INFO(good);
    CHECK(accepts(good));
  }
  for (const char* bad : {"",
                          " ",
                          "nul",
                          "nulll",
                          "True",
                          "01",
                          "-",
                          "+1",
                          ".5",
                          "1.",
                          "1e",
                          "1e+",
                          "0x1",
                          "NaN",
                          "Infinity",
                          "[",
                          "]",
                          "[1",
                          "[1,",
                          "[1,]",
                          "[,1]",
                          "[1 2]",
                          "[1]]",
                          "{",
                          "}",
                          "{1:2}",
                          R"({"a"})",
                          R"({"a":})",
                          R"({"a":1)",
                          R"({"a":1,})",
                          R"({"a":1 "b":2})",
                          R"({,"a":1})",
                          R"(")",
                          R"("a)",
                          R"("\)",
                          R"("\x")",
                          R"("\u12")",
                          R"("\u12g4")",
                          "\"\n\"",
                          "\"\x01\"",
                          "'a'",
                          "1 1",
                          "[1}",
                          R"({"a":1])",
                          "// x\n1",
                          "\xef\xbb\xbf"
                          "1",
                          "[1,\f2]",
                          "--1"}) {
    INFO(bad);
    CHECK_FALSE(accepts(bad));
  }
  CHECK_FALSE(accepts(std::string_view("1\0", 2)));
  CHECK_FALSE(accepts(std::string_view("\0", 1)));
  CHECK_FALSE(accepts(std::string_view("\"\\\0\"", 4)));
  CHECK_FALSE(decode_json("\"\xff\"").ok());
  CHECK_FALSE(decode_json("\"\xed\xa0\x80\"").ok());
}

TEST_CASE("JSON nests up to the limit", "[json]") {
  CHECK(accepts(nested(limits::max_value_depth)));
  CHECK_FALSE(accepts(nested(limits::max_value_depth + 1)));
  CHECK(decode_json(nested(3), 3).ok());
  CHECK_FALSE(decode_json(nested(4), 3).ok());
  CHECK_FALSE(decode_json(std::string(1'000'000, '[')).ok());
}

TEST_CASE("of equal keys the last value wins at the first place", "[json]") {
  CHECK(again(R"({"a":1,"b":2,"a":3,"c":4,"a":5})") == R"({"a":5,"b":2,"c":4})");
  CHECK(again(R"({"a":1,"\u0061":2})") == R"({"a":2})");
  std::string many = "{";
  for (int i = 0; i < 100; ++i)
    many += "\"k" + std::to_string(i % 40) + "\":" + std::to_string(i) + ",";
  many.back() = '}';
  const Result<Value> value = decode_json(many);
  REQUIRE(value.ok());
  REQUIRE(value->if_map()->size() == 40);
  CHECK((*value->if_map())[0].first == "k0");
  CHECK(value->find("k0")->integer_or(0) == 80);
  CHECK(value->find("k39")->integer_or(0) == 79);
}

TEST_CASE("dates have ISO 8601 text", "[json]") {
  const auto shown = [](double unix_ms) { return encode_json(Value(Value::Date{unix_ms})); };
  CHECK(shown(951782400000) == R"("2000-02-29T00:00:00.000Z")");
  CHECK(shown(1709251199999) == R"("2024-02-29T23:59:59.999Z")");
  CHECK(shown(-1) == R"("1969-12-31T23:59:59.999Z")");
  CHECK(shown(-62167219200000) == R"("0000-01-01T00:00:00.000Z")");
  CHECK(shown(-62167219200001) == R"("-000001-12-31T23:59:59.999Z")");
  CHECK(shown(253402300800000) == R"("+010000-01-01T00:00:00.000Z")");
  CHECK(shown(8.64e15) == R"("+275760-09-13T00:00:00.000Z")");
  CHECK(shown(-8.64e15) == R"("-271821-04-20T00:00:00.000Z")");
  CHECK(shown(8.64e15 + 1) == "null");
  CHECK(shown(std::nan("")) == "null");
}

TEST_CASE("a cursor looks into JSON piece by piece", "[json]") {
  JsonCursor cursor(R"(  {"a" : [1, 2] , "b\u0020":"x"})");
  cursor.skip_space();
  CHECK(cursor.expect('{'));
  CHECK(cursor.read_text().raw == "a");
  cursor.skip_space();
  CHECK(cursor.expect(':'));
  CHECK(cursor.skip() == "[1, 2]");
  cursor.skip_space();
  CHECK(cursor.take(','));
  CHECK_FALSE(cursor.take(','));
  cursor.skip_space();
  const JsonText key = cursor.read_text();
  CHECK(key.escaped);
  std::string decoded;
  unescape_json(key.raw, decoded);
  CHECK(decoded == "b ");
  CHECK(cursor.ok());
  CHECK_FALSE(cursor.expect('}'));
  CHECK_FALSE(cursor.ok());
  CHECK_FALSE(cursor.take(':'));
  CHECK(cursor.skip().empty());
}

TEST_CASE("placeholders are counted while skipping", "[json]") {
  const auto scan = [](std::string_view text) {
    PlaceholderScan result;
    JsonCursor cursor(text);
    cursor.skip(limits::max_value_depth, &result);
    REQUIRE(cursor.ok());
    return std::pair(result.in_order, result.irregular);
  };
  CHECK(scan("[1,{}]") == std::pair(0u, false));
  CHECK(scan(R"({"_placeholder":true,"num":0})") == std::pair(1u, false));
  CHECK(scan(R"([{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}])") ==
        std::pair(2u, false));
  CHECK(scan(R"([{"_placeholder":true,"num":1}])") == std::pair(0u, true));
  CHECK(scan(R"([{"num":0,"_placeholder":true}])") == std::pair(0u, true));
  CHECK(scan(R"([{"_placeholder":true,"num":0,"x":1}])") == std::pair(0u, true));
  CHECK(scan(R"([{"_placeholder":true,"num":0.0}])") == std::pair(0u, true));
  CHECK(scan(R"([{"\u005fplaceholder":true,"num":0}])") == std::pair(0u, true));
  CHECK(scan(R"([{"_placeholder": true,"num":0}])") == std::pair(0u, true));
}
