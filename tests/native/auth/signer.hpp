// Makes tokens as an issuer does, and the files of its public keys.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "auth/verification_key.hpp"

namespace conat::auth {

class Signer {
 public:
  // A new key. HS256 uses `secret()`.
  explicit Signer(Algorithm algorithm);
  ~Signer();
  Signer(Signer&&) noexcept;

  Algorithm algorithm() const { return algorithm_; }
  const std::string& secret() const { return secret_; }
  std::string public_pem() const;
  std::string private_pem() const;
  // A self-signed certificate for the key, of a server at 127.0.0.1.
  std::string certificate_pem() const;
  // The public half (HS256: the secret), with `"kid"` if there is one.
  std::string jwk(std::string_view key_id = {}) const;

  // In the form that tokens have: r and s for ES256.
  Bytes sign(std::string_view text) const;
  std::string token(std::string_view claims) const;
  std::string token(std::string_view header, std::string_view claims) const;

 private:
  struct Key;
  Algorithm algorithm_;
  std::string secret_;
  std::unique_ptr<Key> key_;
};

}  // namespace conat::auth
