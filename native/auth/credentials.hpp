// Where a client shows who it is: a token, or a name with a password.
//
// Looked for in this order; the first place that has something decides, and what it has is checked
// even if another place has more:
//   1. the Socket.IO `auth` object: {token}, or {username, password}
//   2. the header Authorization: `Bearer <token>`, or `Basic` with name and password
//   3. a cookie, whose name is configured (none by default)
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "auth/request.hpp"
#include "conat/base/result.hpp"

namespace conat::auth {

struct Credentials {
  enum class Kind : std::uint8_t { none, token, password };

  Kind kind = Kind::none;
  std::string token;
  std::string name;
  std::string password;
  bool from_cookie = false;
};

inline constexpr std::size_t max_credential_bytes = 16 * 1024;

// `cookie_names` in the order of preference. An error (401) when what is shown is malformed: that
// is no anonymous client. Empty tokens count as none.
Result<Credentials> find_credentials(const Request& request,
                                     const std::vector<std::string>& cookie_names = {});

}  // namespace conat::auth
