// A compact open-addressing hash table from hashes to 32-bit numbers of things kept elsewhere: 8
// bytes a slot, no allocation per entry. The owner compares the things themselves.
//
// Invariants: linear probing without tombstones (deletion shifts back), at most 3/4 full, the size
// a power of two. Several entries may have the same hash. Thread safety: none.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace conat {

// A quick hash of text, different for each seed, so that a peer cannot choose colliding names.
inline std::uint64_t hash_text(std::string_view text, std::uint64_t seed) {
  constexpr std::uint64_t kMultiplier = 0x9fb21c651e98df25;
  std::uint64_t hash = seed ^ (text.size() * kMultiplier);
  const char* data = text.data();
  std::size_t left = text.size();
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 29;
  };
  for (; left >= 8; left -= 8, data += 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    mix(word);
  }
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, left);
    mix(word);
  }
  hash *= (kMultiplier ^ seed) | 1;
  return hash ^ hash >> 32;
}

class HashIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::size_t size() const { return size_; }

  // The value with this hash for which `equal(value)` holds, or kNone.
  template <class Equal>
  std::uint32_t find(std::uint32_t hash, Equal&& equal) const {
    if (slots_.empty()) return kNone;
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.value == kNone) return kNone;
      if (slot.hash == hash && equal(slot.value)) return slot.value;
    }
  }

  // The caller has made sure that the value is not there yet.
  void insert(std::uint32_t hash, std::uint32_t value) {
    if (4 * (size_ + 1) > 3 * slots_.size()) resize(slots_.empty() ? 16 : 2 * slots_.size());
    place(hash, value);
    ++size_;
  }

  bool erase(std::uint32_t hash, std::uint32_t value) {
    if (slots_.empty()) return false;
    std::size_t hole = hash & mask();
    while (slots_[hole].value != value || slots_[hole].hash != hash) {
      if (slots_[hole].value == kNone) return false;
      hole = (hole + 1) & mask();
    }
    close_hole(hole);
    --size_;
    if (slots_.size() > 16 && 8 * size_ < slots_.size()) resize(slots_.size() / 2);
    return true;
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t value = kNone;
  };

  std::size_t mask() const { return slots_.size() - 1; }

  void place(std::uint32_t hash, std::uint32_t value) {
    std::size_t i = hash & mask();
    while (slots_[i].value != kNone) i = (i + 1) & mask();
    slots_[i] = {hash, value};
  }

  // Moves later entries of the probe run back, so that every entry stays reachable.
  void close_hole(std::size_t hole) {
    for (std::size_t i = (hole + 1) & mask(); slots_[i].value != kNone; i = (i + 1) & mask()) {
      const std::size_t home = slots_[i].hash & mask();
      if (((i - home) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = Slot{};
  }

  void resize(std::size_t slots) {
    std::vector<Slot> old(slots);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.value != kNone) place(slot.hash, slot.value);
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace conat
