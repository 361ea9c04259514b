// Values as they came from the server.
//
// Thread safety: pure functions.
#pragma once

#include "conat/base/value.hpp"
#include "conat/sync/dkv_value.hpp"
#include "conat/wire/codec.hpp"

namespace conat::native {

// What cannot be decoded, which any client can store, is shown as its bytes.
inline Value decoded(PayloadEncoding encoding, ByteView raw) {
  Result<Value> value = decode_payload(encoding, raw);
  return value.ok() ? std::move(*value) : Value(to_bytes(raw));
}

inline std::optional<Value> decoded(const std::optional<EncodedValue>& value) {
  if (!value) return std::nullopt;
  return decoded(value->encoding, value->raw);
}

}  // namespace conat::native
