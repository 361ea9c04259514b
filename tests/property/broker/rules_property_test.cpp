// The operator's rules against trying every subject over a small alphabet: a subscription that is
// allowed can get nothing that one of its subjects would be refused.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/broker/authorization_rules.hpp"
#include "conat/subject/subject.hpp"

using namespace conat;

namespace {

std::string random_pattern(Random& random, bool wildcards) {
  static const char* const kTokens[] = {"a", "b", "{account_id}", "x-{account_id}", "*", ">"};
  std::string pattern;
  const std::uint32_t length = 1 + random.below(3);
  for (std::uint32_t i = 0; i < length; ++i) {
    const std::uint32_t last = i + 1 == length ? 6 : 5;
    const char* const token = kTokens[random.below(wildcards ? last : 4)];
    if (!pattern.empty()) pattern += '.';
    pattern += token;
  }
  return pattern;
}

std::string with_id(std::string text) {
  for (std::size_t at = text.find("{account_id}"); at != std::string::npos;
       at = text.find("{account_id}")) {
    text.replace(at, 12, "me");
  }
  return text;
}

}  // namespace

TEST_CASE("rules decide about a pattern as about all that it matches", "[rules][property]") {
  std::vector<std::string> subjects;
  const std::vector<std::string> tokens = {"a", "b", "me", "x-me", "c"};
  for (const std::string& first : tokens) {
    subjects.push_back(first);
    for (const std::string& second : tokens) {
      subjects.push_back(first + "." + second);
      for (const std::string& third : tokens) {
        subjects.push_back(first + "." + second + "." + third);
        for (const std::string& fourth : tokens) {
          subjects.push_back(first + "." + second + "." + third + "." + fourth);
        }
      }
    }
  }
  Random random(20);
  std::size_t allowed = 0;
  std::size_t denied = 0;
  std::string wrong;
  for (int round = 0; round < 300; ++round) {
    std::vector<AuthorizationRule> rules(1 + random.below(4));
    for (AuthorizationRule& rule : rules) {
      rule.allow = random.below(3) > 0;
      rule.pattern = random_pattern(random, true);
      REQUIRE(check_rule(rule).ok());
    }
    const UserRules user(rules, UserKind::account, "me");
    for (int i = 0; i < 10; ++i) {
      const std::string pattern = with_id(random_pattern(random, true));
      bool all_allowed = true;
      bool any_denied = false;
      bool covered = false;
      for (const AuthorizationRule& rule : rules) {
        if (rule.allow && pattern_covers(with_id(rule.pattern), pattern)) covered = true;
      }
      for (const std::string& subject : subjects) {
        if (!pattern_matches(pattern, subject)) continue;
        all_allowed = all_allowed && user.allows_publish(subject);
        any_denied = any_denied || user.denies_publish(subject);
      }
      if (user.allows_subscribe(pattern) != covered) wrong += "allow " + pattern + "\n";
      if (user.allows_subscribe(pattern) && !all_allowed) wrong += "not all of " + pattern + "\n";
      if (user.denies_subscribe(pattern) != any_denied) wrong += "deny " + pattern + "\n";
      allowed += user.allows_subscribe(pattern) ? 1u : 0u;
      denied += any_denied ? 1u : 0u;
    }
  }
  CHECK(wrong == "");
  CHECK(allowed > 100);
  CHECK(denied > 100);
}
