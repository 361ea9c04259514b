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

// The first byte of a value, as the MessagePack specification numbers them.
namespace msgpack_tag {
enum : std::uint8_t {
  kFixMap = 0x80,
  kFixArray = 0x90,
  kFixText = 0xa0,
  kNil = 0xc0,
  kNeverUsed = 0xc1,
  kBinary8 = 0xc4,
  kExtension8 = 0xc7,
  kFloat32 = 0xca,
  kUnsigned8 = 0xcc,
  kSigned8 = 0xd0,
  kFixExtension1 = 0xd4,
  kText8 = 0xd9,
  kArray16 = 0xdc,
  kMap16 = 0xde,
  kNegativeFixed = 0xe0,
};
}  // namespace msgpack_tag

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
  std::string_view read_text() {
    const std::size_t size = tag() - msgpack_tag::kFixText;
    if (size >= 32 || size >= left()) return read_long_text();
    return as_text(take(1, size));
  }
  ByteView read_binary();
  // In any of the integer forms, when it is not negative.
  std::uint64_t read_unsigned() {
    if (tag() < msgpack_tag::kFixMap) return bytes_[position_++];
    return read_long_unsigned();
  }

  // What comes next, without consuming it.
  bool next_is_text() const {
    return is_in(msgpack_tag::kFixText, 32) || is_in(msgpack_tag::kText8, 3);
  }
  bool next_is_unsigned() const { return tag() < msgpack_tag::kFixMap || next_is_long_unsigned(); }
  bool next_is_binary() const { return is_in(msgpack_tag::kBinary8, 3); }
  bool next_is_map() const {
    return is_in(msgpack_tag::kFixMap, 16) || is_in(msgpack_tag::kMap16, 2);
  }
  bool next_is_array() const {
    return is_in(msgpack_tag::kFixArray, 16) || is_in(msgpack_tag::kArray16, 2);
  }
  bool next_is_nil() const { return tag() == msgpack_tag::kNil; }

  // How notepack, the codec of socket.io-msgpack-parser, writes what MessagePack does not have, as
  // extensions of type 0: undefined and JavaScript's ArrayBuffers.
  bool next_is_undefined() const {
    return tag() == msgpack_tag::kFixExtension1 && left() >= 3 && bytes_[position_ + 1] == 0;
  }
  bool next_is_array_buffer() const;
  ByteView read_array_buffer();

  // Skips one whole value, whose maps and arrays nest at most `max_depth` deep (and never deeper
  // than kDeepest), and returns its encoded bytes.
  ByteView skip(std::size_t max_depth = limits::max_value_depth);

  static constexpr std::size_t kDeepest = limits::max_value_depth + 8;

 private:
  static constexpr unsigned kNothing = 0x1000;  // no tag

  std::size_t left() const { return bytes_.size() - position_; }
  unsigned tag() const { return ok_ && left() > 0 ? bytes_[position_] : kNothing; }
  bool is_in(unsigned first, unsigned count) const { return tag() - first < count; }
  ByteView take(std::size_t head_bytes, std::size_t content_bytes) {
    const ByteView content = bytes_.subspan(position_ + head_bytes, content_bytes);
    position_ += head_bytes + content_bytes;
    return content;
  }
  std::uint64_t big_endian(std::size_t offset, std::size_t width) const;
  std::uint32_t read_count(std::uint8_t fixed, std::uint8_t wide, std::size_t values_each);
  std::string_view read_long_text();
  std::uint64_t read_long_unsigned();
  bool next_is_long_unsigned() const;
  bool skip_one(std::uint64_t& values);
  ByteView skip_container(std::size_t start, std::uint64_t values, std::size_t max_depth);
  void fail() { ok_ = false; }

  ByteView bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

// Writers of the MessagePack pieces that are assembled by hand.
void append_msgpack_map(Bytes& out, std::uint32_t entries);
void append_msgpack_array(Bytes& out, std::uint32_t items);
void append_msgpack_text(Bytes& out, std::string_view text);
void append_msgpack_binary_head(Bytes& out, std::size_t size);  // `size` bytes have to follow
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
