// Reading a user and its rights from a JSON object: a token's claims, the answer of an
// authentication service, a line of the users file.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "auth/outcome.hpp"

namespace conat::auth {

// How the members of the object are called.
struct ClaimNames {
  std::string account_id = "account_id";
  std::string project_id = "project_id";
  std::string hub_id = "hub_id";
  std::string admin = "admin";
  std::string projects = "projects";
};

// Bounds of what one user brings with it.
inline constexpr std::size_t max_id_bytes = 256;
inline constexpr std::size_t max_projects = 10'000;

// An id becomes part of subjects, and permissions compare it with their tokens: it is one token,
// and nothing in it may mean more than itself (no dot, space, `*`, `>` or control character).
bool is_valid_id(std::string_view id);

// {account_id}, {project_id} or {hub_id} from an object in which exactly one of them is present
// (null counts as absent). The error's text says what is wrong.
Result<Value> read_user(const Value& claims, const ClaimNames& names = {});

// The rights: `admin` is a boolean, `projects` an array of ids; both may be absent.
Result<Rights> read_rights(const Value& claims, const ClaimNames& names = {});

}  // namespace conat::auth
