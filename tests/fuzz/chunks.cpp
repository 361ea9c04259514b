// Chunks in any order, with times and streams that come and go.
#include "conat/wire/chunks.hpp"

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  using fuzz::require;
  constexpr std::size_t kMaxBytes = 4000;
  fuzz::Input input(data, size);
  Reassembler reassembler(kMaxBytes);
  TimeMs now = 0;
  while (!input.empty()) {
    const std::uint8_t what = input.byte();
    now += input.byte() * 1000;
    if (what < 0xf0) {
      TailFields chunk;
      chunk.id = input.text();
      chunk.sequence = what & 7;
      chunk.done = (what & 8) != 0;
      chunk.raw = input.piece();
      const auto message = reassembler.add(now, what >> 6, chunk);
      require(!message || (chunk.done && message->raw.size() >= chunk.raw.size()),
              "only the last chunk completes a message");
    } else if (what < 0xf8) {
      reassembler.forget(what & 3);
    } else if (what < 0xff) {
      reassembler.expire(now);
      require(!reassembler.deadline() || *reassembler.deadline() > now, "nothing stays too long");
    } else {
      reassembler.clear();
      require(reassembler.held_bytes() == 0, "nothing is held after clear");
    }
    require(reassembler.held_bytes() <= kMaxBytes, "held bytes within the bound");
    require((reassembler.held_bytes() == 0) == !reassembler.deadline(),
            "a deadline for what is held");
  }
  return 0;
}
