#include <catch2/catch.hpp>

#include "conat/wire/chunks.hpp"
#include "property/wire/random_values.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("interleaved messages are joined, each in its order", "[property]") {
  Random random(41);
  for (int round = 0; round < 200; ++round) {
    struct Sending {
      std::uint64_t stream;
      std::string id;
      Bytes payload;
      std::size_t sent = 0;
      std::uint64_t sequence = 0;
    };
    std::vector<Sending> sendings;
    for (std::uint32_t i = 1 + random.below(8); i > 0; --i) {
      sendings.push_back({random.below(3), random.id(), random_bytes(random, 500)});
    }
    Reassembler reassembler;
    std::size_t received = 0;
    const std::size_t expected = sendings.size();
    while (!sendings.empty()) {
      const std::size_t index = random.below(static_cast<std::uint32_t>(sendings.size()));
      Sending& sending = sendings[index];
      const std::size_t left = sending.payload.size() - sending.sent;
      const bool done = random.below(4) == 0;
      const std::size_t part = done ? left : random.below(static_cast<std::uint32_t>(left) + 1);
      TailFields chunk;
      chunk.id = sending.id;
      chunk.sequence = sending.sequence++;
      chunk.done = done;
      chunk.raw = ByteView(sending.payload).subspan(sending.sent, part);
      sending.sent += part;
      const std::optional<MessageData> message = reassembler.add(0, sending.stream, chunk);
      REQUIRE(message.has_value() == done);
      if (!done) continue;
      REQUIRE(message->raw == sending.payload);
      ++received;
      sendings.erase(sendings.begin() + static_cast<std::ptrdiff_t>(index));
    }
    REQUIRE(received == expected);
    REQUIRE(reassembler.discarded() == 0);
    REQUIRE(reassembler.held_bytes() == 0);
  }
}
