// Values to bytes and back: MessagePack (with the timestamp extension for dates) and JSON.
//
// Decoders accept exactly one value and nothing behind it, bound the nesting and never allocate
// more than a fixed multiple of the input (a Value for each byte at worst).
// Thread safety: pure functions.
#pragma once

#include <string>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"

namespace conat {

// The last (and, negated, the first) time that JavaScript's Date can hold; up to there milliseconds
// are exact as doubles.
inline constexpr double kLastUnixMs = 8.64e15;

// What a message's payload is encoded with; the number travels in the message.
enum class PayloadEncoding : std::uint8_t { msgpack = 0, json = 1 };

void encode_msgpack(const Value& value, Bytes& out);
Bytes encode_msgpack(const Value& value);
// Map keys that are no text are refused: the caller then treats the bytes as opaque.
Result<Value> decode_msgpack(ByteView bytes, std::size_t max_depth = limits::max_value_depth);

// Compact JSON as JavaScript's JSON.stringify writes it. Binary becomes
// {"type":"Buffer","data":[...]}, a date its ISO 8601 text, NaN and infinities null.
void encode_json(const Value& value, std::string& out);
std::string encode_json(const Value& value);
// Integers that fit in 64 bits stay integers. Lone surrogates become U+FFFD.
Result<Value> decode_json(std::string_view text, std::size_t max_depth = limits::max_value_depth);

Bytes encode_payload(PayloadEncoding encoding, const Value& value);
Result<Value> decode_payload(PayloadEncoding encoding, ByteView raw);

}  // namespace conat
