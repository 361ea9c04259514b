// The users that the configuration knows: by name and password, or by token.
//
// In a file, one user a line, each a JSON object; empty lines and lines that begin with # are
// skipped:
//
//   {"name":"ada","password":"$scrypt$ln=15,r=8,p=1$…$…","user":{"account_id":"…"},"admin":true}
//   {"name":"build","tokens":["sha256:…"],"user":{"project_id":"…"}}
//   {"name":"eve","token":"sha256:…","user":{"account_id":"…"},"projects":["…"]}
//
// `name` and `user` must be there, and at least one of `password`, `token`, `tokens`. Names and
// tokens are unique. Unknown members are errors, since a mistyped "projets" would go unnoticed.
//
// Thread safety: a Users is immutable after it was made, from any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/expiring_cache.hpp"
#include "auth/outcome.hpp"
#include "auth/password_hash.hpp"

namespace conat::auth {

struct User {
  std::string name;
  Authenticated identity;  // without an expiry
  std::optional<PasswordHash> password;
  std::vector<Digest> tokens;
  Digest identity_digest{};  // of `identity`; Users::add computes it
};

inline constexpr std::size_t max_users_file_bytes = 64u << 20;

class Users {
 public:
  // The error's text says "line N: …".
  static Result<Users> parse(std::string_view text);
  // The error's text names the file as well.
  static Result<Users> load(const std::filesystem::path& path);

  // One more, from wherever. An error when its name or a token is taken.
  Status add(User user);

  // What the identity of somebody who showed this token of the user, or the password, rests on.
  static Grant grant_of_token(const User& user, const Digest& token);
  static Grant grant_of_password(const User& user);
  // Whether that user is here with the same identity and the same token or password.
  bool holds(const Grant& grant) const;

  // Both take the same time for any number of users.
  const User* with_token(std::string_view token) const;
  const User* with_name(std::string_view name) const;

  // What to check a password against when there is no such user (or it has no password), so that
  // the time of a refusal does not tell which names exist. As costly as the costliest of the
  // users'.
  const PasswordHash& decoy() const { return decoy_; }

  std::size_t size() const { return users_.size(); }
  bool has_passwords() const { return has_passwords_; }

 private:
  std::vector<std::unique_ptr<User>> users_;
  std::unordered_map<std::string, const User*> by_name_;
  std::unordered_map<Digest, const User*, DigestHash> by_token_;
  bool has_passwords_ = false;
  PasswordHash decoy_ = PasswordHash::unmatched({.log_n = 1, .r = 1, .p = 1});
};

// One user's JSON object as above.
Result<User> parse_user(const Value& object);

}  // namespace conat::auth
