#include "conat/sync/kept.hpp"

#include <utility>

#include "conat/base/limits.hpp"

namespace conat {
namespace {

constexpr std::int64_t kKeptVersion = 1;

bool read_kept_encoding(const Value& item, PayloadEncoding& encoding) {
  const std::int64_t number = item.integer_or(-1);
  if (number != 0 && number != 1) return false;
  encoding = static_cast<PayloadEncoding>(number);
  return true;
}

bool read_kept_raw(const Value& item, Bytes& raw) {
  const Bytes* bytes = item.if_binary();
  if (bytes == nullptr) return false;
  raw = *bytes;
  return true;
}

}  // namespace

std::string change_id_of(const Headers& headers) {
  if (headers.empty()) return {};
  const auto id = headers.text(change_id_header);
  return id ? std::string(*id) : std::string();
}

std::string change_id_of(const StreamMessage& message) {
  return message.message_id.empty() ? change_id_of(message.headers) : message.message_id;
}

Headers without_change_id(Headers headers) {
  if (headers.empty() || !headers.has(change_id_header)) return headers;
  headers.erase(change_id_header);
  const Value left = headers.value();
  const Value::Map* map = left.if_map();
  return map != nullptr && map->empty() ? Headers() : headers;
}

Bytes kept_bytes(std::string_view kind, Value::Array items) {
  Value::Array all;
  all.emplace_back(kind);
  all.emplace_back(kKeptVersion);
  all.emplace_back(std::move(items));
  return encode_payload(PayloadEncoding::msgpack, Value(std::move(all)));
}

Result<Value::Array> read_kept(std::string_view kind, ByteView bytes) {
  auto decoded = decode_payload(PayloadEncoding::msgpack, bytes);
  if (decoded.ok()) {
    Value::Array* all = decoded->if_array();
    if (all != nullptr && all->size() == 3 && (*all)[0].text_or("") == kind &&
        (*all)[1].integer_or(0) == kKeptVersion && (*all)[2].if_array() != nullptr) {
      return std::move(*(*all)[2].if_array());
    }
  }
  return Error(ErrorKind::malformed, "what was kept of the store is damaged or foreign");
}

Value kept_message(std::optional<std::string_view> key, StreamSequence seq, UnixMs time,
                   PayloadEncoding encoding, ByteView raw, ByteView headers) {
  Value::Array item;
  item.emplace_back(key ? Value(*key) : Value());
  item.emplace_back(static_cast<std::int64_t>(seq));
  item.emplace_back(static_cast<std::int64_t>(time));
  item.emplace_back(static_cast<std::int64_t>(encoding));
  item.emplace_back(to_bytes(raw));
  item.emplace_back(to_bytes(headers));
  return Value(std::move(item));
}

std::optional<StreamMessage> read_kept_message(const Value& item) {
  const Value::Array* parts = item.if_array();
  if (parts == nullptr || parts->size() != 6) return std::nullopt;
  StreamMessage message;
  if (const std::string* key = (*parts)[0].if_text()) {
    if (key->size() > limits::max_key_bytes) return std::nullopt;
    message.key = *key;
  } else if (!(*parts)[0].is_null()) {
    return std::nullopt;
  }
  message.seq = (*parts)[1].integer_or(0);
  message.time = (*parts)[2].integer_or(-1);
  if (message.seq <= 0 || message.time < 0) return std::nullopt;
  if (!read_kept_encoding((*parts)[3], message.encoding)) return std::nullopt;
  if (!read_kept_raw((*parts)[4], message.raw)) return std::nullopt;
  if (!read_kept_headers((*parts)[5], message.headers)) return std::nullopt;
  return message;
}

Value kept_value(const OptionalValue& value) {
  if (!value) return Value();
  Value::Array item;
  item.emplace_back(static_cast<std::int64_t>(value->encoding));
  item.emplace_back(to_bytes(value->raw.view()));
  return Value(std::move(item));
}

bool read_kept_value(const Value& item, OptionalValue& value) {
  value.reset();
  if (item.is_null()) return true;
  const Value::Array* parts = item.if_array();
  if (parts == nullptr || parts->size() != 2) return false;
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  const Bytes* raw = (*parts)[1].if_binary();
  if (raw == nullptr || raw->size() > limits::max_value_bytes) return false;
  if (!read_kept_encoding((*parts)[0], encoding)) return false;
  value = SharedValue{encoding, SharedBytes::copy_of(*raw)};
  return true;
}

bool read_kept_headers(const Value& item, Headers& headers) {
  Bytes encoded;
  if (!read_kept_raw(item, encoded)) return false;
  headers = Headers(std::move(encoded));
  return headers.empty() || !headers.value().is_null();
}

}  // namespace conat
