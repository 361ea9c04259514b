#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <msgpack.hpp>

#include "conat/wire/codec.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet_codec.hpp"
#include "conat/wire/unique_keys.hpp"
#include "conat/wire/utf8.hpp"

namespace conat {
namespace {

constexpr std::int8_t kTimestamp = -1;
constexpr std::uint32_t kNanosecondsPerSecond = 1'000'000'000;

// Lets msgpack-cxx append to Bytes.
class BytesStream {
 public:
  explicit BytesStream(Bytes& out) : out_(out) {}
  void write(const char* data, std::size_t size) { append(out_, std::string_view(data, size)); }

 private:
  Bytes& out_;
};

using Packer = msgpack::packer<BytesStream>;

void put_big_endian(char* out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    out[i] = static_cast<char>(static_cast<std::uint8_t>(value >> (8 * (width - 1 - i))));
  }
}

std::uint64_t get_big_endian(const std::uint8_t* bytes, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | bytes[i];
  return value;
}

void pack_date(Packer& packer, double unix_ms) {
  if (!(std::fabs(unix_ms) <= kLastUnixMs)) {
    packer.pack_nil();  // as JSON.stringify does with an invalid Date
    return;
  }
  // The remainder is exact, where a quotient could be rounded up to the next second.
  double rest_ms = std::fmod(unix_ms, 1000);
  auto seconds = static_cast<std::int64_t>((unix_ms - rest_ms) / 1000);
  if (rest_ms < 0) {
    rest_ms += 1000;
    --seconds;
  }
  auto nanoseconds = static_cast<std::uint32_t>(std::llround(rest_ms * 1e6));
  if (nanoseconds >= kNanosecondsPerSecond) {
    nanoseconds -= kNanosecondsPerSecond;
    ++seconds;
  }
  char content[12];
  std::size_t size = 12;
  if (seconds >= 0 && seconds <= 0xffffffff && nanoseconds == 0) {
    size = 4;
    put_big_endian(content, static_cast<std::uint64_t>(seconds), 4);
  } else if (seconds >= 0 && seconds < (std::int64_t{1} << 34)) {
    size = 8;
    put_big_endian(
        content,
        static_cast<std::uint64_t>(nanoseconds) << 34 | static_cast<std::uint64_t>(seconds), 8);
  } else {
    put_big_endian(content, nanoseconds, 4);
    put_big_endian(content + 4, static_cast<std::uint64_t>(seconds), 8);
  }
  packer.pack_ext(size, kTimestamp);
  packer.pack_ext_body(content, static_cast<std::uint32_t>(size));
}

// A date, or the extension as it came when it is none of the three forms or beyond any date.
Value unpack_timestamp(ByteView content) {
  std::int64_t seconds = 0;
  std::uint64_t nanoseconds = 0;
  bool known = true;
  if (content.size() == 4) {
    seconds = static_cast<std::int64_t>(get_big_endian(content.data(), 4));
  } else if (content.size() == 8) {
    const std::uint64_t both = get_big_endian(content.data(), 8);
    nanoseconds = both >> 34;
    seconds = static_cast<std::int64_t>(both & ((std::uint64_t{1} << 34) - 1));
  } else if (content.size() == 12) {
    nanoseconds = get_big_endian(content.data(), 4);
    seconds = static_cast<std::int64_t>(get_big_endian(content.data() + 4, 8));
  } else {
    known = false;
  }
  const double unix_ms =
      static_cast<double>(seconds) * 1000 + static_cast<double>(nanoseconds) / 1e6;
  if (known && nanoseconds < kNanosecondsPerSecond && std::fabs(unix_ms) <= kLastUnixMs) {
    return Value::Date{unix_ms};
  }
  return Value::Extension{kTimestamp, to_bytes(content)};
}

// Not packer.pack_double, which makes integers of whole numbers.
void pack_real(BytesStream& stream, double number) {
  std::uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  char encoded[9] = {'\xcb'};
  put_big_endian(encoded + 1, bits, 8);
  stream.write(encoded, sizeof encoded);
}

void pack(BytesStream& stream, Packer& packer, const Value& value) {
  if (const auto* integer = value.if_integer()) {
    packer.pack_int64(*integer);
  } else if (const auto* big = value.if_big_integer()) {
    packer.pack_uint64(*big);
  } else if (const auto* real = value.if_real()) {
    pack_real(stream, *real);
  } else if (const auto* boolean = value.if_bool()) {
    *boolean ? packer.pack_true() : packer.pack_false();
  } else if (const auto* text = value.if_text()) {
    packer.pack_str(static_cast<std::uint32_t>(text->size()));
    packer.pack_str_body(text->data(), static_cast<std::uint32_t>(text->size()));
  } else if (const auto* bytes = value.if_binary()) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes->size()));
    packer.pack_bin_body(reinterpret_cast<const char*>(bytes->data()),
                         static_cast<std::uint32_t>(bytes->size()));
  } else if (const auto* items = value.if_array()) {
    packer.pack_array(static_cast<std::uint32_t>(items->size()));
    for (const Value& item : *items) pack(stream, packer, item);
  } else if (const auto* map = value.if_map()) {
    packer.pack_map(static_cast<std::uint32_t>(map->size()));
    for (const auto& [key, entry] : *map) {
      packer.pack_str(static_cast<std::uint32_t>(key.size()));
      packer.pack_str_body(key.data(), static_cast<std::uint32_t>(key.size()));
      pack(stream, packer, entry);
    }
  } else if (const auto* date = value.if_date()) {
    pack_date(packer, date->unix_ms);
  } else if (const auto* extension = value.if_extension()) {
    packer.pack_ext(extension->data.size(), extension->type);
    packer.pack_ext_body(reinterpret_cast<const char*>(extension->data.data()),
                         static_cast<std::uint32_t>(extension->data.size()));
  } else {
    packer.pack_nil();
  }
}

// Builds a Value from the events of msgpack::parse. What the parser sees has been walked through by
// MsgpackCursor before, so that lengths, counts and nesting are within bounds.
class Builder : public msgpack::null_visitor {
 public:
  // `packet`: extensions of type 0 mean what notepack means by them.
  explicit Builder(bool packet) : packet_(packet) {}

  Value take() { return std::move(result_); }

  bool visit_nil() { return put(nullptr); }
  bool visit_boolean(bool value) { return put(value); }
  bool visit_positive_integer(std::uint64_t value) { return put(value); }
  bool visit_negative_integer(std::int64_t value) { return put(value); }
  bool visit_float32(float value) { return put(static_cast<double>(value)); }
  bool visit_float64(double value) { return put(value); }
  bool visit_str(const char* text, std::uint32_t size) {
    std::string owned = size == 0 ? std::string() : std::string(text, size);
    if (!stack_.empty() && stack_.back().at_key) {
      // Two keys may become one by this: so it must be done before they are compared.
      if (!is_utf8(as_bytes(owned))) {
        stack_.back().key.clear();
        append_repaired_utf8(stack_.back().key, owned);
      } else {
        stack_.back().key = std::move(owned);
      }
      return true;
    }
    return put(std::move(owned));
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return put(size == 0 ? Bytes() : to_bytes(std::string_view(data, size)));
  }
  bool visit_ext(const char* data, std::uint32_t size) {
    const auto type = static_cast<std::int8_t>(data[0]);
    const ByteView content = as_bytes(std::string_view(data, size)).subspan(1);
    if (type == kTimestamp) return put(unpack_timestamp(content));
    if (packet_ && type == 0) return put_notepack(static_cast<std::uint8_t>(data[-1]), content);
    return put(Value::Extension{type, to_bytes(content)});
  }

  bool start_array(std::uint32_t count) { return open(Value::Array(), count); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t count) { return open(Value::Map(), count); }
  bool start_map_key() { return stack_.back().at_key = true; }
  bool end_map_key() {
    stack_.back().at_key = false;
    return true;
  }
  bool end_map() {
    keep_last_of_each_key(*stack_.back().container.if_map());
    return close();
  }

 private:
  struct Level {
    Value container;
    std::string key;  // of the entry whose value comes next
    bool at_key = false;
  };

  bool open(Value container, std::uint32_t count) {
    if (!stack_.empty() && stack_.back().at_key) return false;
    stack_.push_back({std::move(container), {}, false});
    if (auto* items = stack_.back().container.if_array()) items->reserve(count);
    if (auto* map = stack_.back().container.if_map()) map->reserve(count);
    return true;
  }

  bool close() {
    Value container = std::move(stack_.back().container);
    stack_.pop_back();
    return put(std::move(container));
  }

  bool put(Value value) {
    if (stack_.empty()) {
      result_ = std::move(value);
      return true;
    }
    Level& level = stack_.back();
    if (level.at_key) return false;
    if (auto* items = level.container.if_array()) {
      items->push_back(std::move(value));
    } else {
      level.container.if_map()->emplace_back(std::move(level.key), std::move(value));
    }
    return true;
  }

  // `before` is the byte before the type: the tag in the forms of fixed size.
  bool put_notepack(std::uint8_t before, ByteView content) {
    constexpr std::uint8_t kFixed1 = 0xd4, kFixed8 = 0xd7;
    if (before == kFixed1 && content.size() == 1) {
      const bool in_map = !stack_.empty() && stack_.back().container.if_map() != nullptr;
      return in_map && !stack_.back().at_key ? true : put(nullptr);
    }
    if (before == kFixed8 && content.size() == 8) {
      const auto unix_ms = static_cast<std::int64_t>(get_big_endian(content.data(), 8));
      return put(Value::Date{static_cast<double>(unix_ms)});
    }
    return put(to_bytes(content));
  }

  bool packet_;
  std::vector<Level> stack_;
  Value result_;
};

Result<Value> decode(ByteView bytes, std::size_t max_depth, bool packet) {
  MsgpackCursor cursor(bytes);
  cursor.skip(max_depth);
  if (!cursor.ok() || !cursor.at_end()) {
    return Error(ErrorKind::malformed, "malformed MessagePack");
  }
  Builder builder(packet);
  if (!msgpack::parse(reinterpret_cast<const char*>(bytes.data()), bytes.size(), builder)) {
    return Error(ErrorKind::malformed, "MessagePack map with a key that is no text");
  }
  return builder.take();
}

}  // namespace

void encode_msgpack(const Value& value, Bytes& out) {
  BytesStream stream(out);
  Packer packer(stream);
  pack(stream, packer, value);
}

Bytes encode_msgpack(const Value& value) {
  Bytes out;
  encode_msgpack(value, out);
  return out;
}

Result<Value> decode_msgpack(ByteView bytes, std::size_t max_depth) {
  return decode(bytes, max_depth, false);
}

Result<Value> decode_packet_msgpack(ByteView bytes, std::size_t max_depth) {
  return decode(bytes, max_depth, true);
}

Bytes without_packet_extensions(ByteView bytes, std::size_t max_depth) {
  // Any byte that could begin such an extension: letters of some scripts look like it, too.
  const bool suspicious = std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) {
    return (byte >= 0xc7 && byte <= 0xc9) || byte == 0xd4 || byte == 0xd7;
  });
  if (suspicious) {
    const Result<Value> value = decode_packet_msgpack(bytes, max_depth);
    if (value) return encode_msgpack(*value);
  }
  return to_bytes(bytes);
}

Bytes encode_payload(PayloadEncoding encoding, const Value& value) {
  if (encoding == PayloadEncoding::json) return to_bytes(encode_json(value));
  return encode_msgpack(value);
}

Result<Value> decode_payload(PayloadEncoding encoding, ByteView raw) {
  if (encoding == PayloadEncoding::msgpack) return decode_msgpack(raw);
  if (encoding == PayloadEncoding::json) return decode_json(as_text(raw));
  return Error(ErrorKind::malformed, "unknown payload encoding");
}

}  // namespace conat
