// Looking into MessagePack without decoding it: what the hot path and headers need.
//
// A MsgpackCursor walks over encoded values; every call checks bounds and fails softly (`ok()`
// turns false and stays so). Nothing is allocated. Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat {

class MsgpackCursor {
 public:
  explicit MsgpackCursor(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return position_ == bytes_.size(); }
  std::size_t position() const { return position_; }

  // Each reads one value of that kind, or fails and leaves `ok()` false.
  std::uint32_t read_map();
  std::uint32_t read_array();
  std::string_view read_text();
  ByteView read_binary();
  std::uint64_t read_unsigned();

  // What comes next, without consuming it.
  bool next_is_text() const;
  bool next_is_unsigned() const;
  bool next_is_binary() const;
  bool next_is_map() const;
  bool next_is_array() const;
  bool next_is_nil() const;

  // Skips one whole value (bounded nesting) and returns its encoded bytes.
  ByteView skip();

 private:
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

}  // namespace conat
