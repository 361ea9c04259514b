// What authentication by any of the ways in this library finds out.
//
// A refusal is an Error whose code and text the client gets as `user.error` and `user.code`: 401
// when the credentials are wrong, 503 when nobody could tell. Thread safety: plain values.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "auth/crypto.hpp"
#include "conat/base/result.hpp"
#include "conat/base/time.hpp"
#include "conat/base/value.hpp"
#include "conat/broker/authorization.hpp"

namespace conat::auth {

// What an identity rests on that may be withdrawn while its client is connected.
struct Grant {
  enum class Kind : std::uint8_t {
    user,  // a line of the users file: the identity in it, and the token or password that was shown
    key,   // a key for tokens
  };
  Kind kind = Kind::user;
  std::string name;   // of the user
  Digest identity{};  // of the user
  Digest basis{};     // of the token, the password's hash, the key: what must still be there
};

struct Authenticated {
  Value user;  // exactly one of {account_id}, {project_id}, {hub_id}
  Rights rights;
  std::optional<UnixMs> expires_at;  // nullopt: never
  std::optional<Grant> grant;        // nullopt: nothing that could be withdrawn here
};

using Outcome = Result<Authenticated>;

// "authentication failed: <why>", code 401.
inline Error refused(const std::string& why) {
  return {ErrorCode{401, {}}, "authentication failed: " + why};
}

// Nobody could tell who this is: code 503, and another try may work.
inline Error unavailable(std::string text) { return {ErrorCode{503, {}}, std::move(text)}; }

}  // namespace conat::auth
