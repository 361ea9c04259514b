// Values as a key-value store holds them, and when two of them are the same.
//
// Thread safety: plain values and pure functions.
#pragma once

#include <optional>

#include "conat/base/bytes.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/headers.hpp"

namespace conat {

// A value with its encoding.
struct EncodedValue {
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
};

// The same inside of a store: copies share the bytes.
struct SharedValue {
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  SharedBytes raw;
};
using OptionalValue = std::optional<SharedValue>;  // nothing: absent

struct ValueView {
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  ByteView raw;
};

inline ValueView view_of(const SharedValue& value) { return {value.encoding, value.raw.view()}; }

std::optional<EncodedValue> encoded_value(const OptionalValue& value);

// Deep equality; what cannot be decoded is compared by its bytes.
bool same_value(const OptionalValue& a, const OptionalValue& b);
// The same, but without decoding when the sizes already tell the difference for values of one
// encoder: for where a false "no" costs only a needless write.
bool quickly_same(ValueView a, ValueView b);
bool quickly_same(const OptionalValue& a, const OptionalValue& b);
bool same_headers(const Headers& a, const Headers& b);

}  // namespace conat
