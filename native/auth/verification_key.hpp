// A key that checks the signatures of tokens, for exactly one algorithm.
//
// That a key knows its algorithm is what keeps a token from choosing how it is checked: a public
// RSA key never becomes a secret of HMAC, whatever the token's header says. Thread safety:
// immutable; check() from any thread at the same time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/crypto.hpp"
#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"

namespace conat::auth {

enum class Algorithm : std::uint8_t { hs256, rs256, es256, eddsa };

// As in a token's header: "HS256", "RS256", "ES256", "EdDSA". nullopt for any other.
std::optional<Algorithm> algorithm_named(std::string_view name);
std::string_view name_of(Algorithm algorithm);

inline constexpr std::size_t min_secret_bytes = 32;  // RFC 7518: not shorter than the hash
inline constexpr int min_rsa_bits = 2048;
inline constexpr int max_rsa_bits = 8192;  // larger ones take too long to be checked on a loop

class VerificationKey {
 public:
  // HS256. The error's text says what is wrong, here and below.
  static Result<VerificationKey> from_secret(Bytes secret);
  // RS256: big-endian numbers as in a JWK.
  static Result<VerificationKey> from_rsa(ByteView modulus, ByteView exponent);
  // ES256: the coordinates of a point of P-256, 32 bytes each.
  static Result<VerificationKey> from_p256(ByteView x, ByteView y);
  // EdDSA: a public key of Ed25519, 32 bytes.
  static Result<VerificationKey> from_ed25519(ByteView point);
  // A public key or a certificate, as one block of a PEM file; what kind of key it is decides for
  // which algorithm it stands.
  static Result<VerificationKey> from_pem(std::string_view block);

  Algorithm algorithm() const { return algorithm_; }
  // The same for the same key in whatever file and under whatever name, else another.
  const Digest& fingerprint() const;
  // Whether `signature`, in the form that tokens have (RFC 7518, 8037), is this key's for `signed`.
  bool check(ByteView text, ByteView signature) const;

  // What a token names the key by, if it has a name.
  std::optional<std::string> id;

 private:
  struct Implementation;
  VerificationKey(Algorithm algorithm, std::shared_ptr<const Implementation> implementation)
      : algorithm_(algorithm), implementation_(std::move(implementation)) {}
  static Result<VerificationKey> from_public_key(std::shared_ptr<Implementation> key);

  Algorithm algorithm_;
  std::shared_ptr<const Implementation> implementation_;
};

}  // namespace conat::auth
