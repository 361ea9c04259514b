#include "net/websocket_handshake.hpp"

#include <openssl/evp.h>

#include <array>

namespace conat::net {
namespace {

constexpr std::string_view websocket_constant = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// 16 bytes in base64: 22 characters and two of padding.
bool is_key(std::string_view key) {
  if (key.size() != 24 || key.substr(22) != "==") return false;
  for (const char c : key.substr(0, 22)) {
    const bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    c == '+' || c == '/';
    if (!ok) return false;
  }
  return true;
}

}  // namespace

bool asks_for_websocket(const HttpRequest& request) {
  return request.header_has("Upgrade", "websocket");
}

bool is_valid_handshake(const HttpRequest& request) {
  return request.method == "GET" && asks_for_websocket(request) &&
         request.header_has("Connection", "upgrade") &&
         request.header("Sec-WebSocket-Version") == "13" &&
         is_key(request.header("Sec-WebSocket-Key"));
}

std::string websocket_accept(std::string_view key) {
  const std::string input = std::string(key) + std::string(websocket_constant);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(input.data(), input.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> text{};
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length)};
}

SharedBytes accept_response(const HttpRequest& request, std::string_view extensions) {
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: " +
      websocket_accept(request.header("Sec-WebSocket-Key")) + "\r\n";
  if (!extensions.empty()) {
    text.append("Sec-WebSocket-Extensions: ").append(extensions).append("\r\n");
  }
  text += "\r\n";
  return SharedBytes::copy_of(as_bytes(text));
}

}  // namespace conat::net
