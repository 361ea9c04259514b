// permessage-deflate on one connection, between its bytes and whoever speaks plain WebSocket frames
// over it: takes compressed frames of the client apart into uncompressed ones, and compresses the
// frames that are sent to it.
//
// Incoming: feed() the bytes that came, then take messages with next(), one at a time, so that no
// more than one is ever inflated; keep_rest() before the bytes go away. What breaks the rules is
// turned into a frame that the taker refuses with the right close code: 1002, 1007, or 1009 for a
// message that is larger than it may be, compressed or inflated.
// Thread safety: none, the loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/wire/websocket.hpp"
#include "net/deflate.hpp"

namespace conat::net {

// What the filters of one loop share.
class CompressionPool {
 public:
  // Smaller messages are sent as they are.
  static constexpr std::size_t threshold_bytes = 1024;

  // The frames with each message compressed that gets shorter by it.
  SharedBytes compress(const SharedBytes& frames, int window_bits);
  // Forgets what was compressed: the same buffers are sent to many in one turn, not later.
  void end_turn() { recent_.clear(); }

  MessageCompressor& compressor() { return compressor_; }
  Bytes& scratch() { return scratch_; }
  void release_scratch();

 private:
  struct Recent {
    SharedBytes frames;  // held, so that no other buffer can be in its place
    int window_bits;
    SharedBytes result;
  };
  static constexpr std::size_t max_recent = 64;
  static constexpr std::size_t kept_scratch_bytes = 256 * 1024;

  bool append_frame(ByteView frame, std::size_t header, int window_bits, Bytes& out);

  MessageCompressor compressor_;
  std::vector<Recent> recent_;
  Bytes scratch_;
};

class CompressionFilter {
 public:
  CompressionFilter(CompressionPool& pool, int window_bits, std::size_t max_message_bytes);

  // The bound for a message, compressed or not; counts from the next one on.
  void set_max_message_bytes(std::size_t bytes);

  // Takes the bytes in behind what was kept. They must stay until next() has returned false, or
  // until keep_rest().
  void feed(std::span<std::uint8_t> bytes);
  // The next frame as masked, uncompressed bytes, valid until the next call. Empty: no more.
  std::span<std::uint8_t> next();
  // Keeps what next() has not taken yet.
  void keep_rest();
  bool has_rest() const { return !kept_.empty(); }

  SharedBytes outgoing(const SharedBytes& frames) { return pool_.compress(frames, window_bits_); }

 private:
  std::span<std::uint8_t> take_frame_part();
  void begin_frame(std::uint8_t& first);
  std::span<std::uint8_t> frame(WebSocketOpcode opcode, ByteView front, ByteView payload);
  std::span<std::uint8_t> close();
  std::span<std::uint8_t> message();
  std::span<std::uint8_t> violation(WebSocketCloseCode code);

  CompressionPool& pool_;
  int window_bits_;
  std::size_t max_message_bytes_;
  // Reads frames from which the traces of compression are removed, one after the other.
  WebSocketReader reader_;
  std::span<std::uint8_t> input_;  // what reader_ has not got yet
  Bytes kept_;                     // input that is to be read
  Bytes reading_;                  // what was kept and is being read
  // The frame that is being given to reader_.
  std::array<std::uint8_t, 10> head_{};
  std::size_t head_size_ = 0;
  bool in_payload_ = false;
  std::uint64_t missing_ = 0;  // of its payload, and of its key
  // The message that it belongs to.
  bool compressed_ = false;
  bool text_ = false;
  bool ended_ = false;
};

}  // namespace conat::net
