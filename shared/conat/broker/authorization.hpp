// What a user may publish and subscribe to, decided from the subject alone.
//
// The protocol's rules go by the user's name and rights; the operator's come in addition
// (authorization_rules.hpp). A pattern is allowed only when every subject that it can match is:
// tokens that decide must stand there literally. Subjects and patterns handed in must be valid.
// Decisions take a few comparisons of text, less than looking one up in a cache would.
//
// Thread safety: none, immutable but for assignment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/value.hpp"
#include "conat/broker/authorization_rules.hpp"
#include "conat/broker/identity.hpp"

namespace conat {

class Authorization {
 public:
  Authorization() = default;  // nobody: may do nothing
  // `user` is null (no authentication: everything is allowed), exactly one of {account_id},
  // {project_id}, {hub_id}, or has an `error`; anything else may do nothing.
  // `rules` have been checked.
  explicit Authorization(const Value& user, Rights rights = {},
                         const std::vector<AuthorizationRule>& rules = {});

  bool may_publish(std::string_view subject) const;
  bool may_subscribe(std::string_view pattern) const;
  bool is_hub() const { return kind_ == Kind::hub; }

 private:
  enum class Kind : std::uint8_t { nobody, everything, hub, account, project };

  bool may_publish_by_name(std::string_view subject) const;
  bool may_subscribe_by_name(std::string_view pattern) const;
  bool is_own_place(std::string_view subject, bool subscribing) const;

  Kind kind_ = Kind::nobody;
  std::string id_;
  Rights rights_;
  std::shared_ptr<const UserRules> rules_;  // null: there are none
};

}  // namespace conat
