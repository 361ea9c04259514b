#include "conat/wire/msgpack_view.hpp"

#include <algorithm>
#include <array>

namespace conat {
namespace {

using namespace msgpack_tag;

// How the value behind a tag is laid out.
struct Form {
  // The tag and what always follows it: contents of fixed size, an extension's type.
  std::uint8_t fixed_bytes = 0;   // 0: no value begins with this tag
  std::uint8_t length_bytes = 0;  // of the length that follows the tag
  std::uint8_t values_each = 0;   // values for each unit of the length: 0 for bytes
  std::uint8_t values = 0;        // of a container that has its length in the tag
  bool container = false;
};

constexpr Form form_of(unsigned tag) {
  const auto byte = [](unsigned number) { return static_cast<std::uint8_t>(number); };
  if (tag < kFixMap || tag >= kNegativeFixed) return {1, 0, 0, 0, false};
  if (tag < kFixArray) return {1, 0, 0, byte((tag & 0x0f) * 2), true};
  if (tag < kFixText) return {1, 0, 0, byte(tag & 0x0f), true};
  if (tag < kNil) return {byte(1 + (tag & 0x1f)), 0, 0, 0, false};
  if (tag == kNeverUsed) return {};
  if (tag < kBinary8) return {1, 0, 0, 0, false};
  if (tag < kExtension8) return {1, byte(1u << (tag - kBinary8)), 0, 0, false};
  if (tag < kFloat32) return {2, byte(1u << (tag - kExtension8)), 0, 0, false};
  if (tag < kUnsigned8) return {byte(tag == kFloat32 ? 5 : 9), 0, 0, 0, false};
  if (tag < kFixExtension1) return {byte(1 + (1u << (tag & 3))), 0, 0, 0, false};
  if (tag < kText8) return {byte(2 + (1u << (tag - kFixExtension1))), 0, 0, 0, false};
  if (tag < kArray16) return {1, byte(1u << (tag - kText8)), 0, 0, false};
  return {1, byte(2u << (tag & 1)), byte(tag < kMap16 ? 1 : 2), 0, true};
}

constexpr std::array<Form, 256> kForms = [] {
  std::array<Form, 256> forms;
  for (unsigned tag = 0; tag < 256; ++tag) forms[tag] = form_of(tag);
  return forms;
}();

std::uint8_t* put_big_endian(std::uint8_t* out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    out[i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
  }
  return out + width;
}

void append_big_endian(Bytes& out, unsigned tag, std::uint64_t value, std::size_t width) {
  std::array<std::uint8_t, 9> encoded{static_cast<std::uint8_t>(tag)};
  put_big_endian(encoded.data() + 1, value, width);
  out.insert(out.end(), encoded.begin(), encoded.begin() + 1 + static_cast<std::ptrdiff_t>(width));
}

}  // namespace

std::uint64_t MsgpackCursor::big_endian(std::size_t offset, std::size_t width) const {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | bytes_[position_ + offset + i];
  return value;
}

std::uint32_t MsgpackCursor::read_count(std::uint8_t fixed, std::uint8_t wide,
                                        std::size_t values_each) {
  const unsigned first = tag();
  std::uint64_t count = 0;
  std::size_t head_bytes = 1;
  if ((first & ~0x0fu) == fixed) {
    count = first & 0x0f;
  } else if (first == wide && left() >= 3) {
    count = big_endian(1, 2);
    head_bytes = 3;
  } else if (first == wide + 1u && left() >= 5) {
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

std::string_view MsgpackCursor::read_long_text() {
  if (!is_in(kText8, 3)) return fail(), std::string_view{};
  const std::size_t width = std::size_t{1} << (bytes_[position_] - kText8);
  if (left() < 1 + width) return fail(), std::string_view{};
  const auto size = static_cast<std::size_t>(big_endian(1, width));
  if (size > left() - 1 - width) return fail(), std::string_view{};
  return as_text(take(1 + width, size));
}

ByteView MsgpackCursor::read_binary() {
  if (!next_is_binary()) return fail(), ByteView{};
  const std::size_t width = std::size_t{1} << (bytes_[position_] - kBinary8);
  if (left() < 1 + width) return fail(), ByteView{};
  const auto size = static_cast<std::size_t>(big_endian(1, width));
  if (size > left() - 1 - width) return fail(), ByteView{};
  return take(1 + width, size);
}

std::uint64_t MsgpackCursor::read_long_unsigned() {
  if (!next_is_long_unsigned()) return fail(), 0;
  const std::size_t width = std::size_t{1} << (bytes_[position_] & 3);
  const std::uint64_t value = big_endian(1, width);
  position_ += 1 + width;
  return value;
}

bool MsgpackCursor::next_is_long_unsigned() const {
  const unsigned first = tag();
  if (first < kUnsigned8 || first >= kSigned8 + 4u) return false;
  if (left() < 1 + (std::size_t{1} << (first & 3))) return false;
  return first < kSigned8 || bytes_[position_ + 1] < 0x80;
}

bool MsgpackCursor::next_is_array_buffer() const {
  const unsigned first = tag();
  if (first < kExtension8 || first >= kFloat32) return false;
  const std::size_t type_at = 1 + (std::size_t{1} << (first - kExtension8));
  return left() > type_at && bytes_[position_ + type_at] == 0;
}

ByteView MsgpackCursor::read_array_buffer() {
  if (!next_is_array_buffer()) return fail(), ByteView{};
  const std::size_t width = std::size_t{1} << (bytes_[position_] - kExtension8);
  const auto size = static_cast<std::size_t>(big_endian(1, width));
  if (size > left() - 2 - width) return fail(), ByteView{};
  return take(2 + width, size);
}

// Skips a value without those inside of it and tells how many these are. True for a container.
bool MsgpackCursor::skip_one(std::uint64_t& values) {
  const std::size_t available = left();
  const Form form = available == 0 ? Form{} : kForms[bytes_[position_]];
  std::uint64_t bytes = form.fixed_bytes;
  values = form.values;
  if (form.length_bytes != 0) {
    if (available < 1u + form.length_bytes) return fail(), false;
    const std::uint64_t length = big_endian(1, form.length_bytes);
    bytes += form.length_bytes + (form.container ? 0 : length);
    values = length * form.values_each;
  }
  // Every value takes a byte at least.
  if (bytes == 0 || bytes > available || values > available - bytes) return fail(), false;
  position_ += static_cast<std::size_t>(bytes);
  return form.container;
}

ByteView MsgpackCursor::skip(std::size_t max_depth) {
  const std::size_t start = position_;
  std::uint64_t values = 0;
  if (!ok_) return {};
  if (skip_one(values)) return skip_container(start, values, std::min(max_depth, kDeepest));
  return bytes_.subspan(start, position_ - start);
}

// Skips the `values` of a container whose head is behind position_.
ByteView MsgpackCursor::skip_container(std::size_t start, std::uint64_t values,
                                       std::size_t max_depth) {
  std::array<std::uint64_t, kDeepest + 1> waiting;  // values still to come on each level
  std::size_t depth = 1;
  if (max_depth == 0) return fail(), ByteView{};
  while (true) {
    while (values == 0) {
      if (--depth == 0) return bytes_.subspan(start, position_ - start);
      values = waiting[depth];
    }
    --values;
    std::uint64_t inner = 0;
    if (skip_one(inner)) {
      if (depth == max_depth) return fail(), ByteView{};
      waiting[depth++] = values;
      values = inner;
    } else if (!ok_) {
      return {};
    }
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

void append_msgpack_binary_head(Bytes& out, std::size_t size) {
  if (size <= 0xff) {
    append_big_endian(out, kBinary8, size, 1);
  } else if (size <= 0xffff) {
    append_big_endian(out, kBinary8 + 1, size, 2);
  } else {
    append_big_endian(out, kBinary8 + 2, size, 4);
  }
}

void append_msgpack_binary(Bytes& out, ByteView bytes) {
  append_msgpack_binary_head(out, bytes.size());
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
