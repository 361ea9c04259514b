#include <catch2/catch.hpp>

#include "conat/wire/headers.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/utf8.hpp"
#include "property/wire/random_values.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;

namespace {

constexpr PacketEncoding kEncodings[] = {PacketEncoding::text, PacketEncoding::msgpack};

// What a packet encoding makes of a value: text packets have no dates.
ValueOptions options_of(PacketEncoding encoding) {
  ValueOptions options;
  options.dates = encoding == PacketEncoding::msgpack;
  return options;
}

// A map that looks like a placeholder would not come back.
bool has_mark(const Value& value) {
  if (value.find("_placeholder") != nullptr) return true;
  if (const auto* items = value.if_array()) {
    for (const Value& item : *items) {
      if (has_mark(item)) return true;
    }
  }
  if (const auto* map = value.if_map()) {
    for (const auto& entry : *map) {
      if (has_mark(entry.second)) return true;
    }
  }
  return false;
}

Value::Array random_arguments(Random& random, PacketEncoding encoding) {
  Value::Array arguments;
  do {
    arguments.clear();
    for (std::uint32_t i = random.below(4); i > 0; --i) {
      arguments.push_back(random_value(random, options_of(encoding), 3));
    }
  } while (count_binary(arguments) > limits::max_attachments || has_mark(arguments));
  return arguments;
}

struct Sent {
  std::string subject, id;
  std::uint64_t sequence;
  bool done;
  PayloadEncoding encoding;
  Bytes raw, headers;
};

Sent random_message(Random& random) {
  Value headers;
  do {
    headers = random_value(random, {true, false}, 3);
  } while (count_binary(headers) >= limits::max_attachments || has_mark(headers));
  return {"s" + random_text(random, 5),
          random.id(),
          random.below(3) == 0 ? random.next_u64() >> random.below(64) : 0,
          random.below(2) == 0,
          random.below(2) == 0 ? PayloadEncoding::json : PayloadEncoding::msgpack,
          random_bytes(random, 300),
          Headers(headers).encoded()};
}

}  // namespace

TEST_CASE("every event and acknowledgement comes back", "[property]") {
  Random random(31);
  for (int round = 0; round < 2000; ++round) {
    const PacketEncoding encoding = kEncodings[round % 2];
    const Value::Array arguments = random_arguments(random, encoding);
    const std::string name = "e" + random_text(random, 4);
    std::optional<std::uint64_t> ack_id;
    if (random.below(2) == 0) ack_id = random.next_u64() >> (11 + random.below(53));
    const bool event = !ack_id || random.below(2) == 0;
    const OnePacket packet(encoding, event ? encode_event(encoding, name, arguments, ack_id)
                                           : encode_ack(encoding, *ack_id, arguments));
    INFO(encode_json(arguments));
    REQUIRE(packet.step() == PacketReader::Step::packet);
    REQUIRE(packet.view().kind == (event ? PacketKind::event : PacketKind::ack));
    REQUIRE(packet.view().ack_id == ack_id);
    if (event) REQUIRE(packet.view().name == name);
    const Result<Value::Array> back = decode_arguments(packet.view());
    REQUIRE(back.ok());
    REQUIRE(Value(*back) == Value(arguments));
  }
}

TEST_CASE("a message goes from every encoding to every encoding unharmed", "[property]") {
  Random random(32);
  for (int round = 0; round < 2000; ++round) {
    const PacketEncoding from = kEncodings[round % 2];
    const PacketEncoding to = kEncodings[round / 2 % 2];
    const Sent sent = random_message(random);
    const OnePacket publish(from, encode_publish(from,
                                                 {sent.subject, sent.id, sent.sequence, sent.done,
                                                  sent.encoding, sent.raw, sent.headers},
                                                 std::nullopt));
    Bytes scratch;
    const Result<PublishView> parsed = parse_publish(publish.view(), scratch);
    REQUIRE(parsed.ok());
    REQUIRE(parsed->subject == sent.subject);
    REQUIRE(parsed->tail.head.id == sent.id);
    REQUIRE(parsed->tail.head.sequence == sent.sequence);
    REQUIRE(parsed->tail.head.done == sent.done);
    const Result<SharedBytes> framed = frame_delivery(to, "p.>", parsed->subject, parsed->tail);
    REQUIRE(framed.ok());
    const OnePacket delivery(to, unframe(*framed));
    REQUIRE(delivery.view().name == "p.>");
    Bytes delivery_scratch;
    const Result<PublishView> received = parse_delivery(delivery.view(), delivery_scratch);
    REQUIRE(received.ok());
    REQUIRE(received->subject == sent.subject);
    const Result<TailFields> fields = parse_tail(received->tail);
    REQUIRE(fields.ok());
    REQUIRE(fields->id == sent.id);
    REQUIRE(fields->sequence == sent.sequence);
    REQUIRE(fields->done == sent.done);
    REQUIRE(fields->payload_encoding == static_cast<std::uint8_t>(sent.encoding));
    REQUIRE(to_bytes(fields->raw) == sent.raw);
    REQUIRE(Headers(fields->headers).value() == Headers(sent.headers).value());
  }
}

TEST_CASE("damaged packets are refused or read, never more", "[property]") {
  Random random(33);
  int refused = 0;
  for (int round = 0; round < 6000; ++round) {
    const PacketEncoding encoding = kEncodings[round % 2];
    const Sent sent = random_message(random);
    WireMessages messages = encode_publish(
        encoding,
        {sent.subject, sent.id, sent.sequence, sent.done, sent.encoding, sent.raw, sent.headers},
        5);
    Bytes& first = messages[0].payload;
    for (std::uint32_t i = 1 + random.below(3); i > 0; --i) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(first.size()));
      first[at] = encoding == PacketEncoding::text
                      ? static_cast<std::uint8_t>(32 + random.below(95))
                      : static_cast<std::uint8_t>(random.below(256));
    }
    // A WebSocketReader lets no other text through.
    if (encoding == PacketEncoding::text && !is_utf8(first)) continue;
    OnePacket packet(encoding, messages);
    if (packet.step() != PacketReader::Step::packet) {
      ++refused;
      continue;
    }
    Bytes scratch;
    const Result<PublishView> parsed = parse_publish(packet.view(), scratch);
    decode_arguments(packet.view()).ok();
    if (!parsed) continue;
    for (const PacketEncoding to : kEncodings) {
      const Result<SharedBytes> framed = frame_delivery(to, "p", parsed->subject, parsed->tail);
      if (!framed) continue;
      // Whatever is delivered, a client can read.
      const OnePacket delivery(to, unframe(*framed));
      INFO(shown(messages)[0]);
      REQUIRE(delivery.step() == PacketReader::Step::packet);
      Bytes delivery_scratch;
      REQUIRE(parse_delivery(delivery.view(), delivery_scratch).ok());
    }
  }
  CHECK(refused > 600);
}
