// RFC 6455 framing after the handshake, for both roles: reading with bounds, writing headers.
//
// The reader unmasks in place and hands out views, so a message that lies whole in the read buffer
// is never copied; what is incomplete is kept in a buffer of its own, bounded by the maximum
// message size. Thread safety: none, one reader per connection.
#pragma once

#include <cstdint>
#include <span>

#include "conat/base/bytes.hpp"

namespace conat {

enum class WebSocketRole : std::uint8_t { server, client };

enum class WebSocketCloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005,
  invalid_payload = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  internal_error = 1011,
  try_again_later = 1013,
};

// What travels over one WebSocket message.
struct WireMessage {
  bool binary = false;
  Bytes payload;
};

class WebSocketReader {
 public:
  enum class Step : std::uint8_t { need_more, message, ping, pong, close, error };

  // A server requires masked frames, a client unmasked ones, unless `check_masking` is off (the
  // in-process connections of the broker).
  WebSocketReader(WebSocketRole role, std::size_t max_message_bytes, bool check_masking = true);

  // Hands in bytes as they were read; they are unmasked in place and must stay alive and untouched
  // until next() has returned need_more. Call next() until then.
  void feed(std::span<std::uint8_t> bytes);
  Step next();

  // Valid after next() returned message, ping, pong or close, until it is called again.
  bool binary() const { return binary_; }
  ByteView payload() const { return payload_; }
  // Valid after close (the peer's code) or error (the code to close with).
  WebSocketCloseCode close_code() const { return close_code_; }
  // Bytes that this reader holds for an incomplete message.
  std::size_t held_bytes() const { return pending_.capacity() + assembled_.capacity(); }
  void set_max_message_bytes(std::size_t bytes) { max_message_bytes_ = bytes; }

 private:
  // (the implementation's owner adds what it needs)
  WebSocketRole role_;
  std::size_t max_message_bytes_;
  bool check_masking_;
  bool binary_ = false;
  ByteView payload_;
  WebSocketCloseCode close_code_ = WebSocketCloseCode::no_status;
  Bytes pending_;
  Bytes assembled_;
};

enum class WebSocketOpcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// Unmasked (server) frames. The header takes 2, 4 or 10 bytes.
std::size_t websocket_header_size(std::size_t payload_size);
std::uint8_t* write_websocket_header(std::uint8_t* out, WebSocketOpcode opcode,
                                     std::size_t payload_size);
SharedBytes websocket_frame(WebSocketOpcode opcode, ByteView payload);
SharedBytes websocket_close_frame(WebSocketCloseCode code, std::string_view reason = {});
// All messages behind each other in one buffer.
SharedBytes websocket_frames(std::span<const WireMessage> messages);

// Masked (client) frames: appends header, key and masked payload.
void append_masked_frame(Bytes& out, WebSocketOpcode opcode, ByteView payload, std::uint32_t key);

}  // namespace conat
