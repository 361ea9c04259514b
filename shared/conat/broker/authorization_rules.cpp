#include "conat/broker/authorization_rules.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::array<UserKind, 3> kKinds = {UserKind::account, UserKind::project, UserKind::hub};

std::string placeholder_of(UserKind kind) {
  return std::string("{") + user_kind_text(kind) + "_id}";
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// Whose id the pattern names; a pattern that was checked names one kind at most.
std::optional<UserKind> named_kind(std::string_view pattern) {
  for (const UserKind kind : kKinds) {
    if (pattern.find(placeholder_of(kind)) != std::string_view::npos) return kind;
  }
  return std::nullopt;
}

bool is_for(const AuthorizationRule& rule, UserKind kind) {
  // A placeholder says whom the rule is for, hub users included.
  if (const std::optional<UserKind> named = named_kind(rule.pattern)) return *named == kind;
  switch (kind) {
    case UserKind::account:
      return rule.accounts;
    case UserKind::project:
      return rule.projects;
    case UserKind::hub:
      return rule.hubs;
  }
  return false;
}

}  // namespace

const char* user_kind_text(UserKind kind) {
  switch (kind) {
    case UserKind::account:
      return "account";
    case UserKind::project:
      return "project";
    case UserKind::hub:
      return "hub";
  }
  return "";
}

Status check_rule(const AuthorizationRule& rule) {
  std::string pattern = rule.pattern;
  std::size_t kinds = 0;
  for (const UserKind kind : kKinds) {
    const std::string placeholder = placeholder_of(kind);
    if (pattern.find(placeholder) == std::string::npos) continue;
    ++kinds;
    replace_all(pattern, placeholder, "x");
  }
  const std::string quoted = "'" + rule.pattern + "'";
  if (pattern.find_first_of("{}") != std::string::npos) {
    return Error(ErrorKind::invalid_argument,
                 quoted +
                     " has a brace that is no placeholder; there are {account_id}, "
                     "{project_id} and {hub_id}");
  }
  if (kinds > 1) {
    return Error(ErrorKind::invalid_argument,
                 quoted + " names ids of several kinds, and no user has more than one");
  }
  if (!is_valid_pattern(pattern)) {
    return Error(ErrorKind::invalid_argument, quoted + " is not a valid pattern of subjects");
  }
  return Nothing{};
}

UserRules::UserRules(const std::vector<AuthorizationRule>& rules, UserKind kind,
                     std::string_view id) {
  const std::string placeholder = placeholder_of(kind);
  for (const AuthorizationRule& rule : rules) {
    if (!is_for(rule, kind)) continue;
    std::string pattern = rule.pattern;
    replace_all(pattern, placeholder, id);
    if (rule.publish) (rule.allow ? allow_pub_ : deny_pub_).push_back(pattern);
    if (rule.subscribe) (rule.allow ? allow_sub_ : deny_sub_).push_back(std::move(pattern));
  }
}

bool UserRules::any_match(const Patterns& patterns, std::string_view subject) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return pattern_matches(pattern, subject); });
}

bool UserRules::allows_subscribe(std::string_view pattern) const {
  return std::any_of(allow_sub_.begin(), allow_sub_.end(),
                     [&](const std::string& allowed) { return pattern_covers(allowed, pattern); });
}

bool UserRules::denies_subscribe(std::string_view pattern) const {
  return std::any_of(deny_sub_.begin(), deny_sub_.end(),
                     [&](const std::string& denied) { return patterns_overlap(denied, pattern); });
}

}  // namespace conat
