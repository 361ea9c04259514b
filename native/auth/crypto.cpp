#include "auth/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>

namespace conat::auth {
namespace {

void require(bool worked) {
  if (!worked) std::abort();
}

}  // namespace

Digest sha256(ByteView bytes) {
  Digest digest{};
  unsigned int size = 0;
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return digest;
}

Digest hmac_sha256(ByteView key, ByteView bytes) {
  static constexpr std::uint8_t nothing = 0;  // HMAC() takes a null key for "the one before"
  Digest digest{};
  unsigned int size = 0;
  require(HMAC(EVP_sha256(), key.empty() ? &nothing : key.data(), static_cast<int>(key.size()),
               bytes.data(), bytes.size(), digest.data(), &size) != nullptr);
  return digest;
}

bool equal_in_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  require(RAND_bytes(bytes.data(), static_cast<int>(size)) == 1);
  return bytes;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

void wipe(Bytes& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace conat::auth
