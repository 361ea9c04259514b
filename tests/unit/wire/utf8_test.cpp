#include "conat/wire/utf8.hpp"

#include <catch2/catch.hpp>

using namespace conat;

namespace {

bool good(std::string_view text) {
  // At every place in a longer text, since eight bytes are looked at together.
  const bool alone = is_utf8(as_bytes(text));
  for (std::size_t before = 0; before < 20; ++before) {
    const std::string padded = std::string(before, 'a').append(text) + std::string(20, 'b');
    if (is_utf8(as_bytes(padded)) != alone) FAIL("depends on the place");
  }
  return alone;
}

std::string repaired(std::string_view text) {
  std::string out;
  append_repaired_utf8(out, text);
  CHECK(is_utf8(as_bytes(out)));
  return out;
}

}  // namespace

TEST_CASE("UTF-8 is what RFC 3629 says", "[utf8]") {
  for (const char* text :
       {"", "a", "plain ascii that is longer than a word", "\x7f", "\xc2\x80", "\xdf\xbf",
        "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf", "\xe2\x82\xac\xc3\xa4x\xf0\x9f\x98\x80"}) {
    INFO(text);
    CHECK(good(text));
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
        "\xc2"
        "a",
        "\xe0\x9f\xbf", "\xe2\x82",
        "\xe2\x82"
        "a",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xfe", "\xc3\xa4\xa4"}) {
    CHECK_FALSE(good(text));
  }
  CHECK(good(std::string_view("a\0b", 3)));
}

TEST_CASE("what is no UTF-8 is replaced", "[utf8]") {
  CHECK(repaired("plain") == "plain");
  CHECK(repaired("a\xff"
                 "b") ==
        "a\xef\xbf\xbd"
        "b");
  CHECK(repaired("\xc3\xa4\xc3") == "\xc3\xa4\xef\xbf\xbd");
  CHECK(repaired("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(repaired("").empty());
}

TEST_CASE("code points are appended in their shortest form", "[utf8]") {
  const auto encoded = [](std::uint32_t code_point) {
    std::string out;
    append_code_point(out, code_point);
    return out;
  };
  CHECK(encoded('a') == "a");
  CHECK(encoded(0x7ff) == "\xdf\xbf");
  CHECK(encoded(0x800) == "\xe0\xa0\x80");
  CHECK(encoded(0xffff) == "\xef\xbf\xbf");
  CHECK(encoded(0x10000) == "\xf0\x90\x80\x80");
  CHECK(encoded(0x10ffff) == "\xf4\x8f\xbf\xbf");
  CHECK(encoded(0xd800) == "\xef\xbf\xbd");
  CHECK(encoded(0x110000) == "\xef\xbf\xbd");
}
