#include "conat/sync/stream_codec.hpp"

#include <limits>
#include <utility>

#include "conat/wire/msgpack_view.hpp"

namespace conat {
namespace {

Error malformed(const char* what) { return Error(ErrorKind::malformed, what); }

// A whole number in any of its forms; JavaScript writes large ones as floating point.
std::int64_t read_integer(MsgpackCursor& cursor) {
  if (cursor.next_is_unsigned()) {
    const std::uint64_t value = cursor.read_unsigned();
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return value > kMost ? 0 : static_cast<std::int64_t>(value);
  }
  const auto value = decode_msgpack(cursor.skip());
  const double number = value.ok() ? value->number_or(0) : 0;
  constexpr double kMost = 9'007'199'254'740'992;
  return number > -kMost && number < kMost ? static_cast<std::int64_t>(number) : 0;
}

// An absent text, or null, stays empty.
std::optional<std::string> read_optional_text(MsgpackCursor& cursor) {
  if (cursor.next_is_text()) return std::string(cursor.read_text());
  cursor.skip();
  return std::nullopt;
}

std::vector<StreamSequence> read_seqs(MsgpackCursor& cursor) {
  std::vector<StreamSequence> seqs;
  const std::uint32_t count = cursor.read_array();
  seqs.reserve(count);
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) seqs.push_back(read_integer(cursor));
  return seqs;
}

// One message or one change; false when it is malformed.
bool read_update(MsgpackCursor& cursor, StreamUpdate& update) {
  if (!cursor.next_is_map()) return false;
  const std::uint32_t fields = cursor.read_map();
  StreamMessage& message = update.message;
  bool has_raw = false;
  for (std::uint32_t i = 0; i < fields && cursor.ok(); ++i) {
    const std::string_view field = cursor.read_text();
    if (field == "seq") {
      message.seq = read_integer(cursor);
    } else if (field == "time") {
      message.time = read_integer(cursor);
    } else if (field == "key") {
      message.key = read_optional_text(cursor);
    } else if (field == "encoding") {
      message.encoding =
          read_integer(cursor) == 1 ? PayloadEncoding::json : PayloadEncoding::msgpack;
    } else if (field == "raw") {
      has_raw = cursor.next_is_binary();
      message.raw = to_bytes(cursor.read_binary());
    } else if (field == "headers") {
      const bool present = !cursor.next_is_nil();
      const ByteView headers = cursor.skip();
      if (present) message.headers = Headers(to_bytes(headers));
    } else if (field == "msgID") {
      message.message_id = read_optional_text(cursor).value_or(std::string());
    } else if (field == "op") {
      update.is_delete = read_optional_text(cursor) == "delete";
    } else if (field == "seqs") {
      update.deleted = read_seqs(cursor);
    } else {
      cursor.skip();
    }
  }
  return cursor.ok() && (update.is_delete || (has_raw && message.seq > 0));
}

// Calls `take` with each element of an array of updates.
template <class Take>
Status read_updates(const MessageData& data, Take&& take) {
  if (data.encoding != PayloadEncoding::msgpack) return malformed("messages must be MessagePack");
  MsgpackCursor cursor(data.raw);
  if (!cursor.next_is_array()) return malformed("an array of messages was expected");
  const std::uint32_t count = cursor.read_array();
  for (std::uint32_t i = 0; i < count; ++i) {
    StreamUpdate update;
    if (!read_update(cursor, update)) return malformed("malformed message of a stream");
    take(std::move(update));
  }
  if (!cursor.ok() || !cursor.at_end()) return malformed("malformed messages of a stream");
  return Nothing{};
}

ErrorCode code_of(const Value* code) {
  ErrorCode result;
  if (code == nullptr) return result;
  if (code->is_number()) {
    const std::int64_t number = code->integer_or(0);
    if (number > 0 && number < 1'000'000) result.number = static_cast<int>(number);
  } else {
    result.word = std::string(code->text_or({}));
  }
  return result;
}

std::string text_of(const Value& error) {
  return error.if_text() != nullptr ? *error.if_text() : encode_json(error);
}

void append_item(Bytes& out, const StreamSet& item) {
  const std::uint32_t fields = 1 + (item.key ? 1 : 0) + (item.ttl_ms > 0 ? 1 : 0) +
                               (item.previous_seq ? 1 : 0) + (item.message_id.empty() ? 0 : 1);
  append_msgpack_map(out, fields);
  if (item.key) {
    append_msgpack_text(out, "key");
    append_msgpack_text(out, *item.key);
  }
  if (item.ttl_ms > 0) {
    append_msgpack_text(out, "ttl");
    append_msgpack_unsigned(out, static_cast<std::uint64_t>(item.ttl_ms));
  }
  if (item.previous_seq) {
    append_msgpack_text(out, "previousSeq");
    append_msgpack_unsigned(out, static_cast<std::uint64_t>(*item.previous_seq));
  }
  if (!item.message_id.empty()) {
    append_msgpack_text(out, "msgID");
    append_msgpack_text(out, item.message_id);
  }
  append_msgpack_text(out, "messageData");
  append_msgpack_map(out, item.headers.empty() ? 2 : 3);
  append_msgpack_text(out, "encoding");
  append_msgpack_unsigned(out, static_cast<std::uint64_t>(item.encoding));
  append_msgpack_text(out, "raw");
  append_msgpack_binary(out, item.raw);
  if (!item.headers.empty()) {
    append_msgpack_text(out, "headers");
    append(out, ByteView(item.headers.encoded()));
  }
}

}  // namespace

MessageData encode_command(std::string_view name, const Value& arguments) {
  Value headers = arguments.if_map() != nullptr ? arguments : Value(Value::Map{});
  headers.set("cmd", Value(name));
  return MessageData::of(Value(), Headers(headers));
}

MessageData encode_set_many(const std::vector<StreamSet>& items) {
  MessageData data;
  std::size_t bytes = 16;
  for (const StreamSet& item : items) {
    bytes +=
        96 + item.raw.size() + item.headers.encoded().size() + (item.key ? item.key->size() : 0);
  }
  data.raw.reserve(bytes);
  append_msgpack_array(data.raw, static_cast<std::uint32_t>(items.size()));
  for (const StreamSet& item : items) append_item(data.raw, item);
  data.headers.set("cmd", Value("setMany"));
  return data;
}

bool is_null_payload(const MessageData& data) {
  if (data.encoding == PayloadEncoding::json) return as_text(data.raw) == "null";
  return data.raw.size() == 1 && data.raw[0] == 0xc0;
}

std::optional<Error> answer_error(const MessageData& answer) {
  if (answer.headers.empty() || !is_null_payload(answer)) return std::nullopt;
  const Value headers = answer.headers.value();
  const Value* error = headers.find("error");
  if (error == nullptr || error->is_null()) return std::nullopt;
  return Error(code_of(headers.find("code")), text_of(*error));
}

Result<std::vector<StreamMessage>> parse_messages(const MessageData& data) {
  std::vector<StreamMessage> messages;
  bool whole = true;
  Status status = read_updates(data, [&](StreamUpdate&& update) {
    whole = whole && !update.is_delete;
    messages.push_back(std::move(update.message));
  });
  if (!status.ok()) return std::move(status.error());
  if (!whole) return malformed("a delete among the messages of a stream");
  return messages;
}

Result<std::vector<StreamUpdate>> parse_updates(const MessageData& data) {
  std::vector<StreamUpdate> updates;
  Status status =
      read_updates(data, [&](StreamUpdate&& update) { updates.push_back(std::move(update)); });
  if (!status.ok()) return std::move(status.error());
  return updates;
}

Result<std::vector<Result<SetResult>>> parse_set_many_answer(const MessageData& data) {
  if (auto error = answer_error(data)) return std::move(*error);
  const auto decoded = data.decode();
  if (!decoded.ok()) return decoded.error();
  const Value::Array* items = decoded->if_array();
  if (items == nullptr) return malformed("setMany was not answered with an array");
  std::vector<Result<SetResult>> results;
  results.reserve(items->size());
  for (const Value& item : *items) {
    const Value* error = item.find("error");
    const Value* seq = item.find("seq");
    const Value* time = item.find("time");
    if (error != nullptr && !error->is_null()) {
      results.emplace_back(Error(code_of(item.find("code")), text_of(*error)));
    } else if (seq != nullptr && seq->integer_or(0) > 0) {
      results.emplace_back(
          SetResult{seq->integer_or(0), time == nullptr ? 0 : time->integer_or(0)});
    } else {
      return malformed("malformed answer to setMany");
    }
  }
  return results;
}

}  // namespace conat
