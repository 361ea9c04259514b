// Values as the stores hold them, and back.
#pragma once

#include <optional>
#include <utility>

#include "conat/sync/dkv_value.hpp"
#include "conat/wire/codec.hpp"

namespace conat::simulation {

inline EncodedValue encoded(const Value& value) {
  return {PayloadEncoding::msgpack, encode_msgpack(value)};
}

inline std::optional<Value> decoded(const std::optional<EncodedValue>& value) {
  if (!value) return std::nullopt;
  auto result = decode_payload(value->encoding, value->raw);
  return result.ok() ? std::optional<Value>(std::move(*result)) : std::nullopt;
}

}  // namespace conat::simulation
