#include <catch2/catch.hpp>

#include "conat/wire/websocket.hpp"
#include "property/wire/random_values.hpp"

using namespace conat;
using namespace conat::test;
using Step = WebSocketReader::Step;

namespace {

struct Event {
  Step step;
  bool binary;
  Bytes payload;
  bool operator==(const Event& other) const {
    return step == other.step && payload == other.payload &&
           (step != Step::message || binary == other.binary);
  }
};

// Writes one frame for the role, with a first byte of one's own.
void append_frame(Bytes& out, Random& random, WebSocketRole reader, bool final,
                  WebSocketOpcode opcode, ByteView payload) {
  const std::size_t start = out.size();
  if (reader == WebSocketRole::server) {
    append_masked_frame(out, opcode, payload, random.next_u32());
  } else {
    append(out, websocket_frame(opcode, payload).view());
  }
  if (!final) out[start] &= 0x7f;
}

// A stream of messages in random fragments with control frames in between, and what it means.
std::vector<Event> write_stream(Bytes& out, Random& random, WebSocketRole reader,
                                std::uint32_t largest) {
  std::vector<Event> events;
  for (std::uint32_t messages = random.below(6); messages > 0; --messages) {
    const bool binary = random.below(2) == 0;
    const std::uint32_t size = random.below(4) == 0 ? largest : 300;
    const Bytes payload =
        binary ? random_bytes(random, size) : to_bytes(random_text(random, size / 4));
    std::size_t done = 0;
    WebSocketOpcode opcode = binary ? WebSocketOpcode::binary : WebSocketOpcode::text;
    while (true) {
      const std::size_t left = payload.size() - done;
      const bool final = random.below(2) == 0;
      const std::size_t part = final ? left : random.below(static_cast<std::uint32_t>(left) + 1);
      append_frame(out, random, reader, final, opcode, ByteView(payload).subspan(done, part));
      done += part;
      opcode = WebSocketOpcode::continuation;
      if (final) break;
      if (random.below(3) == 0) {
        const bool ping = random.below(2) == 0;
        const Bytes content = random_bytes(random, 125);
        append_frame(out, random, reader, true,
                     ping ? WebSocketOpcode::ping : WebSocketOpcode::pong, content);
        events.push_back({ping ? Step::ping : Step::pong, false, content});
      }
    }
    events.push_back({Step::message, binary, payload});
  }
  return events;
}

std::vector<Event> read_stream(const Bytes& bytes, Random& random, WebSocketRole role) {
  WebSocketReader reader(role, 100'000);
  std::vector<Event> events;
  const std::uint32_t longest = 1 + random.below(random.below(2) == 0 ? 20 : 20'000);
  for (std::size_t start = 0; start < bytes.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random.below(longest), bytes.size() - start);
    // A buffer of its own each time, so that a view of an old one is found out.
    Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(start),
                bytes.begin() + static_cast<std::ptrdiff_t>(start + size));
    start += size;
    reader.feed(piece);
    for (Step step = reader.next(); step != Step::need_more; step = reader.next()) {
      REQUIRE(step != Step::error);
      events.push_back({step, reader.binary(), to_bytes(reader.payload())});
    }
    REQUIRE(reader.held_bytes() <= 100'000);
  }
  return events;
}

}  // namespace

TEST_CASE("messages arrive whole however frames and reads are cut", "[property]") {
  Random random(21);
  for (int round = 0; round < 80; ++round) {
    const WebSocketRole role = round % 2 == 0 ? WebSocketRole::server : WebSocketRole::client;
    Bytes bytes;
    const std::vector<Event> sent = write_stream(bytes, random, role, 70'000);
    const std::vector<Event> received = read_stream(bytes, random, role);
    REQUIRE(received.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) REQUIRE(received[i] == sent[i]);
  }
}

TEST_CASE("damaged streams end in an error or in messages within the bounds", "[property]") {
  Random random(22);
  int errors = 0;
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes;
    write_stream(bytes, random, WebSocketRole::server, 1000);
    if (bytes.empty()) continue;
    for (std::uint32_t i = 1 + random.below(4); i > 0; --i) {
      bytes[random.below(std::min(static_cast<std::uint32_t>(bytes.size()), 40u))] ^=
          static_cast<std::uint8_t>(1 + random.below(255));
    }
    WebSocketReader reader(WebSocketRole::server, 1000);
    reader.feed(bytes);
    Step step = reader.next();
    while (step != Step::need_more && step != Step::error) {
      REQUIRE(reader.payload().size() <= 1000);
      step = reader.next();
    }
    REQUIRE(reader.held_bytes() <= 1000);
    if (step == Step::error) ++errors;
  }
  CHECK(errors > 500);
}
