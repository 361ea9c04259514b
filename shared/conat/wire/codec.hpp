// Values to bytes and back: MessagePack (with the timestamp extension for dates) and JSON.
//
// Decoders accept exactly one value and nothing behind it, bound the nesting
// (limits::max_value_depth) and never allocate more than a small multiple of the input.
// Thread safety: pure functions.
#pragma once

#include <string>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"

namespace conat {

// What a message's payload is encoded with; the number travels in the message.
enum class PayloadEncoding : std::uint8_t { msgpack = 0, json = 1 };

void encode_msgpack(const Value& value, Bytes& out);
Bytes encode_msgpack(const Value& value);
// Map keys that are no text are refused: the caller then treats the bytes as opaque.
Result<Value> decode_msgpack(ByteView bytes);

// Compact JSON as JavaScript's JSON.stringify writes it. Binary becomes
// {"type":"Buffer","data":[...]}, a date its ISO 8601 text, NaN and infinities null.
void encode_json(const Value& value, std::string& out);
std::string encode_json(const Value& value);
Result<Value> decode_json(std::string_view text);

Bytes encode_payload(PayloadEncoding encoding, const Value& value);
Result<Value> decode_payload(PayloadEncoding encoding, ByteView raw);

}  // namespace conat
