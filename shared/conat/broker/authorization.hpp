// What a user may publish and subscribe to, decided from the subject alone.
//
// A pattern is allowed only when every subject that it can match is: tokens that decide must stand
// there literally. Subjects and patterns handed in must be valid. Decisions take a few comparisons
// of text, less than looking one up in a cache would.
//
// Thread safety: none, immutable after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/value.hpp"

namespace conat {

// What a user may do beyond what its name says; found out by the shell.
struct Rights {
  bool everything = false;            // without authentication: a configured anonymous user
  bool is_admin = false;              // an account that may use `sys.…`
  std::vector<std::string> projects;  // ids of the projects an account collaborates on
};

class Authorization {
 public:
  // `user` is null (no authentication: everything is allowed), exactly one of {account_id},
  // {project_id}, {hub_id}, or has an `error`; anything else may do nothing.
  explicit Authorization(const Value& user, Rights rights = {});

  bool may_publish(std::string_view subject) const;
  bool may_subscribe(std::string_view pattern) const;
  bool is_hub() const { return kind_ == Kind::hub; }

 private:
  enum class Kind : std::uint8_t { nobody, everything, hub, account, project };

  bool is_own_place(std::string_view subject, bool subscribing) const;

  Kind kind_ = Kind::nobody;
  std::string id_;
  Rights rights_;
};

}  // namespace conat
