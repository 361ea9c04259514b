#include "conat/subject/subject.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "conat/base/limits.hpp"

using namespace conat;

TEST_CASE("subjects to publish to", "[subject]") {
  for (const char* subject :
       {"a", "a.b.c", "foo-bar_9", "_INBOX.x.y", "__proto__", "constructor", "a>b", "a.>.b", ">.a",
        "{}", "\"", "\\", "\x7f", "\x01", "ä.ö", "日本.語", "😀"}) {
    CAPTURE(subject);
    CHECK(is_valid_subject(subject));
  }
  for (const char* subject : {"", ".", "a.", ".a", "a..b", "*", "a*b", "a.*", ">", "a.>", "a>",
                              "a b", "a\tb", "a\nb", "a\vb", "a\fb", "a\rb"}) {
    CAPTURE(subject);
    CHECK_FALSE(is_valid_subject(subject));
  }
}

TEST_CASE("patterns to subscribe to", "[subject]") {
  for (const char* pattern :
       {"a", "*", ">", "*.*", "a.*.b", "a.>", "*.>", "a*", "*a", "a>", ">a", "a>.b", "a.b*c.d"}) {
    CAPTURE(pattern);
    CHECK(is_valid_pattern(pattern));
  }
  for (const char* pattern : {"", ".", "a.", "..", "a..>", ">.a", "a.>.b", "a.> ", "* "}) {
    CAPTURE(pattern);
    CHECK_FALSE(is_valid_pattern(pattern));
  }
}

TEST_CASE("white space is JavaScript's", "[subject]") {
  for (const char* space :
       {"\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\u00a0", "\u1680", "\u2000",
        "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
        "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"}) {
    const std::string subject = "a" + std::string(space) + "b.c";
    CAPTURE(subject);
    CHECK_FALSE(is_valid_subject(subject));
    CHECK_FALSE(is_valid_pattern(subject));
  }
  // Not white space there: the next line control, the zero-width space, their neighbours.
  for (const char* other : {"\u0085", "\u200b", "\u1681", "\u2027", "\u2030", "\u202e", "\u2060",
                            "\u3001", "\ufefe", "\u180e"}) {
    const std::string subject = "a" + std::string(other) + "b";
    CAPTURE(subject);
    CHECK(is_valid_subject(subject));
  }
}

TEST_CASE("subjects are UTF-8", "[subject]") {
  for (const std::string& bad :
       {std::string("\x80"), std::string("a\xff"), std::string("\xc0\xaf"), std::string("\xc3"),
        std::string("\xe0\x80\x80"), std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"),
        std::string("\xf0\x80\x80\x80"), std::string("\xe2\x28\xa1"),
        std::string("\xf5\x80\x80\x80")}) {
    CHECK_FALSE(is_valid_subject(bad));
    CHECK_FALSE(is_valid_pattern(bad));
  }
  CHECK(is_valid_subject(std::string("a\0b", 3)));
}

TEST_CASE("subjects have a greatest length", "[subject]") {
  CHECK(is_valid_subject(std::string(limits::max_subject_bytes, 'a')));
  CHECK_FALSE(is_valid_subject(std::string(limits::max_subject_bytes + 1, 'a')));
}

TEST_CASE("pattern_matches", "[subject]") {
  struct Case {
    const char* pattern;
    const char* subject;
    bool matches;
  };
  for (const Case& c : {
           Case{"a", "a", true},     {"a", "b", false},
           {"a", "a.b", false},      {"a.b", "a", false},
           {"*", "a", true},         {"*", "a.b", false},
           {">", "a", true},         {">", "a.b.c", true},
           {"a.>", "a", false},      {"a.>", "a.b", true},
           {"a.>", "a.b.c", true},   {"a.>", "b.c", false},
           {"*.b", "a.b", true},     {"*.b", "a.c", false},
           {"a.*.c", "a.b.c", true}, {"a.*.c", "a.c", false},
           {"a.*.>", "a.b", false},  {"a.*.>", "a.b.c", true},
           {"a*", "ab", false},      {"foo>", "foo>", true},
           {"a.>.b", "a.>.b", true}, {"__proto__", "__proto__", true},
       }) {
    CAPTURE(c.pattern, c.subject);
    CHECK(pattern_matches(c.pattern, c.subject) == c.matches);
  }
}

TEST_CASE("pattern_covers", "[subject]") {
  struct Case {
    const char* outer;
    const char* inner;
    bool covers;
  };
  for (const Case& c : {
           Case{">", ">", true},
           {">", "a", true},
           {">", "*.>", true},
           {"*.>", ">", false},
           {"*", ">", false},
           {"a.>", "a.*.c", true},
           {"a.>", "a.>", true},
           {"a.>", "a", false},
           {"a.>", "*.b", false},
           {"a.*", "a.b", true},
           {"a.*", "a.*", true},
           {"a.*", "a.>", false},
           {"a.b", "a.*", false},
           {"*.*", "a.b", true},
           {"*.*", "a", false},
           {"a.*.>", "a.>", false},
           {"a.>", "a.*.>", true},
           {"a.b.*", "a.b.c.d", false},
       }) {
    CAPTURE(c.outer, c.inner);
    CHECK(pattern_covers(c.outer, c.inner) == c.covers);
  }
}

TEST_CASE("tokens", "[subject]") {
  CHECK(split_tokens("a.b.c") == std::vector<std::string_view>{"a", "b", "c"});
  CHECK(split_tokens("a") == std::vector<std::string_view>{"a"});
  CHECK(split_tokens("").empty());
  CHECK(split_tokens("a.") == std::vector<std::string_view>{"a", ""});
  CHECK(has_wildcards("a.*"));
  CHECK(has_wildcards(">"));
  CHECK_FALSE(has_wildcards("a*.b>"));
}
