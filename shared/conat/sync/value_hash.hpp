// A hash of values that agrees with their deep equality.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "conat/base/bytes.hpp"
#include "conat/base/value.hpp"

namespace conat {

// FNV-1a with a final mix. Not for input that an attacker chooses to collide where it matters: the
// callers' tables hold one user's own data.
std::uint64_t hash_bytes(ByteView bytes, std::uint64_t seed = 0);

// Equal values (maps unordered, 1 equals 1.0) have equal hashes.
std::uint64_t hash_value(const Value& value);

struct ValuePointerHash {
  std::size_t operator()(const Value* value) const {
    return static_cast<std::size_t>(hash_value(*value));
  }
};
struct ValuePointerEqual {
  bool operator()(const Value* a, const Value* b) const { return *a == *b; }
};

}  // namespace conat
