#include <algorithm>
#include <charconv>

#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_number.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/packet_codec.hpp"
#include "conat/wire/packet_limits.hpp"
#include "conat/wire/placeholders.hpp"
#include "conat/wire/transcode.hpp"

namespace conat {
namespace {

// The fields of a tail, by their place in it.
enum Field : std::uint32_t { kId, kSequence, kDone, kEncoding, kRaw, kHeaders, kFieldCount };

Error malformed() { return Error(ErrorKind::bad_request); }

// ---- Single values in text ----

bool is_true(std::string_view json) {
  if (json == "true") return true;
  if (json == "false" || json == "null" || json == "\"\"" || json.empty()) return false;
  const bool number = json[0] == '-' || (json[0] >= '0' && json[0] <= '9');
  if (!number) return true;
  const double value = parse_json_number(json).number_or(0);
  return value < 0 || value > 0;
}

std::uint64_t number_of(std::string_view json, std::uint64_t otherwise) {
  std::uint64_t number = 0;
  const char* const end = json.data() + json.size();
  const auto [stop, error] = std::from_chars(json.data(), end, number);
  return error == std::errc{} && stop == end ? number : otherwise;
}

std::string_view raw_text_of(std::string_view json) {
  return json.size() >= 2 && json[0] == '"' ? json.substr(1, json.size() - 2) : std::string_view{};
}

// ---- Single values in MessagePack ----

bool is_true(ByteView element) {
  constexpr std::uint8_t kFalse = 0xc2, kFloat64 = 0xcb;
  MsgpackCursor cursor(element);
  if (cursor.next_is_unsigned()) return cursor.read_unsigned() != 0;
  if (cursor.next_is_text()) return !cursor.read_text().empty();
  if (element[0] == msgpack_tag::kFloat32 || element[0] == kFloat64) {
    // Zero, but for its sign?
    return (element[1] & 0x7f) != 0 ||
           std::any_of(element.begin() + 2, element.end(), [](std::uint8_t b) { return b != 0; });
  }
  return element[0] != msgpack_tag::kNil && element[0] != kFalse && !cursor.next_is_undefined();
}

std::uint64_t number_of(ByteView element, std::uint64_t otherwise) {
  MsgpackCursor cursor(element);
  return cursor.next_is_unsigned() ? cursor.read_unsigned() : otherwise;
}

std::string_view text_of(ByteView element) {
  MsgpackCursor cursor(element);
  return cursor.next_is_text() ? cursor.read_text() : std::string_view{};
}

// ---- Tails ----

// The elements of an open array, up to its end or the last field; `more` tells whether there are
// any. The placeholders in them are the packet's first.
bool read_text_tail(JsonCursor& cursor, std::string_view text, bool more, const PacketView& packet,
                    Tail& tail) {
  PlaceholderScan placeholders;
  PlaceholderScan* const scan = packet.attachments.empty() ? nullptr : &placeholders;
  std::size_t start = cursor.position();
  std::size_t end = start;
  while (more && tail.count < kFieldCount) {
    cursor.skip_space();
    if (tail.count == 0) start = cursor.position();
    const std::string_view element = cursor.skip(limits::max_value_depth, scan);
    if (!cursor.ok()) return false;
    end = cursor.position();
    if (tail.count == kId) tail.head.id = raw_text_of(element);
    if (tail.count == kSequence) tail.head.sequence = number_of(element, 0);
    if (tail.count == kDone) tail.head.done = is_true(element);
    ++tail.count;
    cursor.skip_space();
    more = cursor.take(',');
  }
  tail.encoding = PacketEncoding::text;
  tail.elements = as_bytes(text.substr(start, end - start));
  tail.attachments = packet.attachments.first(
      std::min<std::size_t>(placeholders.in_order, packet.attachments.size()));
  return true;
}

bool read_msgpack_tail(MsgpackCursor& cursor, ByteView bytes, std::uint32_t count, Tail& tail) {
  const std::size_t start = cursor.position();
  tail.encoding = PacketEncoding::msgpack;
  tail.count = std::min<std::uint32_t>(count, kFieldCount);
  for (std::uint32_t field = 0; field < tail.count; ++field) {
    const ByteView element = cursor.skip();
    if (!cursor.ok()) return false;
    if (field == kId) tail.head.id = text_of(element);
    if (field == kSequence) tail.head.sequence = number_of(element, 0);
    if (field == kDone) tail.head.done = is_true(element);
  }
  tail.elements = bytes.subspan(start, cursor.position() - start);
  return true;
}

// A text token's meaning: a view of it, or of `scratch` when it has escapes.
std::string_view decode_text(const JsonText& text, Bytes& scratch) {
  if (!text.escaped) return text.raw;
  std::string decoded;
  unescape_json(text.raw, decoded);
  scratch = to_bytes(decoded);
  return as_text(scratch);
}

Result<PublishView> parse_text_publish(const PacketView& packet, Bytes& scratch) {
  const std::string_view text = as_text(packet.arguments);
  JsonCursor cursor(text);
  cursor.skip_space();
  if (!cursor.take('[')) return malformed();
  cursor.skip_space();
  if (cursor.peek() != '"') return Error(ErrorKind::invalid_subject);
  PublishView publish;
  publish.subject = decode_text(cursor.read_text(), scratch);
  cursor.skip_space();
  if (!read_text_tail(cursor, text, cursor.take(','), packet, publish.tail)) return malformed();
  return publish;
}

Result<PublishView> parse_msgpack_publish(const PacketView& packet) {
  MsgpackCursor cursor(packet.arguments);
  if (!cursor.next_is_array()) return malformed();
  const std::uint32_t count = cursor.read_array();
  if (count == 0 || !cursor.next_is_text()) return Error(ErrorKind::invalid_subject);
  PublishView publish;
  publish.subject = cursor.read_text();
  if (!read_msgpack_tail(cursor, packet.arguments, count - 1, publish.tail)) return malformed();
  return publish;
}

Result<PublishView> parse_text_delivery(const PacketView& packet, Bytes& scratch) {
  const std::string_view text = as_text(packet.arguments);
  JsonCursor cursor(text);
  PublishView delivery;
  bool has_subject = false;
  bool has_data = false;
  PlaceholderScan others;
  cursor.skip_space();
  if (!cursor.take('{')) return malformed();
  do {
    cursor.skip_space();
    const JsonText key = cursor.read_text();
    cursor.skip_space();
    cursor.expect(':');
    cursor.skip_space();
    if (!cursor.ok()) return malformed();
    if (key.raw == "subject" && cursor.peek() == '"') {
      delivery.subject = decode_text(cursor.read_text(), scratch);
      has_subject = true;
    } else if (key.raw == "data" && cursor.peek() == '[' && !has_data) {
      const std::string_view array = cursor.skip(kMaxPacketDepth);
      JsonCursor items(array);
      items.take('[');
      items.skip_space();
      if (!read_text_tail(items, array, items.peek() != ']', packet, delivery.tail)) {
        return malformed();
      }
      has_data = true;
    } else {
      cursor.skip(kMaxPacketDepth, packet.attachments.empty() ? nullptr : &others);
    }
    cursor.skip_space();
  } while (cursor.take(','));
  // Attachments of what nobody asked for would come before those of the data.
  if (!cursor.ok() || !has_subject || !has_data || others.in_order != 0) return malformed();
  return delivery;
}

Result<PublishView> parse_msgpack_delivery(const PacketView& packet) {
  MsgpackCursor cursor(packet.arguments);
  PublishView delivery;
  bool has_subject = false;
  bool has_data = false;
  for (std::uint32_t left = cursor.read_map(); cursor.ok() && left > 0; --left) {
    const std::string_view key = text_of(cursor.skip());
    if (key == "subject" && cursor.next_is_text()) {
      delivery.subject = cursor.read_text();
      has_subject = true;
    } else if (key == "data" && cursor.next_is_array() && !has_data) {
      const ByteView array = cursor.skip(kMaxPacketDepth);
      MsgpackCursor items(array);
      const std::uint32_t count = items.read_array();
      if (!read_msgpack_tail(items, array, count, delivery.tail)) return malformed();
      has_data = true;
    } else {
      cursor.skip(kMaxPacketDepth);
    }
  }
  if (!cursor.ok() || !has_subject || !has_data) return malformed();
  return delivery;
}

// ---- Fields ----

std::uint8_t encoding_number(std::uint64_t number) {
  return static_cast<std::uint8_t>(std::min<std::uint64_t>(number, 255));
}

// The payload: binary, or text in place of it.
bool read_text_raw(std::string_view element, const Tail& tail, TailFields& fields) {
  JsonCursor cursor(element);
  std::uint32_t number = 0;
  if (!tail.attachments.empty() && cursor.take_placeholder(number)) {
    if (number >= tail.attachments.size()) return false;
    fields.raw = tail.attachments[number];
    return true;
  }
  if (element[0] != '"') return element == "null";
  fields.raw = as_bytes(raw_text_of(element));
  if (element.find('\\') != element.npos) {
    fields.unescaped = std::make_unique<std::string>();
    unescape_json(raw_text_of(element), *fields.unescaped);
    fields.raw = as_bytes(*fields.unescaped);
  }
  return true;
}

Result<TailFields> parse_text_tail(const Tail& tail) {
  TailFields fields;
  JsonCursor cursor(as_text(tail.elements));
  for (std::uint32_t field = 0; field < tail.count; ++field) {
    const std::string_view element = cursor.skip();
    cursor.skip_space();
    cursor.take(',');
    if (!cursor.ok()) return malformed();
    if (field == kEncoding) fields.payload_encoding = encoding_number(number_of(element, 255));
    if (field == kRaw && !read_text_raw(element, tail, fields)) return malformed();
    if (field == kHeaders && is_true(element)) {
      Status status = append_element_as_msgpack(element, tail.attachments, fields.headers);
      if (!status) return status.error();
    }
  }
  return fields;
}

Result<TailFields> parse_msgpack_tail(const Tail& tail) {
  TailFields fields;
  MsgpackCursor cursor(tail.elements);
  for (std::uint32_t field = 0; field < tail.count; ++field) {
    const ByteView element = cursor.skip();
    if (!cursor.ok()) return malformed();
    MsgpackCursor inner(element);
    if (field == kEncoding) fields.payload_encoding = encoding_number(number_of(element, 255));
    if (field == kRaw) {
      if (inner.next_is_binary()) {
        fields.raw = inner.read_binary();
      } else if (inner.next_is_text()) {
        fields.raw = as_bytes(inner.read_text());
      } else if (inner.next_is_array_buffer()) {
        fields.raw = inner.read_array_buffer();
      } else if (!inner.next_is_nil() && !inner.next_is_undefined()) {
        return malformed();
      }
    }
    if (field == kHeaders && is_true(element)) {
      fields.headers = without_packet_extensions(element, limits::max_value_depth);
    }
  }
  return fields;
}

}  // namespace

Result<PublishView> parse_publish(const PacketView& packet, Bytes& scratch) {
  if (packet.argument_count != 1) return malformed();
  return packet.encoding == PacketEncoding::text ? parse_text_publish(packet, scratch)
                                                 : parse_msgpack_publish(packet);
}

Result<PublishView> parse_delivery(const PacketView& packet, Bytes& scratch) {
  if (packet.argument_count != 1) return malformed();
  return packet.encoding == PacketEncoding::text ? parse_text_delivery(packet, scratch)
                                                 : parse_msgpack_delivery(packet);
}

Result<TailFields> parse_tail(const Tail& tail) {
  Result<TailFields> fields =
      tail.encoding == PacketEncoding::text ? parse_text_tail(tail) : parse_msgpack_tail(tail);
  if (fields) {
    fields->id = tail.head.id;
    fields->sequence = tail.head.sequence;
    fields->done = tail.head.done;
  }
  return fields;
}

Result<Value::Array> decode_arguments(const PacketView& packet) {
  Value::Array arguments;
  if (packet.encoding == PacketEncoding::msgpack) {
    MsgpackCursor cursor(packet.arguments);
    for (std::uint32_t i = 0; i < packet.argument_count; ++i) {
      Result<Value> value = decode_packet_msgpack(cursor.skip(kMaxPacketDepth), kMaxPacketDepth);
      if (!value) return value.error();
      arguments.push_back(std::move(*value));
    }
    return arguments;
  }
  JsonCursor cursor(as_text(packet.arguments));
  for (std::uint32_t i = 0; i < packet.argument_count; ++i) {
    Result<Value> value = decode_json(cursor.skip(kMaxPacketDepth), kMaxPacketDepth);
    if (!value) return value.error();
    if (!packet.attachments.empty() && !resolve_placeholders(*value, packet.attachments)) {
      return Error(ErrorKind::malformed);
    }
    arguments.push_back(std::move(*value));
    cursor.skip_space();
    cursor.take(',');
  }
  return arguments;
}

}  // namespace conat
