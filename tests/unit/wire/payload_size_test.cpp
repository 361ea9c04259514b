#include "conat/wire/payload_size.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "conat/wire/headers.hpp"

using namespace conat;

namespace {

// What a server makes of the WebSocket messages of one publish.
std::size_t size_of(PacketEncoding encoding, const WireMessages& messages) {
  PacketReader reader;
  reader.set_encoding(encoding);
  PacketReader::Step step = PacketReader::Step::need_attachments;
  for (const WireMessage& message : messages) step = reader.read(message.binary, message.payload);
  REQUIRE(step == PacketReader::Step::packet);
  Bytes scratch;
  const Result<PublishView> publish = parse_publish(reader.packet(), scratch);
  REQUIRE(publish.ok());
  return payload_size(publish->tail);
}

std::size_t size_of_event(PacketEncoding encoding, Value::Array fields) {
  return size_of(encoding,
                 encode_event(encoding, "publish", {Value(std::move(fields))}, std::nullopt));
}

}  // namespace

TEST_CASE("the size of a publish's payload", "[wire]") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  const Value headers(Value::Map{{"k", Value("v")}, {"b", Value(Bytes(33, 1))}});
  const Bytes encoded = Headers(headers).encoded();
  for (const std::size_t size : {0u, 1u, 31u, 255u, 256u, 70'000u}) {
    const Bytes raw(size, 7);
    PublishChunk chunk;
    chunk.subject = "a.b";
    chunk.id = "0123456789";
    chunk.sequence = size;
    chunk.raw = raw;
    CHECK(size_of(encoding, encode_publish(encoding, chunk, std::nullopt)) == size);
    chunk.headers = encoded;
    CHECK(size_of(encoding, encode_publish(encoding, chunk, std::nullopt)) == size);
  }
}

TEST_CASE("the size of what is no usual payload", "[wire]") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  const Value bytes(Bytes(9, 1));
  CHECK(size_of_event(encoding, {Value("a")}) == 0);
  CHECK(size_of_event(encoding, {Value("a"), Value("id"), Value(0), Value(1), Value(0)}) == 0);
  CHECK(size_of_event(encoding,
                      {Value("a"), Value("id"), Value(0), Value(1), Value(0), Value("text")}) == 4);
  CHECK(size_of_event(encoding, {Value("a"), Value("id"), Value(0), Value(1), Value(0), Value()}) ==
        0);
  // Bytes where none are expected are not taken for the payload.
  CHECK(size_of_event(encoding, {Value("a"), bytes, Value(0), Value(1), Value(0), Value("xyz")}) ==
        3);
  CHECK(size_of_event(encoding,
                      {Value("a"), bytes, Value(0), Value(1), Value(0), Value(Bytes(5, 1))}) == 5);
}
