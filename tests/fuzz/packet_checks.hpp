// What must hold for every packet that a reader lets through.
#pragma once

#include <vector>

#include "conat/wire/codec.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/utf8.hpp"
#include "fuzz.hpp"

namespace conat::fuzz {

inline WireMessages unframe(const SharedBytes& framed) {
  Bytes bytes = to_bytes(framed.view());
  WebSocketReader reader(WebSocketRole::client, 1u << 26);
  reader.feed(bytes);
  WireMessages messages;
  WebSocketReader::Step step = reader.next();
  for (; step == WebSocketReader::Step::message; step = reader.next()) {
    messages.push_back({reader.binary(), to_bytes(reader.payload())});
  }
  require(step == WebSocketReader::Step::need_more, "what is framed is well-formed WebSocket");
  return messages;
}

// A delivery in one encoding: its tail and everything that the tail views.
class Delivered {
 public:
  Delivered(PacketEncoding encoding, std::string_view subject, const Tail& tail) {
    const Result<SharedBytes> framed = frame_delivery(encoding, "pattern.>", subject, tail);
    if (!framed) return;
    messages_ = unframe(*framed);
    reader_.set_encoding(encoding);
    PacketReader::Step step = PacketReader::Step::error;
    for (const WireMessage& message : messages_) {
      step = reader_.read(message.binary, message.payload);
    }
    require(step == PacketReader::Step::packet, "what is delivered can be read");
    const Result<PublishView> parsed = parse_delivery(reader_.packet(), scratch_);
    require(parsed.ok(), "what is delivered is a delivery");
    require(parsed->tail.count == tail.count, "the delivery has the whole tail");
    view_ = *parsed;
    ok_ = true;
  }
  bool ok() const { return ok_; }
  const PublishView& view() const { return view_; }
  const WireMessages& messages() const { return messages_; }

 private:
  WireMessages messages_;
  PacketReader reader_;
  Bytes scratch_;
  PublishView view_;
  bool ok_ = false;
};

inline bool same(const WireMessages& a, const WireMessages& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].binary != b[i].binary || a[i].payload != b[i].payload) return false;
  }
  return true;
}

inline void check_tail(std::string_view subject, const Tail& tail) {
  const Result<TailFields> fields = parse_tail(tail);
  for (const PacketEncoding encoding : {PacketEncoding::text, PacketEncoding::msgpack}) {
    const Delivered first(encoding, subject, tail);
    require(first.ok() || encoding != tail.encoding, "what came in can go out as it is");
    if (!first.ok()) continue;
    const Result<TailFields> delivered = parse_tail(first.view().tail);
    require(!fields.ok() || delivered.ok(), "fields that were readable stay so");
    if (fields) {
      // Text in place of bytes is repaired when it was no UTF-8.
      std::string repaired;
      append_repaired_utf8(repaired, as_text(fields->raw));
      const std::string_view raw = as_text(delivered->raw);
      require(raw == as_text(fields->raw) || raw == repaired, "the payload stays the same");
      // What JSON cannot say (an invalid date, infinity) in place of `done` becomes null there.
      const bool became_null = fields->done && !delivered->done && encoding != tail.encoding &&
                               encoding == PacketEncoding::text;
      require(fields->sequence == delivered->sequence &&
                  (fields->done == delivered->done || became_null),
              "the place stays the same");
    }
    // There and back again: from then on nothing changes any more. (Before, a number may change its
    // form: 1e2 is a real, and 100 is written for it.)
    const PacketEncoding other =
        encoding == PacketEncoding::text ? PacketEncoding::msgpack : PacketEncoding::text;
    const Delivered second(other, first.view().subject, first.view().tail);
    if (!second.ok()) continue;
    const Delivered third(encoding, second.view().subject, second.view().tail);
    require(third.ok(), "what was converted can be converted back");
    const Delivered fourth(other, third.view().subject, third.view().tail);
    require(fourth.ok(), "and again");
    const Delivered fifth(encoding, fourth.view().subject, fourth.view().tail);
    require(fifth.ok() && same(third.messages(), fifth.messages()), "conversion is stable");
  }
}

inline void check_packet(const PacketView& packet) {
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (arguments) {
    require(arguments->size() == packet.argument_count, "as many arguments as announced");
  }
  Bytes scratch;
  const Result<PublishView> publish = parse_publish(packet, scratch);
  if (publish) check_tail(publish->subject, publish->tail);
  Bytes delivery_scratch;
  const Result<PublishView> delivery = parse_delivery(packet, delivery_scratch);
  if (delivery) check_tail(delivery->subject, delivery->tail);
}

}  // namespace conat::fuzz
