#include "client/handshake.hpp"

#include <openssl/sha.h>

#include <array>

#include "client/base64.hpp"

namespace conat::native {

std::string websocket_key(Random& random) {
  std::array<unsigned char, 16> bytes{};
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random.below(256));
  return base64(bytes);
}

std::string websocket_accept_of(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64(digest);
}

}  // namespace conat::native
