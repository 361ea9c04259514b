// What authentication found out about a connection.
//
// Thread safety: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conat/base/time.hpp"
#include "conat/base/value.hpp"

namespace conat {

// What a user may do beyond what its name says; found out by the shell.
struct Rights {
  bool everything = false;            // without authentication: a configured anonymous user
  bool is_admin = false;              // an account that may use `sys.…`
  std::vector<std::string> projects;  // ids of the projects an account collaborates on

  bool operator==(const Rights& other) const {
    return everything == other.everything && is_admin == other.is_admin &&
           projects == other.projects;
  }
};

struct Identity {
  // Null (no authentication: everything is allowed), exactly one of {account_id}, {project_id},
  // {hub_id}, or {error, code?}: the connection is told so and closed.
  Value user;
  Rights rights;
  // On the same clock as every `now`; nullopt: never. The connection is closed with 1008 then,
  // unless it was renewed.
  std::optional<TimeMs> expires_at;

  bool refused() const { return user.find("error") != nullptr; }
};

// An identity that is refused with this text and code.
inline Identity refusal(std::string_view text, int code) {
  Identity identity;
  identity.user.set("error", text);
  identity.user.set("code", code);
  return identity;
}

}  // namespace conat
