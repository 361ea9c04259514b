// One whole message as the layers above the wire see it: chunks joined, nothing decoded.
//
// Thread safety: a plain value.
#pragma once

#include <string>

#include "conat/base/bytes.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/headers.hpp"

namespace conat {

// A payload with its headers: a message without a subject.
struct MessageData {
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
  Headers headers;

  static MessageData of(const Value& value, Headers headers = {},
                        PayloadEncoding encoding = PayloadEncoding::msgpack) {
    return {encoding, encode_payload(encoding, value), std::move(headers)};
  }
  Result<Value> decode() const { return decode_payload(encoding, raw); }
};

struct Message {
  std::string subject;
  MessageData data;

  // The subject to answer to; empty when this is no request.
  std::string_view reply_subject() const {
    return data.headers.text(header::reply).value_or(std::string_view{});
  }
};

}  // namespace conat
