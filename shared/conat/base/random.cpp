#include "conat/base/random.hpp"

#include <cstddef>

namespace conat {
namespace {

constexpr std::uint32_t rotate_left(std::uint32_t value, int count) {
  return (value << count) | (value >> (32 - count));
}

void quarter_round(std::array<std::uint32_t, 16>& x, std::size_t a, std::size_t b, std::size_t c,
                   std::size_t d) {
  x[a] += x[b];
  x[d] = rotate_left(x[d] ^ x[a], 16);
  x[c] += x[d];
  x[b] = rotate_left(x[b] ^ x[c], 12);
  x[a] += x[b];
  x[d] = rotate_left(x[d] ^ x[a], 8);
  x[c] += x[d];
  x[b] = rotate_left(x[b] ^ x[c], 7);
}

// Spreads a small number over the whole key (the SplitMix64 sequence).
Random::Seed expand(std::uint64_t number) {
  Random::Seed seed;
  for (std::size_t word = 0; word < 4; ++word) {
    number += 0x9e3779b97f4a7c15u;
    std::uint64_t mixed = number;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    for (std::size_t i = 0; i < 8; ++i) {
      seed[word * 8 + i] = static_cast<std::uint8_t>(mixed >> (8 * i));
    }
  }
  return seed;
}

constexpr char kAlphanumeric[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr char kUrlSafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

Random::Random(const Seed& seed) {
  state_[0] = 0x61707865;  // "expand 32-byte k", as RFC 8439 has it
  state_[1] = 0x3320646e;
  state_[2] = 0x79622d32;
  state_[3] = 0x6b206574;
  for (std::size_t i = 0; i < 8; ++i) {
    state_[4 + i] = static_cast<std::uint32_t>(seed[4 * i]) |
                    static_cast<std::uint32_t>(seed[4 * i + 1]) << 8 |
                    static_cast<std::uint32_t>(seed[4 * i + 2]) << 16 |
                    static_cast<std::uint32_t>(seed[4 * i + 3]) << 24;
  }
}

Random::Random(std::uint64_t simulation_seed) : Random(expand(simulation_seed)) {}

void Random::refill() {
  block_ = state_;
  for (int round = 0; round < 10; ++round) {
    quarter_round(block_, 0, 4, 8, 12);
    quarter_round(block_, 1, 5, 9, 13);
    quarter_round(block_, 2, 6, 10, 14);
    quarter_round(block_, 3, 7, 11, 15);
    quarter_round(block_, 0, 5, 10, 15);
    quarter_round(block_, 1, 6, 11, 12);
    quarter_round(block_, 2, 7, 8, 13);
    quarter_round(block_, 3, 4, 9, 14);
  }
  for (std::size_t i = 0; i < 16; ++i) block_[i] += state_[i];
  // The block counter; its overflow runs on into the nonce, so that the stream never repeats.
  if (++state_[12] == 0) ++state_[13];
  used_ = 0;
}

std::uint32_t Random::next_u32() {
  if (used_ == block_.size()) refill();
  return block_[used_++];
}

std::uint64_t Random::next_u64() {
  const std::uint64_t low = next_u32();
  return low | static_cast<std::uint64_t>(next_u32()) << 32;
}

std::uint32_t Random::below(std::uint32_t bound) {
  // The product's high half is uniform once the few low halves that some results would get in
  // addition are thrown away.
  const std::uint32_t surplus = (0u - bound) % bound;
  while (true) {
    const std::uint64_t product = static_cast<std::uint64_t>(next_u32()) * bound;
    if (static_cast<std::uint32_t>(product) >= surplus) {
      return static_cast<std::uint32_t>(product >> 32);
    }
  }
}

double Random::unit() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

std::string Random::id(std::size_t length) {
  std::string text(length, '0');
  for (char& character : text) character = kAlphanumeric[below(62)];
  return text;
}

std::string Random::sid() {
  std::string text(20, 'A');
  for (char& character : text) character = kUrlSafe[next_u32() & 63];
  return text;
}

Random Random::fork() {
  Seed seed;
  for (std::size_t i = 0; i < seed.size(); i += 4) {
    const std::uint32_t word = next_u32();
    for (std::size_t byte = 0; byte < 4; ++byte) {
      seed[i + byte] = static_cast<std::uint8_t>(word >> (8 * byte));
    }
  }
  return Random(seed);
}

}  // namespace conat
