#include "conat/sync/value_hash.hpp"

#include <cstring>

namespace conat {
namespace {

std::uint64_t mix(std::uint64_t hash) {
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 29;
  return hash;
}

std::uint64_t hash_real(double real) {
  if (real != real) return mix(3);  // every NaN
  if (real == 0) real = 0;          // -0.0 too
  std::uint64_t bits = 0;
  std::memcpy(&bits, &real, sizeof bits);
  return mix(bits + 5);
}

}  // namespace

std::uint64_t hash_bytes(ByteView bytes, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return mix(hash);
}

std::uint64_t hash_value(const Value& value) {
  if (value.is_null()) return 1;
  if (const auto* flag = value.if_bool()) return *flag ? 11 : 13;
  // Equal numbers of different types give the same double.
  if (value.is_number()) return hash_real(value.number_or(0));
  if (const auto* text = value.if_text()) return hash_bytes(as_bytes(*text), 17);
  if (const auto* bytes = value.if_binary()) return hash_bytes(*bytes, 19);
  if (const auto* items = value.if_array()) {
    std::uint64_t hash = 23;
    for (const Value& item : *items) hash = mix(hash * 31 + hash_value(item));
    return hash;
  }
  if (const auto* entries = value.if_map()) {
    std::uint64_t hash = 29;  // a sum: maps are unordered
    for (const auto& entry : *entries) {
      hash += mix(hash_bytes(as_bytes(entry.first), 37) * 31 + hash_value(entry.second));
    }
    return hash;
  }
  if (const auto* date = value.if_date()) return hash_real(date->unix_ms) + 41;
  if (const auto* extension = value.if_extension()) {
    return hash_bytes(extension->data, 43 + static_cast<std::uint64_t>(extension->type));
  }
  return 0;
}

}  // namespace conat
