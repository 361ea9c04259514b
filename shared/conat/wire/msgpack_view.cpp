#include "conat/wire/msgpack_view.hpp"

#include <algorithm>
#include <array>

namespace conat {
namespace {

// The first byte of a value, as the MessagePack specification numbers them.
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

std::uint8_t* put_big_endian(std::uint8_t* out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    out[i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
  }
  return out + width;
}

void append_big_endian(Bytes& out, std::uint8_t tag, std::uint64_t value, std::size_t width) {
  std::array<std::uint8_t, 9> encoded{tag};
  put_big_endian(encoded.data() + 1, value, width);
  out.insert(out.end(), encoded.begin(), encoded.begin() + 1 + static_cast<std::ptrdiff_t>(width));
}

bool is_text_tag(std::uint8_t tag) {
  return (tag & 0xe0) == kFixText || (tag >= kText8 && tag < kText8 + 3);
}

}  // namespace

std::uint64_t MsgpackCursor::big_endian(std::size_t offset, std::size_t width) const {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | bytes_[position_ + offset + i];
  return value;
}

ByteView MsgpackCursor::take(std::size_t head_bytes, std::size_t content_bytes) {
  const ByteView content = bytes_.subspan(position_ + head_bytes, content_bytes);
  position_ += head_bytes + content_bytes;
  return content;
}

std::uint32_t MsgpackCursor::read_count(std::uint8_t fixed, std::uint8_t wide,
                                        std::size_t values_each) {
  if (!ok_ || left() == 0) return fail(), 0;
  const std::uint8_t tag = bytes_[position_];
  std::uint64_t count = 0;
  std::size_t head_bytes = 1;
  if ((tag & 0xf0) == fixed) {
    count = tag & 0x0f;
  } else if (tag == wide && left() >= 3) {
    count = big_endian(1, 2);
    head_bytes = 3;
  } else if (tag == wide + 1 && left() >= 5) {
    count = big_endian(1, 4);
    head_bytes = 5;
  } else {
    return fail(), 0;
  }
  if (count * values_each > left() - head_bytes) return fail(), 0;
  position_ += head_bytes;
  return static_cast<std::uint32_t>(count);
}

std::uint32_t MsgpackCursor::read_map() { return read_count(kFixMap, kMap16, 2); }

std::uint32_t MsgpackCursor::read_array() { return read_count(kFixArray, kArray16, 1); }

std::string_view MsgpackCursor::read_text() {
  if (!ok_ || left() == 0) return fail(), std::string_view{};
  const std::uint8_t tag = bytes_[position_];
  std::size_t head_bytes = 1;
  std::size_t size = 0;
  if ((tag & 0xe0) == kFixText) {
    size = tag & 0x1f;
  } else if (is_text_tag(tag)) {
    const std::size_t width = std::size_t{1} << (tag - kText8);
    head_bytes += width;
    if (left() < head_bytes) return fail(), std::string_view{};
    size = static_cast<std::size_t>(big_endian(1, width));
  } else {
    return fail(), std::string_view{};
  }
  if (size > left() - head_bytes) return fail(), std::string_view{};
  return as_text(take(head_bytes, size));
}

ByteView MsgpackCursor::read_binary() {
  if (!next_is_binary()) return fail(), ByteView{};
  const std::size_t width = std::size_t{1} << (bytes_[position_] - kBinary8);
  if (left() < 1 + width) return fail(), ByteView{};
  const auto size = static_cast<std::size_t>(big_endian(1, width));
  if (size > left() - 1 - width) return fail(), ByteView{};
  return take(1 + width, size);
}

std::uint64_t MsgpackCursor::read_unsigned() {
  if (!next_is_unsigned()) return fail(), 0;
  const std::uint8_t tag = bytes_[position_];
  if (tag < kFixMap) return ++position_, tag;
  const std::size_t width = std::size_t{1} << (tag & 3);
  const std::uint64_t value = big_endian(1, width);
  position_ += 1 + width;
  return value;
}

bool MsgpackCursor::next_is_text() const {
  return ok_ && left() > 0 && is_text_tag(bytes_[position_]);
}

bool MsgpackCursor::next_is_unsigned() const {
  if (!ok_ || left() == 0) return false;
  const std::uint8_t tag = bytes_[position_];
  if (tag < kFixMap) return true;
  if (tag < kUnsigned8 || tag >= kSigned8 + 4) return false;
  if (left() < 1 + (std::size_t{1} << (tag & 3))) return false;
  return tag < kSigned8 || bytes_[position_ + 1] < 0x80;
}

bool MsgpackCursor::next_is_binary() const {
  return ok_ && left() > 0 && bytes_[position_] >= kBinary8 && bytes_[position_] < kExtension8;
}

bool MsgpackCursor::next_is_map() const {
  if (!ok_ || left() == 0) return false;
  const std::uint8_t tag = bytes_[position_];
  return (tag & 0xf0) == kFixMap || tag == kMap16 || tag == kMap16 + 1;
}

bool MsgpackCursor::next_is_array() const {
  if (!ok_ || left() == 0) return false;
  const std::uint8_t tag = bytes_[position_];
  return (tag & 0xf0) == kFixArray || tag == kArray16 || tag == kArray16 + 1;
}

bool MsgpackCursor::next_is_nil() const { return ok_ && left() > 0 && bytes_[position_] == kNil; }

bool MsgpackCursor::next_is_undefined() const {
  return ok_ && left() >= 3 && bytes_[position_] == kFixExtension1 && bytes_[position_ + 1] == 0;
}

bool MsgpackCursor::next_is_array_buffer() const {
  if (!ok_ || left() == 0) return false;
  const std::uint8_t tag = bytes_[position_];
  if (tag < kExtension8 || tag >= kFloat32) return false;
  const std::size_t type_at = 1 + (std::size_t{1} << (tag - kExtension8));
  return left() > type_at && bytes_[position_ + type_at] == 0;
}

ByteView MsgpackCursor::read_array_buffer() {
  if (!next_is_array_buffer()) return fail(), ByteView{};
  const std::size_t width = std::size_t{1} << (bytes_[position_] - kExtension8);
  const auto size = static_cast<std::size_t>(big_endian(1, width));
  if (size > left() - 2 - width) return fail(), ByteView{};
  return take(2 + width, size);
}

// Describes the value at position_, its fixed part within bounds.
MsgpackCursor::Head MsgpackCursor::head() const {
  const std::uint8_t tag = bytes_[position_];
  if (tag < kFixMap || tag >= kNegativeFixed) return {1, 0, true, false};
  if (tag < kFixArray) return {1, std::uint32_t{tag & 0x0fu} * 2, true, true};
  if (tag < kFixText) return {1, tag & 0x0fu, true, true};
  if (tag < kNil) return {1 + std::size_t{tag & 0x1fu}, 0, true, false};
  if (tag == kNeverUsed) return {};
  if (tag < kBinary8) return {1, 0, true, false};
  if (tag >= kFloat32 && tag < kUnsigned8) {
    return {tag == kFloat32 ? std::size_t{5} : std::size_t{9}, 0, true, false};
  }
  if (tag >= kUnsigned8 && tag < kFixExtension1) {
    return {1 + (std::size_t{1} << (tag & 3)), 0, true, false};
  }
  if (tag >= kFixExtension1 && tag < kText8) {
    return {2 + (std::size_t{1} << (tag - kFixExtension1)), 0, true, false};
  }
  // What is left carries a length: of 1, 2 or 4 bytes, or for arrays and maps 2 or 4.
  const bool container = tag >= kArray16;
  const std::size_t width = container            ? std::size_t{2} << (tag & 1)
                            : tag >= kText8      ? std::size_t{1} << (tag - kText8)
                            : tag >= kExtension8 ? std::size_t{1} << (tag - kExtension8)
                                                 : std::size_t{1} << (tag - kBinary8);
  if (left() < 1 + width) return {};
  const std::uint64_t size = big_endian(1, width);
  if (size > left()) return {};
  if (container) {
    const std::uint64_t values = tag >= kMap16 ? size * 2 : size;
    if (values > left()) return {};
    return {1 + width, static_cast<std::uint32_t>(values), true, true};
  }
  const std::size_t type_byte = tag >= kExtension8 && tag < kFloat32 ? 1 : 0;
  return {1 + width + type_byte + static_cast<std::size_t>(size), 0, true, false};
}

ByteView MsgpackCursor::skip(std::size_t max_depth) {
  if (!ok_) return {};
  const std::size_t start = position_;
  std::array<std::uint32_t, kDeepest + 1> waiting;  // values still to come on each level
  std::size_t depth = 0;
  waiting[0] = 1;
  max_depth = std::min(max_depth, kDeepest);
  while (true) {
    while (waiting[depth] == 0) {
      if (depth == 0) return bytes_.subspan(start, position_ - start);
      --depth;
    }
    --waiting[depth];
    const Head next = left() == 0 ? Head{} : head();
    if (!next.valid || next.bytes > left() || (next.container && depth >= max_depth)) {
      return fail(), ByteView{};
    }
    position_ += next.bytes;
    if (next.container) waiting[++depth] = next.values;
  }
}

void append_msgpack_map(Bytes& out, std::uint32_t entries) {
  if (entries < 16) {
    out.push_back(static_cast<std::uint8_t>(kFixMap | entries));
  } else if (entries <= 0xffff) {
    append_big_endian(out, kMap16, entries, 2);
  } else {
    append_big_endian(out, kMap16 + 1, entries, 4);
  }
}

void append_msgpack_array(Bytes& out, std::uint32_t items) {
  std::array<std::uint8_t, 5> head;
  const std::uint8_t* end = write_msgpack_array_head(head.data(), items);
  append(out, ByteView(head.data(), static_cast<std::size_t>(end - head.data())));
}

void append_msgpack_text(Bytes& out, std::string_view text) {
  std::array<std::uint8_t, 5> head;
  const std::uint8_t* end = write_msgpack_text_head(head.data(), text.size());
  append(out, ByteView(head.data(), static_cast<std::size_t>(end - head.data())));
  append(out, text);
}

void append_msgpack_binary(Bytes& out, ByteView bytes) {
  if (bytes.size() <= 0xff) {
    append_big_endian(out, kBinary8, bytes.size(), 1);
  } else if (bytes.size() <= 0xffff) {
    append_big_endian(out, kBinary8 + 1, bytes.size(), 2);
  } else {
    append_big_endian(out, kBinary8 + 2, bytes.size(), 4);
  }
  append(out, bytes);
}

void append_msgpack_unsigned(Bytes& out, std::uint64_t value) {
  if (value < kFixMap) {
    out.push_back(static_cast<std::uint8_t>(value));
  } else if (value <= 0xff) {
    append_big_endian(out, kUnsigned8, value, 1);
  } else if (value <= 0xffff) {
    append_big_endian(out, kUnsigned8 + 1, value, 2);
  } else if (value <= 0xffffffff) {
    append_big_endian(out, kUnsigned8 + 2, value, 4);
  } else {
    append_big_endian(out, kUnsigned8 + 3, value, 8);
  }
}

void append_msgpack_nil(Bytes& out) { out.push_back(kNil); }

std::uint8_t* write_msgpack_text_head(std::uint8_t* out, std::size_t size) {
  if (size < 32) {
    *out = static_cast<std::uint8_t>(kFixText | size);
    return out + 1;
  }
  const std::size_t width = msgpack_text_head_size(size) - 1;
  *out = static_cast<std::uint8_t>(kText8 + width / 2);
  return put_big_endian(out + 1, size, width);
}

std::uint8_t* write_msgpack_array_head(std::uint8_t* out, std::uint32_t items) {
  if (items < 16) {
    *out = static_cast<std::uint8_t>(kFixArray | items);
    return out + 1;
  }
  const std::size_t width = msgpack_array_head_size(items) - 1;
  *out = static_cast<std::uint8_t>(kArray16 + width / 4);
  return put_big_endian(out + 1, items, width);
}

std::size_t msgpack_text_head_size(std::size_t size) {
  return size < 32 ? 1 : size <= 0xff ? 2 : size <= 0xffff ? 3 : 5;
}

std::size_t msgpack_array_head_size(std::uint32_t items) {
  return items < 16 ? 1 : items <= 0xffff ? 3 : 5;
}

}  // namespace conat
