// Randomness that the shell seeds: the ChaCha20 key stream (RFC 8439) as a generator.
//
// Seeded with 32 bytes from the operating system it is a cryptographic source, as ids need; seeded
// with a number it replays a simulation. Thread safety: none, one generator per thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace conat {

class Random {
 public:
  using Seed = std::array<std::uint8_t, 32>;

  explicit Random(const Seed& seed);
  // For simulations and tests only: a repeatable stream from a number.
  explicit Random(std::uint64_t simulation_seed);

  std::uint32_t next_u32();
  std::uint64_t next_u64();
  // Uniform in [0, bound), bound > 0, without modulo bias.
  std::uint32_t below(std::uint32_t bound);
  // Uniform in [0, 1).
  double unit();
  // `length` characters of [0-9A-Za-z]; the ids of the protocol have 10.
  std::string id(std::size_t length = 10);
  // 20 url-safe characters, as Socket.IO and Engine.IO sids.
  std::string sid();
  // An independent generator, seeded from this one.
  Random fork();

 private:
  void refill();

  std::array<std::uint32_t, 16> state_{};
  std::array<std::uint32_t, 16> block_{};
  std::size_t used_ = 16;
};

}  // namespace conat
