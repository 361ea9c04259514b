// Rules of the operator, which come on top of what the protocol allows: patterns that users may, or
// may not, publish and subscribe to.
//
// A pattern may hold the placeholders {account_id}, {project_id} and {hub_id}, also as part of a
// token: they stand for the user's own id, and a rule with one holds for users of that kind only.
// A denial wins over everything that allows. A subscription is allowed by a rule only when that
// rule matches every subject which the subscription's pattern can match, and denied when a denying
// rule matches any of them.
//
// Thread safety: immutable once they are made; shared by threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/result.hpp"

namespace conat {

enum class UserKind : std::uint8_t { account, project, hub };
// "account", "project" or "hub".
const char* user_kind_text(UserKind kind);

struct AuthorizationRule {
  bool allow = true;  // false: deny
  bool publish = true;
  bool subscribe = true;
  // Whom it is for. Hub users may do everything, so only denials mean something to them.
  bool accounts = true;
  bool projects = true;
  bool hubs = false;
  std::string pattern;  // with placeholders
};

// Fails with a text for the operator when the pattern is none, has an unknown placeholder, or names
// ids of different kinds of users.
Status check_rule(const AuthorizationRule& rule);

// The rules as they are for one user.
class UserRules {
 public:
  UserRules() = default;
  // `rules` have been checked; `id` is one ordinary token.
  UserRules(const std::vector<AuthorizationRule>& rules, UserKind kind, std::string_view id);

  bool allows_publish(std::string_view subject) const { return any_match(allow_pub_, subject); }
  bool denies_publish(std::string_view subject) const { return any_match(deny_pub_, subject); }
  bool allows_subscribe(std::string_view pattern) const;
  bool denies_subscribe(std::string_view pattern) const;

 private:
  using Patterns = std::vector<std::string>;
  static bool any_match(const Patterns& patterns, std::string_view subject);

  Patterns allow_pub_;
  Patterns deny_pub_;
  Patterns allow_sub_;
  Patterns deny_sub_;
};

}  // namespace conat
