// RFC 6455 framing after the handshake, for both roles: reading with bounds, writing headers.
//
// The reader unmasks in place and hands out views, so a message that lies whole in the read buffer
// is never copied; what is incomplete is kept in a buffer of its own, bounded by the maximum
// message size. Thread safety: none, one reader per connection.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

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
  // in-process connections of the broker), when both are taken.
  WebSocketReader(WebSocketRole role, std::size_t max_message_bytes, bool check_masking = true);

  // Hands in bytes as they were read; they are unmasked in place and must stay alive and untouched
  // until next() has returned need_more. Call next() until then. After an error next() returns it
  // again and again; behind a close frame everything is ignored.
  void feed(std::span<std::uint8_t> bytes);
  Step next();

  // Valid after next() returned message, ping, pong or close (then it is the reason), until it is
  // called again. Text is checked to be UTF-8.
  bool binary() const { return binary_; }
  ByteView payload() const { return payload_; }
  // Valid after close (the peer's code) or error (the code to close with).
  WebSocketCloseCode close_code() const { return close_code_; }
  // Bytes that this reader holds for an incomplete message.
  std::size_t held_bytes() const { return assembled_.capacity(); }
  void set_max_message_bytes(std::size_t bytes) { max_message_bytes_ = bytes; }

 private:
  // The frame whose payload is being read.
  struct Frame {
    bool final = false;
    std::uint8_t opcode = 0;
    bool masked = false;
    std::array<std::uint8_t, 4> key{};
    std::size_t size = 0;
    std::size_t read = 0;
  };

  bool read_header();
  bool fill_head(std::size_t bytes);
  bool accept_header(std::uint8_t first, std::uint64_t size, bool shortest);
  void keep(ByteView payload);
  Step finish_frame(ByteView payload);
  Step finish_control(ByteView payload);
  Step finish_close(ByteView payload);
  Step deliver(ByteView payload);
  Step fail(WebSocketCloseCode code);
  Step wait();

  static constexpr std::size_t kMaxHeadBytes = 14;
  static constexpr std::size_t kMaxControlBytes = 125;

  WebSocketRole role_;
  bool check_masking_;
  bool binary_ = false;
  bool in_frame_ = false;       // frame_ is known
  bool in_message_ = false;     // a fragment came and more will
  bool assembled_out_ = false;  // payload_ views assembled_
  bool failed_ = false;
  bool closed_ = false;
  std::uint8_t head_size_ = 0;
  WebSocketCloseCode close_code_ = WebSocketCloseCode::no_status;
  std::size_t max_message_bytes_;
  std::span<std::uint8_t> input_;
  ByteView payload_;
  Frame frame_;
  // An incomplete header, or the payload of an incomplete control frame.
  std::array<std::uint8_t, kMaxHeadBytes> head_{};
  std::array<std::uint8_t, kMaxControlBytes> control_{};
  Bytes assembled_;  // the data frames of an incomplete message
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
// A reason beyond 123 bytes is cut off. no_status gives an empty close frame.
SharedBytes websocket_close_frame(WebSocketCloseCode code, std::string_view reason = {});
// All messages behind each other in one buffer.
SharedBytes websocket_frames(std::span<const WireMessage> messages);

// Masked (client) frames: appends header, key and masked payload.
void append_masked_frame(Bytes& out, WebSocketOpcode opcode, ByteView payload, std::uint32_t key);

}  // namespace conat
