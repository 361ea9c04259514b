#include "cli/values.hpp"

namespace conat::cli {

Value parse_value(std::string_view text) {
  Result<Value> value = decode_json(text);
  return value.ok() ? *std::move(value) : Value(text);
}

std::string show_value(const Value& value) {
  const std::string* text = value.if_text();
  return text != nullptr ? *text : encode_json(value);
}

Value decode_or_bytes(PayloadEncoding encoding, ByteView raw) {
  Result<Value> value = decode_payload(encoding, raw);
  return value.ok() ? *std::move(value) : Value(to_bytes(raw));
}

}  // namespace conat::cli
