// Looking into MessagePack without decoding it: what the hot path and headers need.
//
// A MsgpackCursor walks over encoded values; every call checks bounds and fails softly (`ok()`
// turns false and stays so). Nothing is allocated. Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"

namespace conat {

class MsgpackCursor {
 public:
  explicit MsgpackCursor(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return position_ == bytes_.size(); }
  std::size_t position() const { return position_; }

  // Each reads one value of that kind, or fails and leaves `ok()` false (zero or empty is
  // returned). The counts of maps and arrays are never more than the bytes that are left could
  // hold.
  std::uint32_t read_map();
  std::uint32_t read_array();
  std::string_view read_text();
  ByteView read_binary();
  std::uint64_t read_unsigned();  // in any of the integer forms, when it is not negative

  // What comes next, without consuming it.
  bool next_is_text() const;
  bool next_is_unsigned() const;
  bool next_is_binary() const;
  bool next_is_map() const;
  bool next_is_array() const;
  bool next_is_nil() const;

  // How notepack, the codec of socket.io-msgpack-parser, writes what MessagePack does not have, as
  // extensions of type 0: undefined and JavaScript's ArrayBuffers.
  bool next_is_undefined() const;
  bool next_is_array_buffer() const;
  ByteView read_array_buffer();

  // Skips one whole value, whose maps and arrays nest at most `max_depth` deep (and never deeper
  // than kDeepest), and returns its encoded bytes.
  ByteView skip(std::size_t max_depth = limits::max_value_depth);

  static constexpr std::size_t kDeepest = limits::max_value_depth + 8;

 private:
  struct Head {
    std::size_t bytes = 0;     // of the head and, for what holds no values, of its content
    std::uint32_t values = 0;  // that follow
    bool valid = false;
    bool container = false;
  };

  std::size_t left() const { return bytes_.size() - position_; }
  Head head() const;
  std::uint64_t big_endian(std::size_t offset, std::size_t width) const;
  std::uint32_t read_count(std::uint8_t fixed, std::uint8_t wide, std::size_t values_each);
  ByteView take(std::size_t head_bytes, std::size_t content_bytes);
  void fail() { ok_ = false; }

  ByteView bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

// Writers of the MessagePack pieces that are assembled by hand.
void append_msgpack_map(Bytes& out, std::uint32_t entries);
void append_msgpack_array(Bytes& out, std::uint32_t items);
void append_msgpack_text(Bytes& out, std::string_view text);
void append_msgpack_binary(Bytes& out, ByteView bytes);
void append_msgpack_unsigned(Bytes& out, std::uint64_t value);
void append_msgpack_nil(Bytes& out);

// The same for a buffer of known size: each writes at `out` and returns the end of what it wrote,
// at most 5 bytes for a head.
std::uint8_t* write_msgpack_text_head(std::uint8_t* out, std::size_t size);
std::uint8_t* write_msgpack_array_head(std::uint8_t* out, std::uint32_t items);
std::size_t msgpack_text_head_size(std::size_t size);
std::size_t msgpack_array_head_size(std::uint32_t items);

}  // namespace conat
