#include "conat/sync/merge.hpp"

#include <catch2/catch.hpp>

#include "conat/sync/text_diff.hpp"
#include "conat/sync/value_hash.hpp"

namespace conat {
namespace {

using Optional = std::optional<Value>;

const Value* pointer(const Optional& value) { return value ? &*value : nullptr; }

Optional merged(MergeKind kind, const Optional& previous, const Optional& local,
                const Optional& remote) {
  return merge_values(kind, {pointer(local), pointer(remote), pointer(previous)});
}

Value map(Value::Map entries) { return Value(std::move(entries)); }
Value array(Value::Array items) { return Value(std::move(items)); }

std::string text_merge(const char* previous, const char* local, const char* remote) {
  const Optional result = merged(MergeKind::text, Value(previous), Value(local), Value(remote));
  REQUIRE(result);
  return std::string(result->text_or("(no text)"));
}

TEST_CASE("merges have names") {
  CHECK(merge_kind("lww") == MergeKind::lww);
  CHECK(merge_kind("fields") == MergeKind::fields);
  CHECK(merge_kind("counter") == MergeKind::counter);
  CHECK(merge_kind("set") == MergeKind::set);
  CHECK(merge_kind("text") == MergeKind::text);
  CHECK_FALSE(merge_kind("none"));
  CHECK_FALSE(merge_kind(""));
}

TEST_CASE("lww keeps the local value") {
  CHECK(merged(MergeKind::lww, Value(1), Value(2), Value(3)) == Optional(Value(2)));
  CHECK(merged(MergeKind::lww, Value(1), std::nullopt, Value(3)) == std::nullopt);
}

TEST_CASE("a counter adds both differences") {
  CHECK(merged(MergeKind::counter, Value(5), Value(6), Value(6)) == Optional(Value(7)));
  CHECK(merged(MergeKind::counter, Value(5), Value(1), Value(9)) == Optional(Value(5)));
  CHECK(merged(MergeKind::counter, std::nullopt, Value(1), Value(1)) == Optional(Value(2)));
  CHECK(merged(MergeKind::counter, Value(0.5), Value(1.5), Value(0.75)) == Optional(Value(1.75)));
}

TEST_CASE("a removed counter counts as what it had taken away") {
  CHECK(merged(MergeKind::counter, Value(5), std::nullopt, Value(6)) == Optional(Value(1)));
  CHECK(merged(MergeKind::counter, Value(5), Value(7), std::nullopt) == Optional(Value(2)));
  CHECK(merged(MergeKind::counter, Value(5), std::nullopt, std::nullopt) == std::nullopt);
}

TEST_CASE("a counter beyond 64 bits goes on in floating point") {
  const std::int64_t huge = 9'000'000'000'000'000'000;
  const Optional sum = merged(MergeKind::counter, Value(0), Value(huge), Value(huge));
  REQUIRE(sum);
  CHECK(sum->number_or(0) == Approx(1.8e19));
  const Optional no_number = merged(MergeKind::counter, Value(1), Value(2), Value("no number"));
  CHECK(no_number == Optional(Value(2)));
}

TEST_CASE("fields changed on different sides both survive") {
  const Value previous = map({{"a", 1}, {"b", 1}, {"c", 1}});
  const Value local = map({{"a", 2}, {"b", 1}, {"c", 1}, {"new", true}});
  const Value remote = map({{"a", 1}, {"b", 3}, {"c", 1}, {"other", "x"}});
  CHECK(merged(MergeKind::fields, previous, local, remote) ==
        Optional(map({{"a", 2}, {"b", 3}, {"c", 1}, {"other", "x"}, {"new", true}})));
}

TEST_CASE("a field changed on both sides is the local one") {
  CHECK(merged(MergeKind::fields, map({{"a", 1}}), map({{"a", 2}}), map({{"a", 3}})) ==
        Optional(map({{"a", 2}})));
}

TEST_CASE("a field removed here and changed there stays changed") {
  const Value previous = map({{"a", 1}, {"b", 1}, {"c", 1}});
  CHECK(merged(MergeKind::fields, previous, map({{"b", 1}, {"c", 1}}),
               map({{"a", 2}, {"b", 1}, {"c", 1}})) ==
        Optional(map({{"a", 2}, {"b", 1}, {"c", 1}})));
  CHECK(merged(MergeKind::fields, previous, map({{"a", 2}, {"b", 1}, {"c", 1}}),
               map({{"b", 1}, {"c", 1}})) == Optional(map({{"b", 1}, {"c", 1}, {"a", 2}})));
  // Removed on one side only: gone.
  CHECK(merged(MergeKind::fields, previous, map({{"a", 1}, {"c", 1}}),
               map({{"a", 9}, {"b", 1}, {"c", 1}})) == Optional(map({{"a", 9}, {"c", 1}})));
}

TEST_CASE("fields merge recursively and null is a value") {
  const Value previous = map({{"pos", map({{"x", 1}, {"y", 1}})}, {"n", 1}});
  const Value local = map({{"pos", map({{"x", 5}, {"y", 1}})}, {"n", nullptr}});
  const Value remote = map({{"pos", map({{"x", 1}, {"y", 7}})}, {"n", 1}});
  CHECK(merged(MergeKind::fields, previous, local, remote) ==
        Optional(map({{"pos", map({{"x", 5}, {"y", 7}})}, {"n", nullptr}})));
}

TEST_CASE("many fields merge as few do") {
  Value::Map previous, local, remote, expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = std::to_string(i);
    previous.emplace_back(key, 0);
    local.emplace_back(key, i % 2 == 0 ? 1 : 0);
    remote.emplace_back(key, i % 2 == 0 ? 0 : 2);
    expected.emplace_back(key, i % 2 == 0 ? 1 : 2);
  }
  CHECK(merged(MergeKind::fields, map(previous), map(local), map(remote)) ==
        Optional(map(expected)));
}

TEST_CASE("objects created or removed on both sides") {
  CHECK(merged(MergeKind::fields, std::nullopt, map({{"a", 1}}), map({{"b", 2}})) ==
        Optional(map({{"b", 2}, {"a", 1}})));
  CHECK(merged(MergeKind::fields, map({{"a", 1}}), std::nullopt, map({{"a", 2}})) ==
        Optional(map({{"a", 2}})));
  CHECK(merged(MergeKind::fields, map({{"a", 1}}), map({{"a", 2}}), std::nullopt) ==
        Optional(map({{"a", 2}})));
  CHECK(merged(MergeKind::fields, Value(1), Value("x"), map({})) == Optional(Value("x")));
}

TEST_CASE("sets take the additions and removals of both") {
  CHECK(merged(MergeKind::set, array({1, 2, 3}), array({2, 3, 4}), array({1, 3, 5})) ==
        Optional(array({3, 5, 4})));
  CHECK(merged(MergeKind::set, std::nullopt, array({"a"}), array({"b", "a"})) ==
        Optional(array({"b", "a"})));
  CHECK(merged(MergeKind::set, array({1}), std::nullopt, array({1, 2})) == Optional(array({2})));
  CHECK(merged(MergeKind::set, array({1, 2}), std::nullopt, array({1})) == std::nullopt);
  CHECK(merged(MergeKind::set, array({1, 2}), array({1}), array({2})) == Optional(array({})));
}

TEST_CASE("elements of sets compare deeply") {
  const Value one = map({{"x", 1}, {"y", array({1, 2})}});
  const Value same = map({{"y", array({1.0, 2})}, {"x", 1}});
  CHECK(hash_value(one) == hash_value(same));
  CHECK(merged(MergeKind::set, array({}), array({one}), array({same})) == Optional(array({one})));
}

TEST_CASE("texts changed at different places") {
  CHECK(text_merge("the quick fox", "the very quick fox", "the quick red fox") ==
        "the very quick red fox");
  CHECK(text_merge("one\ntwo\nthree\n", "one\n2\nthree\n", "one\ntwo\nthree\nfour\n") ==
        "one\n2\nthree\nfour\n");
  CHECK(text_merge("abc", "ac", "abcd") == "acd");
}

TEST_CASE("texts changed at the same place keep both insertions") {
  CHECK(text_merge("ab", "aXb", "aYb") == "aYXb");
  CHECK(text_merge("ab", "aXb", "aXb") == "aXb");
  CHECK(text_merge("", "here", "there") == "therehere");
}

TEST_CASE("what either side deleted is gone, what was inserted there stays") {
  CHECK(text_merge("keep drop keep", "keep keep", "keep drop! keep") == "keep !keep");
  CHECK(text_merge("all of it", "", "all of this it") == "this ");
}

TEST_CASE("texts are cut between code points only") {
  // The two characters share their first bytes.
  CHECK(text_merge("a\xe2\x82\xac z", "a\xe2\x82\xa9 z", "a\xe2\x82\xac z!") == "a\xe2\x82\xa9 z!");
  CHECK(text_merge("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x81", "\xf0\x9f\x98\x80.") ==
        "\xf0\x9f\x98\x81.");
  CHECK(text_merge("\xff\xfe", "\xff", "\xff\xfe\x80") == "\xff\x80");
}

TEST_CASE("a text against a removal, or against another type") {
  CHECK(merged(MergeKind::text, Value("a"), std::nullopt, Value("ab")) == Optional(Value("ab")));
  CHECK(merged(MergeKind::text, Value("a"), Value("ab"), std::nullopt) == Optional(Value("ab")));
  CHECK(merged(MergeKind::text, Value("a"), Value("ab"), Value(5)) == Optional(Value("ab")));
}

TEST_CASE("long and very different texts are compared within the bound") {
  std::string base, local, remote;
  for (int i = 0; i < 40'000; ++i) base += "line " + std::to_string(i * 7919 % 1000) + "\n";
  for (int i = 0; i < 40'000; ++i) local += "zeile " + std::to_string(i * 31 % 997) + "\n";
  remote = base + "the end\n";
  const Optional result = merged(MergeKind::text, Value(base), Value(local), Value(remote));
  REQUIRE(result);
  CHECK(result->text_or("") == local + "the end\n");
}

TEST_CASE("edits rebuild the changed text") {
  const std::string base = "The rain in Spain stays mainly in the plain.";
  const std::string changed = "A train in Spain stays plainly in the main plane!";
  const auto edits = diff_text(base, changed);
  CHECK(edits.size() > 1);
  std::string rebuilt;
  std::size_t position = 0;
  for (const TextEdit& edit : edits) {
    rebuilt += base.substr(position, edit.begin - position);
    rebuilt += edit.text;
    position = edit.end;
  }
  CHECK(rebuilt + base.substr(position) == changed);
}

}  // namespace
}  // namespace conat
