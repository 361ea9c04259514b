#include "conat/client/ack_values.hpp"

#include <utility>

#include "conat/wire/codec.hpp"
#include "conat/wire/msgpack_view.hpp"

namespace conat::client_parts {
namespace {

std::optional<std::uint64_t> text_count(std::string_view json) {
  constexpr std::string_view kHead = "{\"count\":";
  if (json.substr(0, kHead.size()) != kHead) return std::nullopt;
  json.remove_prefix(kHead.size());
  // Fifteen digits stay below 2^53; more is left to the general decoder.
  std::uint64_t count = 0;
  std::size_t digits = 0;
  while (digits < json.size() && digits < 15 && json[digits] >= '0' && json[digits] <= '9') {
    count = count * 10 + static_cast<std::uint64_t>(json[digits] - '0');
    ++digits;
  }
  if (digits == 0 || json.substr(digits) != "}") return std::nullopt;
  return count;
}

std::optional<std::uint64_t> msgpack_count(ByteView bytes) {
  MsgpackCursor cursor(bytes);
  if (!cursor.next_is_map() || cursor.read_map() != 1) return std::nullopt;
  if (!cursor.next_is_text() || cursor.read_text() != "count") return std::nullopt;
  if (!cursor.next_is_unsigned()) return std::nullopt;
  const std::uint64_t count = cursor.read_unsigned();
  if (!cursor.ok()) return std::nullopt;
  return count;
}

}  // namespace

Value ack_value(const PacketView& packet) {
  Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments.ok() || arguments->empty()) return Value();
  return std::move(arguments->front());
}

std::optional<Error> ack_error(const Value& value) {
  const Value* error = value.find("error");
  if (error == nullptr || error->is_null()) return std::nullopt;
  ErrorCode code;
  if (const Value* given = value.find("code")) {
    if (given->is_number()) {
      const std::int64_t number = given->integer_or(0);
      if (number > 0 && number < 1'000'000) code.number = static_cast<int>(number);
    } else {
      code.word = std::string(given->text_or(""));
    }
  }
  const std::string* text = error->if_text();
  return Error(std::move(code), text != nullptr ? *text : encode_json(*error));
}

std::optional<std::uint64_t> ack_count(const PacketView& packet) {
  if (packet.argument_count == 1) {
    const std::optional<std::uint64_t> count = packet.encoding == PacketEncoding::msgpack
                                                   ? msgpack_count(packet.arguments)
                                                   : text_count(as_text(packet.arguments));
    if (count) return count;
  }
  const Value value = ack_value(packet);
  const Value* count = value.find("count");
  if (count == nullptr || !count->is_number()) return std::nullopt;
  const std::int64_t number = count->integer_or(-1);
  if (number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

}  // namespace conat::client_parts
