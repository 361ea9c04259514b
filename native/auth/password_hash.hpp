// Passwords and tokens as they are stored: never themselves.
//
// A password is stretched by scrypt (RFC 7914) and written as
//   $scrypt$ln=15,r=8,p=1$<salt>$<hash>       (salt and hash: base64 without padding)
// where 2^ln, r and p are scrypt's costs: 128 * 2^ln * r bytes of memory, 32 MiB as above, and
// about 0.1 s. That time is wanted, and too long for an event loop: see PasswordChecker. A token is
// random, so that stretching it has no use; it is written as `sha256:<hex>`. Thread safety: pure
// functions; a PasswordHash is immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "auth/crypto.hpp"
#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"

namespace conat::auth {

// Costs that are taken from files: more memory than this would let one sign-in take too much.
inline constexpr unsigned max_scrypt_log_n = 20;
inline constexpr std::size_t max_scrypt_memory_bytes = 256u << 20;
inline constexpr unsigned max_scrypt_parallelism = 16;
// Longer passwords are refused: nobody types them.
inline constexpr std::size_t max_password_bytes = 1024;

struct ScryptCost {
  unsigned log_n = 15;
  unsigned r = 8;
  unsigned p = 1;
  bool operator==(const ScryptCost&) const = default;
};

class PasswordHash {
 public:
  // With a new random salt. Takes the time of a check.
  static PasswordHash of(std::string_view password, ScryptCost cost = {});
  // Of no password at all; at once.
  static PasswordHash unmatched(ScryptCost cost);
  // The error's text says what is wrong with it.
  static Result<PasswordHash> parse(std::string_view text);

  std::string text() const;
  const ScryptCost& cost() const { return cost_; }
  // Slow, on purpose. Compares in constant time.
  bool matches(std::string_view password) const;

 private:
  PasswordHash() = default;

  ScryptCost cost_;
  Bytes salt_;
  Bytes hash_;
};

// A token's digest as it is stored: "sha256:" and 64 hexadecimal digits.
std::string stored_token(std::string_view token);
// The digest in it.
Result<Digest> parse_stored_token(std::string_view text);

}  // namespace conat::auth
