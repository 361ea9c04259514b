// RFC 7692, permessage-deflate: the negotiation, and the compression of whole messages.
//
// No message refers to an earlier one, in neither direction (no context takeover), and this side
// says so in its answer. So the compressors belong to a loop, not to a connection, which would cost
// each some 300 KiB, and what goes to many readers is compressed once.
// Thread safety: none, one MessageCompressor for each loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"

struct z_stream_s;

namespace conat::net {

// What was agreed on for one connection.
struct DeflateParameters {
  // Of this side's window; what the peer compresses may use any window.
  int window_bits = 15;
  // The value of the answer's Sec-WebSocket-Extensions.
  std::string answer;
};

// Takes the first offer of a client's Sec-WebSocket-Extensions that can be accepted. Nullopt: there
// is none, and the connection goes without.
std::optional<DeflateParameters> negotiate_deflate(std::string_view offers);

class MessageCompressor {
 public:
  // More of it costs several times the time, and saves little.
  static constexpr int level = 1;
  static constexpr int min_window_bits = 9;  // zlib has none of 8
  static constexpr int max_window_bits = 15;

  MessageCompressor();
  ~MessageCompressor();
  MessageCompressor(const MessageCompressor&) = delete;
  MessageCompressor& operator=(const MessageCompressor&) = delete;

  // Appends the compressed message to `out`; false (and `out` as it was) when it is not shorter.
  bool compress(ByteView message, int window_bits, Bytes& out);

  enum class Inflated : std::uint8_t { ok, too_big, malformed };
  // Appends the message, of at most `max_bytes`, to `out`.
  Inflated inflate(ByteView compressed, std::size_t max_bytes, Bytes& out);

 private:
  struct Deflater;
  struct Inflater;

  Deflater& deflater(int window_bits);

  // Made when first needed.
  std::unique_ptr<Deflater> deflaters_[max_window_bits - min_window_bits + 1];
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace conat::net
