// The interest table against the simplest thing that could be right: a list of subscriptions and
// pattern_matches(), which in turn is checked against a matcher over split tokens.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>

#include "conat/subject/interest_table.hpp"
#include "conat/subject/subject.hpp"

using namespace conat;

namespace {

using Generator = std::mt19937;

std::string random_name(Generator& random, bool pattern) {
  static const char* const kTokens[] = {"a", "b", "c", "_INBOX", "a*", "x>", "ä"};
  std::string text;
  const std::size_t tokens = 1 + random() % 5;
  for (std::size_t i = 0; i < tokens; ++i) {
    if (i > 0) text += '.';
    const auto dice = random() % 10;
    if (pattern && dice < 3) {
      text += '*';
    } else if (pattern && dice == 3 && i + 1 == tokens) {
      text += '>';
    } else {
      text += kTokens[random() % (pattern ? 7 : 4)];
    }
  }
  return text;
}

bool naive_match(const std::vector<std::string_view>& pattern,
                 const std::vector<std::string_view>& subject, std::size_t i = 0) {
  if (i == pattern.size()) return i == subject.size();
  if (i == subject.size()) return false;
  if (pattern[i] == ">" && i + 1 == pattern.size()) return true;
  return (pattern[i] == "*" || pattern[i] == subject[i]) && naive_match(pattern, subject, i + 1);
}

// pattern -> queue -> members, and pattern -> queue -> shard -> weight
struct Model {
  std::map<std::string, std::map<std::string, std::multiset<std::uint64_t>>> local;
  std::map<std::string, std::map<std::string, std::map<std::uint16_t, std::uint32_t>>> remote;

  std::set<std::string> groups_matching(const std::string& subject) const {
    std::set<std::string> groups;
    for (const auto& [pattern, queues] : local) {
      if (queues.empty() || !pattern_matches(pattern, subject)) continue;
      for (const auto& [queue, members] : queues) {
        if (!members.empty()) groups.insert(pattern + " " + queue);
      }
    }
    for (const auto& [pattern, queues] : remote) {
      if (queues.empty() || !pattern_matches(pattern, subject)) continue;
      for (const auto& [queue, weights] : queues) {
        if (!weights.empty()) groups.insert(pattern + " " + queue);
      }
    }
    return groups;
  }
};

void check_subject(InterestTable& table, const Model& model, const std::string& subject) {
  std::span<InterestPattern* const> patterns;
  REQUIRE(table.match(subject, patterns));
  std::set<std::string> groups;
  for (const InterestPattern* pattern : patterns) {
    for (const InterestPattern::Place& place : pattern->groups) {
      const InterestGroup& group = *place.group;
      // Catch's own assertions would take most of the time.
      if (!groups.insert(pattern->text + " " + group.queue).second) FAIL("twice: " << subject);
      if (table.find_group(group.id) != &group) FAIL("not found: " << subject);
      std::multiset<std::uint64_t> members;
      for (std::size_t i = 0; i < group.members.size(); ++i) members.insert(group.members[i]);
      const auto queues = model.local.find(pattern->text);
      const bool known = queues != model.local.end() && queues->second.count(group.queue) > 0;
      if (members != (known ? queues->second.at(group.queue) : std::multiset<std::uint64_t>{})) {
        FAIL("members of " << pattern->text << " " << group.queue);
      }
    }
  }
  if (groups != model.groups_matching(subject)) FAIL("groups of " << subject);
}

}  // namespace

TEST_CASE("pattern_matches agrees with a naive matcher", "[property]") {
  Generator random(11);
  for (int i = 0; i < 50'000; ++i) {
    const std::string pattern = random_name(random, true);
    const std::string subject = random_name(random, false);
    if (pattern_matches(pattern, subject) !=
        naive_match(split_tokens(pattern), split_tokens(subject))) {
      FAIL(pattern << " " << subject);
    }
  }
}

TEST_CASE("pattern_covers means that no subject is matched by the inner one alone", "[property]") {
  Generator random(12);
  // All subjects of up to four tokens over an alphabet with one letter that no pattern names.
  std::vector<std::string> subjects{""};
  std::vector<std::string> all;
  for (int length = 0; length < 6; ++length) {
    std::vector<std::string> longer;
    for (const std::string& subject : subjects) {
      for (const char* token : {"a", "b", "z"}) {
        longer.push_back(subject.empty() ? token : subject + "." + token);
      }
    }
    all.insert(all.end(), longer.begin(), longer.end());
    subjects = longer;
  }
  const auto random_pattern = [&random] {
    static const char* const kTokens[] = {"a", "b", "*", "*"};
    std::string text;
    const std::size_t tokens = 1 + random() % 4;
    for (std::size_t i = 0; i < tokens; ++i) {
      if (i > 0) text += '.';
      text += i + 1 == tokens && random() % 3 == 0 ? ">" : kTokens[random() % 4];
    }
    return text;
  };
  for (int i = 0; i < 400; ++i) {
    const std::string outer = random_pattern();
    const std::string inner = random_pattern();
    const bool covers = std::all_of(all.begin(), all.end(), [&](const std::string& subject) {
      return !pattern_matches(inner, subject) || pattern_matches(outer, subject);
    });
    if (pattern_covers(outer, inner) != covers) FAIL(outer << " " << inner);
  }
}

TEST_CASE("the interest table agrees with a list of subscriptions", "[property]") {
  const auto seed = GENERATE(range(1u, 9u));
  Generator random(seed);
  InterestTable table(seed, seed % 2 == 0 ? 8 : 65'536);  // a tiny cache, too
  Model model;
  struct Subscription {
    InterestGroup::Id group;
    std::string pattern;
    std::string queue;
    std::uint64_t member;
  };
  std::vector<Subscription> subscriptions;
  std::vector<std::string> subjects;
  for (int i = 0; i < 40; ++i) subjects.push_back(random_name(random, false));
  for (int step = 0; step < 4000; ++step) {
    const auto dice = random() % 10;
    const bool growing = step / 500 % 2 == 0;
    if (dice < (growing ? 5u : 2u)) {
      Subscription added{0, random_name(random, true), std::to_string(random() % 3),
                         1 + random() % 1'000'000};
      InterestTable::Added result = table.add(added.pattern, added.queue, added.member);
      added.group = result.group->id;
      model.local[added.pattern][added.queue].insert(added.member);
      subscriptions.push_back(added);
    } else if (dice < 6 && !subscriptions.empty()) {
      const std::size_t which = random() % subscriptions.size();
      const Subscription gone = subscriptions[which];
      subscriptions.erase(subscriptions.begin() + static_cast<std::ptrdiff_t>(which));
      InterestGroup* group = table.find_group(gone.group);
      REQUIRE(group != nullptr);
      table.remove(*group, gone.member);
      auto& members = model.local[gone.pattern][gone.queue];
      members.erase(members.find(gone.member));
    } else if (dice < 8) {
      const std::string pattern = random_name(random, true);
      const std::string queue = std::to_string(random() % 3);
      const auto shard = static_cast<std::uint16_t>(1 + random() % 3);
      const auto weight = static_cast<std::uint32_t>(random() % 3);
      table.set_remote(pattern, queue, {shard, weight, std::uint64_t{1000} + shard});
      auto& weights = model.remote[pattern][queue];
      if (weight == 0) {
        weights.erase(shard);
      } else {
        weights[shard] = weight;
      }
    }
    for (int i = 0; i < 3; ++i) check_subject(table, model, subjects[random() % subjects.size()]);
  }
  for (const Subscription& left : subscriptions) {
    table.remove(*table.find_group(left.group), left.member);
  }
  for (const auto& [pattern, queues] : model.remote) {
    for (const auto& [queue, weights] : queues) {
      for (const auto& [shard, weight] : weights) table.set_remote(pattern, queue, {shard, 0, 0});
    }
  }
  CHECK(table.pattern_count() == 0);
  CHECK(table.group_count() == 0);
}
