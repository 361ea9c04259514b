// The files that keys come from.
//
// Thread safety: pure functions of the files' content.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "auth/verification_key.hpp"

namespace conat::auth {

enum class KeyFileKind : std::uint8_t {
  // One or more public keys or certificates: RSA (RS256), P-256 (ES256), Ed25519 (EdDSA). A private
  // key is refused: the broker has no use for it.
  pem,
  // The bytes of a secret for HS256, at least 32; one line break at the end does not count.
  secret,
  // A JWK Set (RFC 7517) with keys of kty RSA, EC (P-256), OKP (Ed25519) and oct. Keys for other
  // uses or algorithms are skipped, broken or private ones are errors.
  jwks,
};

struct KeyFile {
  KeyFileKind kind = KeyFileKind::jwks;
  std::filesystem::path path;
};

inline constexpr std::size_t max_key_file_bytes = 1u << 20;
// Of all files together: a token without a key's name is tried with each key of its algorithm.
inline constexpr std::size_t max_keys = 100;

Result<std::vector<VerificationKey>> parse_pem_keys(std::string_view text);
Result<std::vector<VerificationKey>> parse_secret(std::string_view bytes);
Result<std::vector<VerificationKey>> parse_jwks(std::string_view text);

// Never empty. The error's text names the file.
Result<std::vector<VerificationKey>> load_key_file(const KeyFile& file);

}  // namespace conat::auth
