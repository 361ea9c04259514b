#include "conat/stream/persist_codec.hpp"

#include <utility>

#include "conat/wire/msgpack_view.hpp"

namespace conat::persist_parts {
namespace {

Error malformed(std::string text) { return Error(ErrorKind::bad_request, std::move(text)); }

bool is_absent(const Value* value) { return value == nullptr || value->is_null(); }

bool is_truthy(const Value* value) {
  if (is_absent(value)) return false;
  if (value->if_bool() != nullptr) return *value->if_bool();
  if (value->is_number()) return value->number_or(0) > 0 || value->number_or(0) < 0;
  return value->if_text() == nullptr || !value->if_text()->empty();
}

std::int64_t integer(const Value* value, std::int64_t otherwise) {
  return value == nullptr ? otherwise : value->integer_or(otherwise);
}

// The arguments that a single set and an item of setMany share.
struct SetArguments {
  const Value* key = nullptr;
  const Value* ttl = nullptr;
  const Value* previous_seq = nullptr;
  const Value* message_id = nullptr;
};

std::optional<Error> apply(const SetArguments& from, SetRequest& request) {
  if (!is_absent(from.key)) {
    if (from.key->if_text() == nullptr) return malformed("key must be a string");
    request.key = *from.key->if_text();
  }
  if (!is_absent(from.ttl)) {
    const double ttl = from.ttl->number_or(0);
    constexpr double kLongest = 1e15;  // beyond it the time of expiry could overflow
    if (ttl >= 1 && ttl < kLongest) request.ttl_ms = static_cast<std::int64_t>(ttl);
  }
  if (!is_absent(from.previous_seq)) {
    if (!from.previous_seq->is_number()) return malformed("previousSeq must be a number");
    // A number that no message can have is still a number that differs.
    request.previous_seq = from.previous_seq->integer_or(-1);
  }
  if (!is_absent(from.message_id)) {
    if (from.message_id->if_text() == nullptr) return malformed("msgID must be a string");
    request.message_id = *from.message_id->if_text();
  }
  return std::nullopt;
}

std::string headers_as_json(const Value* headers) {
  return is_absent(headers) ? std::string() : encode_json(*headers);
}

// {encoding, raw, headers?}
std::optional<Error> apply_message_data(ByteView encoded, SetRequest& request) {
  MsgpackCursor cursor(encoded);
  bool has_raw = false;
  for (std::uint32_t left = cursor.read_map(); cursor.ok() && left > 0; --left) {
    const std::string_view name = cursor.read_text();
    if (name == "raw" && cursor.next_is_binary()) {
      request.raw = to_bytes(cursor.read_binary());
      has_raw = true;
    } else if (name == "encoding" && cursor.next_is_unsigned()) {
      const std::uint64_t encoding = cursor.read_unsigned();
      if (encoding > 1) return malformed("unknown encoding");
      request.encoding = encoding == 1 ? PayloadEncoding::json : PayloadEncoding::msgpack;
    } else if (name == "headers") {
      const Result<Value> headers = decode_msgpack(cursor.skip());
      if (!headers) return malformed("malformed headers");
      request.headers_json = headers_as_json(&*headers);
    } else {
      cursor.skip();
    }
  }
  if (!cursor.ok() || !has_raw) return malformed("messageData must have raw bytes");
  return std::nullopt;
}

// An item of setMany, without building values for the payload.
Result<SetRequest> parse_item(ByteView encoded) {
  SetRequest request;
  MsgpackCursor cursor(encoded);
  if (!cursor.next_is_map()) return malformed("an item of setMany must be an object");
  Value key, ttl, previous_seq, message_id;
  ByteView message_data;
  for (std::uint32_t left = cursor.read_map(); cursor.ok() && left > 0; --left) {
    const std::string_view name = cursor.read_text();
    if (name == "messageData") {
      message_data = cursor.skip();
      continue;
    }
    Value* target = nullptr;
    if (name == "key") target = &key;
    if (name == "ttl") target = &ttl;
    if (name == "previousSeq") target = &previous_seq;
    if (name == "msgID") target = &message_id;
    const ByteView value = cursor.skip();
    if (target == nullptr) continue;
    Result<Value> decoded = decode_msgpack(value);
    if (!decoded) return malformed("malformed item of setMany");
    *target = std::move(*decoded);
  }
  if (!cursor.ok()) return malformed("malformed item of setMany");
  if (auto error = apply({&key, &ttl, &previous_seq, &message_id}, request)) return *error;
  if (auto error = apply_message_data(message_data, request)) return *error;
  return request;
}

Value sequences(const std::vector<StreamSequence>& seqs) {
  Value::Array items;
  items.reserve(seqs.size());
  for (const StreamSequence seq : seqs) items.emplace_back(seq);
  return Value(std::move(items));
}

std::string error_text(const Error& error) {
  constexpr std::string_view kPrefix = "Error: ";
  const bool has_prefix = error.text.compare(0, kPrefix.size(), kPrefix) == 0;
  return has_prefix ? error.text : std::string(kPrefix) + error.text;
}

MessageData null_with(Value::Map headers) {
  return MessageData::of(Value(), Headers(Value(std::move(headers))));
}

void append_sequence(Bytes& out, std::int64_t number) {
  append_msgpack_unsigned(out, number < 0 ? 0 : static_cast<std::uint64_t>(number));
}

// {seq, time, key?, encoding, raw, headers?, msgID?}
void append_message(Bytes& out, const StoredMessage& message, bool with_message_id) {
  Bytes headers;
  if (!message.headers_json.empty()) {
    const Result<Value> decoded = decode_json(message.headers_json);
    if (decoded) encode_msgpack(*decoded, headers);
  }
  const bool has_id = with_message_id && !message.message_id.empty();
  append_msgpack_map(
      out, 4u + (message.key ? 1u : 0u) + (headers.empty() ? 0u : 1u) + (has_id ? 1u : 0u));
  append_msgpack_text(out, "seq");
  append_sequence(out, message.seq);
  append_msgpack_text(out, "time");
  append_sequence(out, message.time);
  if (message.key) {
    append_msgpack_text(out, "key");
    append_msgpack_text(out, *message.key);
  }
  append_msgpack_text(out, "encoding");
  append_msgpack_unsigned(out, static_cast<std::uint64_t>(message.encoding));
  append_msgpack_text(out, "raw");
  append_msgpack_binary(out, message.raw);
  if (!headers.empty()) {
    append_msgpack_text(out, "headers");
    append(out, headers);
  }
  if (has_id) {
    append_msgpack_text(out, "msgID");
    append_msgpack_text(out, message.message_id);
  }
}

}  // namespace

// ---- what comes in ----

Result<Opening> parse_opening(const MessageData& data) {
  const Result<Value> payload = data.decode();
  const Value* storage = payload ? payload->find("storage") : nullptr;
  const Value* path = storage == nullptr ? nullptr : storage->find("path");
  if (path == nullptr || path->if_text() == nullptr) {
    return malformed("the first message must be {storage: {path}}");
  }
  Opening opening;
  opening.path = *path->if_text();
  opening.ephemeral = is_truthy(storage->find("ephemeral"));
  opening.sync = is_truthy(storage->find("sync"));
  const Value* compression = storage->find("compression");
  opening.compression = is_absent(compression) || is_truthy(compression);
  opening.changefeed = is_truthy(payload->find("changefeed"));
  return opening;
}

Result<SetRequest> parse_set(const Value& headers, MessageData data) {
  SetRequest request;
  const SetArguments arguments{headers.find("key"), headers.find("ttl"),
                               headers.find("previousSeq"), headers.find("msgID")};
  if (auto error = apply(arguments, request)) return *error;
  request.headers_json = headers_as_json(headers.find("headers"));
  request.encoding = data.encoding;
  request.raw = std::move(data.raw);
  return request;
}

Result<std::vector<Result<SetRequest>>> parse_set_many(const MessageData& data) {
  MsgpackCursor cursor(data.raw);
  if (data.encoding != PayloadEncoding::msgpack || !cursor.next_is_array()) {
    return malformed("setMany needs an array");
  }
  std::vector<Result<SetRequest>> items;
  const std::uint32_t count = cursor.read_array();
  items.reserve(count);
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    const ByteView item = cursor.skip();
    if (cursor.ok()) items.push_back(parse_item(item));
  }
  if (!cursor.ok()) return malformed("malformed data of setMany");
  return items;
}

StorageGet parse_get(const Value& headers) {
  StorageGet get;
  const Value* seq = headers.find("seq");
  const Value* key = headers.find("key");
  if (!is_absent(seq)) {
    get.seq = seq->integer_or(0);
  } else if (!is_absent(key) && key->if_text() != nullptr) {
    get.key = *key->if_text();
  }
  return get;
}

StorageGetAll parse_get_all(const Value& headers) {
  StorageGetAll get_all;
  get_all.from = integer(headers.find("start_seq"), 0);
  get_all.to = integer(headers.find("end_seq"), 0);
  return get_all;
}

DeleteRequest parse_delete(const Value& headers) {
  DeleteRequest request;
  const Value* seqs = headers.find("seqs");
  if (is_truthy(headers.find("all"))) {
    request.all = true;
  } else if (const Value* last = headers.find("last_seq"); !is_absent(last)) {
    request.last_seq = last->integer_or(0);
  } else if (const Value* seq = headers.find("seq"); !is_absent(seq)) {
    request.seq = seq->integer_or(0);
  } else if (seqs != nullptr && seqs->if_array() != nullptr) {
    request.seqs.emplace();
    for (const Value& each : *seqs->if_array()) request.seqs->push_back(each.integer_or(0));
  }
  return request;
}

// ---- what goes out ----

Value::Map error_fields(const Error& error) {
  Value::Map fields;
  fields.emplace_back("error", Value(error_text(error)));
  if (!error.code.word.empty()) {
    fields.emplace_back("code", Value(error.code.word));
  } else if (error.code.number != 0) {
    fields.emplace_back("code", Value(error.code.number));
  }
  return fields;
}

MessageData error_message(const Error& error) { return null_with(error_fields(error)); }

MessageData set_answer(const SetResult& result) {
  Bytes raw;
  append_msgpack_map(raw, 2);
  append_msgpack_text(raw, "time");
  append_sequence(raw, result.time);
  append_msgpack_text(raw, "seq");
  append_sequence(raw, result.seq);
  return {PayloadEncoding::msgpack, std::move(raw), {}};
}

MessageData set_many_answer(const std::vector<std::optional<Error>>& refused,
                            const std::vector<Result<SetResult>>& results) {
  Bytes raw;
  append_msgpack_array(raw, static_cast<std::uint32_t>(refused.size()));
  std::size_t next = 0;
  for (const std::optional<Error>& refusal : refused) {
    const Error* error = refusal ? &*refusal : nullptr;
    if (error == nullptr && next < results.size()) {
      const Result<SetResult>& result = results[next++];
      if (result) {
        append(raw, set_answer(*result).raw);
        continue;
      }
      error = &result.error();
    }
    const Error none(ErrorKind::internal);
    encode_msgpack(Value(error_fields(error == nullptr ? none : *error)), raw);
  }
  return {PayloadEncoding::msgpack, std::move(raw), {}};
}

MessageData get_answer(std::optional<StoredMessage> message) {
  if (!message) return MessageData::of(Value());
  Value headers;
  if (!message->headers_json.empty()) {
    Result<Value> decoded = decode_json(message->headers_json);
    if (decoded && decoded->if_map() != nullptr) headers = std::move(*decoded);
  }
  headers.set("seq", Value(message->seq));
  headers.set("time", Value(message->time));
  if (message->key) headers.set("key", Value(*message->key));
  return {message->encoding, std::move(message->raw), Headers(headers)};
}

MessageData delete_answer(const std::vector<StreamSequence>& seqs) {
  Value::Map answer;
  answer.emplace_back("seqs", sequences(seqs));
  return MessageData::of(Value(std::move(answer)));
}

MessageData inventory_answer(const StorageInventoryResult& result) {
  Value::Map answer;
  answer.emplace_back("bytes", Value(result.inventory.bytes));
  answer.emplace_back("count", Value(result.inventory.count));
  answer.emplace_back("limits", result.limits);
  answer.emplace_back("seq", Value(result.inventory.seq));
  return MessageData::of(Value(std::move(answer)));
}

MessageData keys_answer(const std::vector<std::string>& keys) {
  Bytes raw;
  append_msgpack_array(raw, static_cast<std::uint32_t>(keys.size()));
  for (const std::string& key : keys) append_msgpack_text(raw, key);
  return {PayloadEncoding::msgpack, std::move(raw), {}};
}

MessageData numbered(Bytes raw, std::uint64_t number) {
  Value::Map headers;
  headers.emplace_back("seq", Value(number));
  return {PayloadEncoding::msgpack, std::move(raw), Headers(Value(std::move(headers)))};
}

MessageData range_message(const std::vector<StoredMessage>& messages, std::uint64_t number) {
  constexpr std::size_t kOverhead = 64;
  std::size_t bytes = kOverhead;
  for (const StoredMessage& message : messages) {
    bytes += kOverhead + message.raw.size() + message.headers_json.size() +
             (message.key ? message.key->size() : 0);
  }
  Bytes raw;
  raw.reserve(bytes);
  append_msgpack_array(raw, static_cast<std::uint32_t>(messages.size()));
  for (const StoredMessage& message : messages) append_message(raw, message, false);
  return numbered(std::move(raw), number);
}

MessageData end_of_range(std::uint64_t number) {
  Bytes raw;
  append_msgpack_nil(raw);
  return numbered(std::move(raw), number);
}

Bytes encode_change(const StreamChange& change) {
  Bytes raw;
  if (change.deleted.empty() && change.message.seq > 0) {
    append_message(raw, change.message, true);
    return raw;
  }
  append_msgpack_map(raw, 2);
  append_msgpack_text(raw, "op");
  append_msgpack_text(raw, "delete");
  append_msgpack_text(raw, "seqs");
  append_msgpack_array(raw, static_cast<std::uint32_t>(change.deleted.size()));
  for (const StreamSequence seq : change.deleted) append_sequence(raw, seq);
  return raw;
}

}  // namespace conat::persist_parts
