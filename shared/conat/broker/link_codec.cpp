#include "conat/broker/link_codec.hpp"

#include <limits>
#include <utility>

#include "conat/base/limits.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/transcode.hpp"

namespace conat::link {
namespace {

constexpr std::uint64_t kEventType = 2;  // of Socket.IO's packets
constexpr std::uint8_t kTrue = 0xc3;
constexpr std::uint8_t kFalse = 0xc2;

// {type, data: [event, ...arguments], nsp}, up to the arguments.
void open_event(Bytes& out, std::string_view event, std::uint32_t arguments) {
  append_msgpack_map(out, 3);
  append_msgpack_text(out, "type");
  append_msgpack_unsigned(out, kEventType);
  append_msgpack_text(out, "data");
  append_msgpack_array(out, arguments + 1);
  append_msgpack_text(out, event);
}

void close_event(Bytes& out) {
  append_msgpack_text(out, "nsp");
  append_msgpack_text(out, "/");
}

WireMessages only(WireMessage message) {
  WireMessages messages;
  messages.push_back(std::move(message));
  return messages;
}

bool read_entry(MsgpackCursor& cursor, InterestEntry& entry) {
  if (!cursor.next_is_array()) return false;
  const std::uint32_t fields = cursor.read_array();
  if ((fields != 1 && fields != 4) || !cursor.next_is_unsigned()) return false;
  entry.group = cursor.read_unsigned();
  if (fields == 1) return cursor.ok();
  if (!cursor.next_is_unsigned()) return false;
  const std::uint64_t weight = cursor.read_unsigned();
  if (weight == 0 || weight > std::numeric_limits<std::uint32_t>::max()) return false;
  entry.weight = static_cast<std::uint32_t>(weight);
  if (!cursor.next_is_text()) return false;
  entry.pattern = cursor.read_text();
  if (!cursor.next_is_text()) return false;
  entry.queue = cursor.read_text();
  return cursor.ok();
}

}  // namespace

void InterestBatch::add(peer::Group group, std::uint32_t weight, std::string_view pattern,
                        std::string_view queue) {
  append_msgpack_array(entries_, 4);
  append_msgpack_unsigned(entries_, group);
  append_msgpack_unsigned(entries_, weight);
  append_msgpack_text(entries_, pattern);
  append_msgpack_text(entries_, queue);
  ++count_;
}

void InterestBatch::add_gone(peer::Group group) {
  append_msgpack_array(entries_, 1);
  append_msgpack_unsigned(entries_, group);
  ++count_;
}

WireMessages InterestBatch::finish(std::uint64_t batch, bool synced) const {
  WireMessage message{true, {}};
  Bytes& out = message.payload;
  out.reserve(entries_.size() + 64);
  open_event(out, event::interest, 2 + count_);
  append_msgpack_unsigned(out, batch);
  out.push_back(synced ? kTrue : kFalse);
  append(out, entries_);
  close_event(out);
  return only(std::move(message));
}

bool read_interest(const PacketView& packet, Interest& interest) {
  if (packet.encoding != PacketEncoding::msgpack || packet.argument_count < 2) return false;
  MsgpackCursor cursor(packet.arguments);
  if (!cursor.next_is_unsigned()) return false;
  interest.batch = cursor.read_unsigned();
  const ByteView synced = cursor.skip();
  if (synced.size() != 1 || (synced[0] != kTrue && synced[0] != kFalse)) return false;
  interest.synced = synced[0] == kTrue;
  interest.entries.assign(packet.argument_count - 2, InterestEntry{});
  for (InterestEntry& entry : interest.entries) {
    if (!read_entry(cursor, entry)) return false;
  }
  return cursor.ok();
}

Result<WireMessage> encode_forward(const peer::ForwardedPublish& forwarded) {
  const Tail& tail = forwarded.publish.tail;
  WireMessage message{true, {}};
  Bytes& out = message.payload;
  std::size_t bytes =
      128 + forwarded.publish.subject.size() + tail.elements.size() + 10 * forwarded.groups.size();
  for (const ByteView attachment : tail.attachments) bytes += attachment.size();
  out.reserve(bytes);
  open_event(out, event::forward, 2);
  append_msgpack_array(out, static_cast<std::uint32_t>(1 + forwarded.groups.size()));
  append_msgpack_unsigned(out, forwarded.sender);
  for (const peer::Group group : forwarded.groups) append_msgpack_unsigned(out, group);
  append_msgpack_array(out, 1 + tail.count);
  append_msgpack_text(out, forwarded.publish.subject);
  if (tail.encoding == PacketEncoding::msgpack) {
    append(out, tail.elements);
  } else if (const Status status = append_as_msgpack(as_text(tail.elements), tail.attachments, out);
             !status) {
    return status.error();
  }
  close_event(out);
  return message;
}

bool read_forward(const PacketView& packet, Bytes& scratch, std::vector<peer::Group>& groups,
                  peer::ForwardedPublish& forwarded) {
  if (packet.encoding != PacketEncoding::msgpack || packet.argument_count != 2) return false;
  MsgpackCursor cursor(packet.arguments);
  if (!cursor.next_is_array()) return false;
  const std::uint32_t count = cursor.read_array();
  if (count < 2 || !cursor.next_is_unsigned()) return false;
  forwarded.sender = cursor.read_unsigned();
  groups.clear();
  for (std::uint32_t i = 1; i < count; ++i) {
    if (!cursor.next_is_unsigned()) return false;
    groups.push_back(cursor.read_unsigned());
  }
  if (!cursor.ok()) return false;
  PacketView rest = packet;
  rest.arguments = packet.arguments.subspan(cursor.position());
  rest.argument_count = 1;
  Result<PublishView> publish = parse_publish(rest, scratch);
  if (!publish) return false;
  forwarded.publish = *publish;
  forwarded.groups = groups;
  return true;
}

WireMessages encode_numbers(std::string_view event, std::initializer_list<std::uint64_t> numbers) {
  WireMessage message{true, {}};
  open_event(message.payload, event, static_cast<std::uint32_t>(numbers.size()));
  for (const std::uint64_t number : numbers) append_msgpack_unsigned(message.payload, number);
  close_event(message.payload);
  return only(std::move(message));
}

bool read_numbers(const PacketView& packet, std::span<std::uint64_t> numbers) {
  if (packet.encoding != PacketEncoding::msgpack || packet.argument_count != numbers.size()) {
    return false;
  }
  MsgpackCursor cursor(packet.arguments);
  for (std::uint64_t& number : numbers) {
    if (!cursor.next_is_unsigned()) return false;
    number = cursor.read_unsigned();
  }
  return cursor.ok();
}

}  // namespace conat::link
