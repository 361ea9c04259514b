#include "conat/subject/interest_table.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "conat/subject/subject.hpp"

using namespace conat;

namespace {

std::vector<std::string> matches(InterestTable& table, std::string_view subject) {
  std::span<InterestPattern* const> patterns;
  REQUIRE(table.match(subject, patterns));
  std::vector<std::string> texts;
  for (const InterestPattern* pattern : patterns) texts.push_back(pattern->text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("patterns live as long as they have members", "[interest]") {
  InterestTable table(1);
  const auto first = table.add("a.*", "q", 1);
  CHECK(first.new_pattern);
  const auto second = table.add("a.*", "q", 2);
  CHECK_FALSE(second.new_pattern);
  CHECK(second.group == first.group);
  CHECK_FALSE(table.add("a.*", "other", 3).new_pattern);
  CHECK(table.pattern_count() == 1);
  CHECK(table.group_count() == 2);
  CHECK(matches(table, "a.x") == Texts{"a.*"});
  const InterestGroup::Id id = first.group->id;
  CHECK(table.find_group(id) == first.group);
  table.remove(*first.group, 1);
  table.remove(*first.group, 2);
  CHECK(table.find_group(id) == nullptr);
  CHECK(table.group_count() == 1);
  table.remove(*table.find_pattern("a.*")->groups[0].group, 3);
  CHECK(table.pattern_count() == 0);
  CHECK(matches(table, "a.x").empty());
  // A new group in the same place has another id.
  CHECK(table.add("a.*", "q", 1).group->id != id);
}

TEST_CASE("a single local member is visible in the pattern", "[interest]") {
  InterestTable table(1);
  InterestGroup& group = *table.add("a", "q", 1).group;
  const InterestPattern& pattern = *table.find_pattern("a");
  CHECK(pattern.groups[0].only_member == 1);
  table.add("a", "q", 2);
  CHECK(pattern.groups[0].only_member == 0);
  table.remove(group, 1);
  CHECK(pattern.groups[0].only_member == 2);
  CHECK_FALSE(table.set_remote("a", "q", {3, 5, 99}));
  CHECK(pattern.groups[0].only_member == 0);
  CHECK(group.weight() == 6);
  table.set_remote("a", "q", {3, 0, 99});
  CHECK(pattern.groups[0].only_member == 2);
  CHECK(group.weight() == 1);
}

TEST_CASE("remote weights make and end interest", "[interest]") {
  InterestTable table(1);
  CHECK_FALSE(table.has_interest("r.x"));
  CHECK(table.set_remote("r.*", "q", {1, 2, 10}));
  CHECK_FALSE(table.set_remote("r.*", "q", {2, 1, 11}));
  CHECK(table.has_interest("r.x"));
  table.set_remote("r.*", "q", {1, 1, 10});
  CHECK(table.find_pattern("r.*")->groups[0].group->remote_weight == 2);
  table.set_remote("r.*", "q", {1, 0, 10});
  CHECK(table.has_interest("r.x"));
  table.set_remote("r.*", "q", {2, 0, 11});
  CHECK_FALSE(table.has_interest("r.x"));
  CHECK(table.pattern_count() == 0);
  CHECK_FALSE(table.set_remote("unknown", "q", {2, 0, 11}));
}

TEST_CASE("a tap is no interest", "[interest]") {
  InterestTable table(1);
  table.add(">", "q", 1);
  CHECK(matches(table, "a.b") == Texts{">"});
  CHECK_FALSE(table.has_interest("a.b"));
  table.add("a.>", "q", 2);
  CHECK(table.has_interest("a.b"));
}

TEST_CASE("match refuses subjects that are not valid", "[interest]") {
  InterestTable table(1);
  table.add(">", "q", 1);
  table.add("a*", "q", 1);
  std::span<InterestPattern* const> patterns;
  for (const char* bad : {"", "a..b", "a.*", "a*", "a.>", ">", "a b"}) {
    CAPTURE(bad);
    CHECK_FALSE(table.match(bad, patterns));
    CHECK_FALSE(table.match(bad, patterns));
  }
  CHECK(matches(table, "a.>.b") == Texts{">"});
}

TEST_CASE("inboxes that come and go leave other subjects cached", "[interest]") {
  InterestTable table(1);
  table.add("busy.subject", "q", 1);
  table.add("busy.*", "q", 1);
  CHECK(matches(table, "busy.subject").size() == 2);
  const auto misses = table.statistics().cache_misses;
  for (int i = 0; i < 1000; ++i) {
    const std::string inbox = "_INBOX.i" + std::to_string(i) + ".*";
    InterestGroup& group = *table.add(inbox, "q", 2).group;
    table.remove(group, 2);
  }
  table.add("another.literal", "q", 2);
  CHECK(matches(table, "busy.subject").size() == 2);
  // At most the hash of one inbox's name coincides.
  CHECK(table.statistics().cache_misses - misses <= 1);
  CHECK(table.statistics().cache_hits + table.statistics().cache_misses == 2);
}

TEST_CASE("changes reach cached subjects", "[interest]") {
  InterestTable table(1);
  for (int round = 0; round < 2; ++round) {
    CHECK(matches(table, "a.b.c").empty());
    CHECK(matches(table, "a.b.c").empty());
    for (const char* pattern : {"a.b.c", "a.b.*", "a.*.c", "*.b.c", ">", "a.>", "a.b.>"}) {
      CAPTURE(pattern);
      InterestGroup& group = *table.add(pattern, "q", 1).group;
      CHECK(matches(table, "a.b.c") == Texts{pattern});
      CHECK(matches(table, "a.b.c") == Texts{pattern});
      table.remove(group, 1);
      CHECK(matches(table, "a.b.c").empty());
    }
  }
}

TEST_CASE("patterns of many tokens cost no more memory than their bytes", "[interest]") {
  PatternTrie trie(1);
  std::string deep = "*";
  while (deep.size() < 16'000) deep += ".a";
  const std::uint32_t first = trie.insert(deep + ".x", 1);
  CHECK(trie.node_count() == 2);
  const std::uint32_t second = trie.insert(deep + ".y", 2);
  CHECK(trie.node_count() == 4);
  std::vector<std::uint32_t> values;
  std::string subject = deep + ".y";
  subject[0] = 'q';
  trie.match(subject, values);
  CHECK(values == std::vector<std::uint32_t>{2});
  trie.remove(first);
  CHECK(trie.node_count() == 2);
  trie.remove(second);
  CHECK(trie.node_count() == 1);
}
