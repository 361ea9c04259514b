#include <algorithm>
#include <array>

#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_number.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/packet_limits.hpp"
#include "conat/wire/packet_types.hpp"
#include "conat/wire/placeholders.hpp"

namespace conat {
namespace {

constexpr std::uint64_t kMaxAckId = (std::uint64_t{1} << 53) - 1;  // a JavaScript number
// Buffers of at most this many bytes are kept for the next packet.
constexpr std::size_t kKeptBytes = 4096;

using namespace packet_type;

// Digits from `position` on; false when there are too many of them.
bool read_digits(std::string_view text, std::size_t& position, std::uint64_t max,
                 std::optional<std::uint64_t>& number) {
  for (; position < text.size() && is_digit(text[position]); ++position) {
    const std::uint64_t next =
        number.value_or(0) * 10 + static_cast<unsigned>(text[position] - '0');
    if (next > max) return false;
    number = next;
  }
  return true;
}

PacketKind kind_of(std::uint64_t type) {
  switch (type) {
    case kConnect:
      return PacketKind::connect;
    case kDisconnect:
      return PacketKind::disconnect;
    case kAck:
    case kBinaryAck:
      return PacketKind::ack;
    case kConnectError:
      return PacketKind::connect_error;
    default:
      return PacketKind::event;
  }
}

bool is_absent(const MsgpackCursor& cursor) {
  return cursor.next_is_nil() || cursor.next_is_undefined();
}

template <class Container>
void drop_if_big(Container& container) {
  if (container.capacity() * sizeof(*container.data()) > kKeptBytes) Container().swap(container);
}

}  // namespace

bool is_reserved_event(std::string_view name) {
  constexpr std::array<std::string_view, 6> kReserved = {
      "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"};
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

PacketReader::Step PacketReader::fail(const char* text) {
  error_ = text;
  waiting_ = false;
  packet_ = {};
  return Step::error;
}

PacketReader::Step PacketReader::read(bool binary, ByteView message) {
  packet_ = {};
  if (!waiting_) {
    attachments_.clear();
    attachment_bytes_ = 0;
  }
  if (!binary) return read_engine(as_text(message));
  if (waiting_) return read_attachment(message);
  if (encoding_ == PacketEncoding::text) return fail("a binary message that nothing announced");
  return read_msgpack(message);
}

void PacketReader::release_buffers() {
  if (waiting_) return;
  drop_if_big(held_text_);
  drop_if_big(name_);
  drop_if_big(normalized_);
  std::size_t kept = 0;
  for (const Bytes& attachment : kept_attachments_) kept += attachment.capacity();
  if (kept > kKeptBytes) std::vector<Bytes>().swap(kept_attachments_);
}

// ---- Engine.IO ----

PacketReader::Step PacketReader::read_engine(std::string_view text) {
  if (text.empty()) return fail("an empty packet");
  const auto without_data = [&](PacketKind kind) {
    if (text.size() != 1) return fail("an Engine.IO packet with unexpected data");
    packet_.kind = kind;
    return Step::packet;
  };
  switch (text[0]) {
    case '0':
      packet_.kind = PacketKind::engine_open;
      return read_text_data(text.substr(1), false);
    case '1':
      return without_data(PacketKind::engine_close);
    case '2':
      return without_data(PacketKind::engine_ping);
    case '3':
      return without_data(PacketKind::engine_pong);
    case '4':
      if (waiting_) return fail("a packet in place of an attachment");
      if (encoding_ == PacketEncoding::msgpack) return fail("a text packet among MessagePack ones");
      return read_socket_text(text.substr(1));
    case '6':
      return without_data(PacketKind::engine_noop);
    default:
      return fail("an unknown Engine.IO packet type");
  }
}

// ---- Socket.IO, text encoding ----

PacketReader::Step PacketReader::read_socket_text(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '6') {
    return fail("an unknown Socket.IO packet type");
  }
  const auto type = static_cast<std::uint8_t>(text[0] - '0');
  const bool binary = type == kBinaryEvent || type == kBinaryAck;
  if (!encoding_ && type != kConnect) return fail("a packet before CONNECT");
  irregular_ = false;
  expected_ = 0;
  if (binary) {
    // The attachments come in messages of their own, when this one is gone.
    held_text_.assign(text);
    text = held_text_;
  }
  packet_.kind = kind_of(type);
  std::size_t position = 1;
  if (!read_text_head(text, position, binary)) return Step::error;
  const Step step = read_text_body(type, text.substr(position));
  if (step == Step::error) return step;
  if (type == kConnect) encoding_ = PacketEncoding::text;
  if (expected_ == 0) return step;
  held_ = packet_;
  waiting_ = true;
  packet_ = {};
  return Step::need_attachments;
}

// The number of attachments, the namespace and the acknowledgement's id.
bool PacketReader::read_text_head(std::string_view text, std::size_t& position, bool binary) {
  if (binary) {
    std::optional<std::uint64_t> count;
    if (!read_digits(text, position, limits::max_attachments, count) || !count ||
        position == text.size() || text[position] != '-') {
      fail("a malformed number of attachments");
      return false;
    }
    expected_ = static_cast<std::uint32_t>(*count);
    ++position;
  }
  if (position < text.size() && text[position] == '/') {
    const std::size_t comma = std::min(text.find(',', position), text.size());
    packet_.nsp = text.substr(position, comma - position);
    position = std::min(comma + 1, text.size());
  }
  if (!read_digits(text, position, kMaxAckId, packet_.ack_id)) {
    fail("a malformed acknowledgement id");
    return false;
  }
  return true;
}

PacketReader::Step PacketReader::read_text_body(std::uint8_t type, std::string_view body) {
  const bool foreign = packet_.nsp != "/";
  switch (type) {
    case kConnect:
      if (packet_.ack_id) return fail("a CONNECT packet with an id");
      return body.empty() ? Step::packet : read_text_data(body, false);
    case kConnectError:
      if (packet_.ack_id) return fail("a CONNECT_ERROR packet with an id");
      return read_text_data(body, true);
    case kDisconnect:
      if (foreign || packet_.ack_id || !body.empty()) return fail("a malformed DISCONNECT packet");
      return Step::packet;
    case kAck:
    case kBinaryAck:
      if (foreign || !packet_.ack_id) return fail("a malformed acknowledgement");
      return read_text_arguments(body, false);
    default:
      if (foreign) return fail("an event in an unknown namespace");
      return read_text_arguments(body, true);
  }
}

// One object as the data of a packet.
PacketReader::Step PacketReader::read_text_data(std::string_view body, bool text_allowed) {
  JsonCursor cursor(body);
  cursor.skip_space();
  const bool fits = cursor.peek() == '{' || (text_allowed && cursor.peek() == '"');
  packet_.arguments = as_bytes(cursor.skip(kMaxPacketDepth));
  packet_.argument_count = 1;
  cursor.skip_space();
  if (!fits || !cursor.ok() || !cursor.at_end()) return fail("malformed data in a packet");
  return Step::packet;
}

// The array of an event or an acknowledgement.
PacketReader::Step PacketReader::read_text_arguments(std::string_view body, bool event) {
  JsonCursor cursor(body);
  cursor.skip_space();
  cursor.expect('[');
  cursor.skip_space();
  if (event) {
    const JsonText name = cursor.read_text();
    if (!cursor.ok()) return fail("an event without a name");
    packet_.name = name.raw;
    if (name.escaped) {
      name_.clear();
      unescape_json(name.raw, name_);
      packet_.name = name_;
    }
    if (is_reserved_event(packet_.name)) return fail("an event with a reserved name");
    cursor.skip_space();
  }
  const bool some = event ? cursor.take(',') : cursor.peek() != ']';
  PlaceholderScan placeholders;
  PlaceholderScan* const scan = expected_ != 0 ? &placeholders : nullptr;
  if (some) {
    cursor.skip_space();
    const std::size_t start = cursor.position();
    std::size_t end = start;
    do {
      cursor.skip(kMaxPacketDepth, scan);
      end = cursor.position();
      ++packet_.argument_count;
      cursor.skip_space();
    } while (cursor.take(','));
    packet_.arguments = as_bytes(body.substr(start, end - start));
  }
  cursor.expect(']');
  cursor.skip_space();
  if (!cursor.ok() || !cursor.at_end()) return fail("malformed JSON in a packet");
  irregular_ = placeholders.irregular;
  if (!irregular_ && placeholders.in_order != expected_) {
    return fail("placeholders that do not match the attachments");
  }
  return Step::packet;
}

PacketReader::Step PacketReader::read_attachment(ByteView message) {
  attachment_bytes_ += message.size();
  if (attachment_bytes_ > max_attachment_bytes_) return fail("too many bytes of attachments");
  const std::size_t index = attachments_.size();
  if (index + 1 == expected_) {
    attachments_.push_back(message);
    return complete();
  }
  if (kept_attachments_.size() <= index) kept_attachments_.resize(index + 1);
  kept_attachments_[index].assign(message.begin(), message.end());
  attachments_.push_back(kept_attachments_[index]);
  return Step::need_attachments;
}

PacketReader::Step PacketReader::complete() {
  waiting_ = false;
  packet_ = held_;
  if (irregular_ && !normalize()) return fail("placeholders that do not match the attachments");
  packet_.attachments = attachments_;
  return Step::packet;
}

// Puts the placeholders in order, so that nobody behind the reader has to care.
bool PacketReader::normalize() {
  std::string array = "[";
  array.append(as_text(packet_.arguments)).push_back(']');
  Result<Value> arguments = decode_json(array, kMaxPacketDepth + 1);
  std::vector<ByteView> ordered;
  if (!arguments ||
      !renumber_placeholders(*arguments, attachments_, limits::max_attachments, ordered)) {
    return false;
  }
  // Each attachment must have been used, and what is used twice counts twice.
  std::size_t bytes = 0;
  for (const ByteView attachment : ordered) bytes += attachment.size();
  const auto is_used = [&](ByteView attachment) {
    return std::any_of(ordered.begin(), ordered.end(), [&](ByteView used) {
      return used.data() == attachment.data() && used.size() == attachment.size();
    });
  };
  if (bytes > max_attachment_bytes_ ||
      !std::all_of(attachments_.begin(), attachments_.end(), is_used)) {
    return false;
  }
  normalized_ = encode_json(*arguments);
  packet_.arguments = as_bytes(std::string_view(normalized_).substr(1, normalized_.size() - 2));
  attachments_ = std::move(ordered);
  return true;
}

// ---- Socket.IO, MessagePack encoding ----

PacketReader::Step PacketReader::read_msgpack(ByteView message) {
  MsgpackCursor cursor(message);
  std::optional<std::uint64_t> type;
  std::optional<std::string_view> nsp;
  ByteView data;
  packet_.encoding = PacketEncoding::msgpack;
  for (std::uint32_t left = cursor.read_map(); cursor.ok() && left > 0; --left) {
    if (!cursor.next_is_text()) {
      cursor.skip();
      cursor.skip();
      continue;
    }
    const std::string_view key = cursor.read_text();
    if (key == "data") {
      data = cursor.skip(kMaxPacketDepth);
    } else if (key == "type") {
      type = cursor.read_unsigned();
    } else if (key == "nsp") {
      nsp = cursor.read_text();
    } else if (key == "id" && !is_absent(cursor)) {
      packet_.ack_id = cursor.read_unsigned();
    } else {
      cursor.skip();
    }
  }
  if (!cursor.ok() || !cursor.at_end()) return fail("a malformed MessagePack packet");
  if (!type || *type > kConnectError) return fail("an unknown Socket.IO packet type");
  if (!nsp || packet_.ack_id.value_or(0) > kMaxAckId) return fail("a malformed packet head");
  packet_.nsp = *nsp;
  packet_.kind = kind_of(*type);
  if (!encoding_ && *type != kConnect) return fail("a packet before CONNECT");
  const Step step = read_msgpack_body(*type, data);
  if (step == Step::packet && *type == kConnect) encoding_ = PacketEncoding::msgpack;
  return step;
}

PacketReader::Step PacketReader::read_msgpack_body(std::uint64_t type, ByteView data) {
  MsgpackCursor cursor(data);
  const bool absent = data.empty() || is_absent(cursor);
  if (type == kConnect || type == kConnectError) {
    const bool fits = cursor.next_is_map() || (type == kConnect && absent) ||
                      (type == kConnectError && cursor.next_is_text());
    if (!fits || packet_.ack_id) return fail("malformed data in a packet");
    if (!absent) {
      packet_.arguments = data;
      packet_.argument_count = 1;
    }
    return Step::packet;
  }
  if (packet_.nsp != "/") return fail("a packet in an unknown namespace");
  if (type == kDisconnect) {
    if (!absent || packet_.ack_id) return fail("a malformed DISCONNECT packet");
    return Step::packet;
  }
  packet_.argument_count = cursor.read_array();
  if (!cursor.ok()) return fail("a packet without arguments");
  if (type == kAck) {
    if (!packet_.ack_id) return fail("a malformed acknowledgement");
  } else {
    packet_.name = cursor.read_text();
    if (!cursor.ok()) return fail("an event without a name");
    if (is_reserved_event(packet_.name)) return fail("an event with a reserved name");
    --packet_.argument_count;
  }
  packet_.arguments = data.subspan(cursor.position());
  return Step::packet;
}

}  // namespace conat
