#include "conat/wire/transcode.hpp"

#include <charconv>
#include <type_traits>

#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_writer.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet_codec.hpp"
#include "conat/wire/placeholders.hpp"

namespace conat {
namespace {

constexpr std::size_t kWorthHolding = 4096;  // copying less is cheaper than remembering where

// Digits that fit in 64 bits for sure, without a sign, a fraction or an exponent.
bool is_short_integer(std::string_view token) {
  if (token.empty() || token.size() > 18) return false;
  for (const char c : token) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

Status element_to_text(MsgpackCursor& cursor, TextElements& out, JsonBinary& binary) {
  if (cursor.next_is_text()) {
    append_json_text(out.json, cursor.read_text());
  } else if (cursor.next_is_unsigned()) {
    char digits[20];
    const char* const end =
        std::to_chars(digits, digits + sizeof digits, cursor.read_unsigned()).ptr;
    out.json.append(digits, static_cast<std::size_t>(end - digits));
  } else if (cursor.next_is_binary()) {
    append_placeholder(out.json, binary.attachments.size());
    binary.attachments.push_back(cursor.read_binary());
  } else if (cursor.next_is_array_buffer()) {
    append_placeholder(out.json, binary.attachments.size());
    binary.attachments.push_back(cursor.read_array_buffer());
  } else {
    Result<Value> value = decode_packet_msgpack(cursor.skip(), limits::max_value_depth);
    if (!value) return value.error();
    // When the vector grows, moving a Value leaves the bytes in it where they are.
    static_assert(std::is_nothrow_move_constructible_v<Value>);
    out.decoded.push_back(std::move(*value));
    write_json(out.decoded.back(), out.json, &binary);
  }
  return Nothing{};
}

}  // namespace

Status append_as_text(ByteView elements, std::uint32_t count, TextElements& out) {
  const std::size_t start = out.json.size();
  JsonBinary binary;
  binary.attachments = std::move(out.attachments);
  for (int round = 0; round < 2; ++round) {
    MsgpackCursor cursor(elements);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i != 0) out.json.push_back(',');
      Status status = element_to_text(cursor, out, binary);
      if (!status) return status;
    }
    if (!cursor.ok() || binary.attachments.size() > limits::max_attachments) {
      return Error(ErrorKind::malformed);
    }
    if (!binary.disarmed || !binary.attachments.empty()) break;
    // Without any attachment nobody looks for placeholders: write them as they are.
    out.json.resize(start);
    out.decoded.clear();
    binary.keep_marks = true;
    binary.disarmed = false;
  }
  out.attachments = std::move(binary.attachments);
  return Nothing{};
}

Status append_element_as_msgpack(std::string_view element, std::span<const ByteView> attachments,
                                 Bytes& out, std::vector<HeldAttachment>* held) {
  JsonCursor cursor(element);
  std::uint32_t number = 0;
  if (element[0] == '"' && element.find('\\') == element.npos) {
    append_msgpack_text(out, element.substr(1, element.size() - 2));
  } else if (is_short_integer(element)) {
    std::uint64_t value = 0;
    std::from_chars(element.data(), element.data() + element.size(), value);
    append_msgpack_unsigned(out, value);
  } else if (!attachments.empty() && cursor.take_placeholder(number) && cursor.at_end()) {
    if (number >= attachments.size()) return Error(ErrorKind::malformed);
    const ByteView bytes = attachments[number];
    if (held != nullptr && bytes.size() > kWorthHolding) {
      append_msgpack_binary_head(out, bytes.size());
      held->push_back({out.size(), bytes});
    } else {
      append_msgpack_binary(out, bytes);
    }
  } else {
    Result<Value> value = decode_json(element);
    if (!value) return value.error();
    if (!attachments.empty() && !resolve_placeholders(*value, attachments)) {
      return Error(ErrorKind::malformed);
    }
    encode_msgpack(*value, out);
  }
  return Nothing{};
}

Status append_as_msgpack(std::string_view elements, std::span<const ByteView> attachments,
                         Bytes& out, std::vector<HeldAttachment>* held) {
  JsonCursor cursor(elements);
  cursor.skip_space();
  if (cursor.at_end()) return Nothing{};
  do {
    const std::string_view element = cursor.skip();
    if (!cursor.ok()) return Error(ErrorKind::malformed);
    Status status = append_element_as_msgpack(element, attachments, out, held);
    if (!status) return status;
    cursor.skip_space();
  } while (cursor.take(','));
  if (!cursor.at_end()) return Error(ErrorKind::malformed);
  return Nothing{};
}

}  // namespace conat
