#include "cli/values.hpp"

#include <array>
#include <cstdio>
#include <ctime>

#include "cli/files.hpp"
#include "conat/wire/utf8.hpp"

namespace conat::cli {
namespace {

constexpr std::size_t kMaxValueBytes = 1u << 30;

Bytes bytes_of(std::string_view text) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(text.data());
  return Bytes(data, data + text.size());
}

// What the argument or option names, as it is.
Result<std::string> given_text(const Options& options) {
  const bool bytes = options.as_bytes;
  Result<std::string> text = std::string();
  if (!options.file.empty()) {
    text = read_file(options.file, kMaxValueBytes);
  } else if (*options.value == "-") {
    text = read_standard_input(kMaxValueBytes);
  } else if (options.value->rfind("@@", 0) == 0) {
    return options.value->substr(1);
  } else if (options.value->rfind('@', 0) == 0) {
    text = read_file(options.value->substr(1), kMaxValueBytes);
  } else {
    return *options.value;
  }
  // The newline with which a file of text ends is no part of the value.
  if (text.ok() && !bytes && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

}  // namespace

Value parse_value(std::string_view text) {
  Result<Value> value = decode_json(text);
  if (value.ok()) return std::move(*value);
  Bytes bytes = bytes_of(text);
  return is_utf8(bytes) ? Value(text) : Value(std::move(bytes));
}

std::string show_value(const Value& value) {
  const std::string* text = value.if_text();
  return text != nullptr ? *text : encode_json(value);
}

std::string raw_value(const Value& value) {
  const Bytes* bytes = value.if_binary();
  return bytes != nullptr ? std::string(bytes->begin(), bytes->end()) : show_value(value);
}

Value decode_or_bytes(PayloadEncoding encoding, ByteView raw) {
  Result<Value> value = decode_payload(encoding, raw);
  return value.ok() ? std::move(*value) : Value(to_bytes(raw));
}

Result<Value> given_value(const Options& options) {
  if (!options.value && options.file.empty()) return Value();
  const Result<std::string> text = given_text(options);
  if (!text.ok()) return text.error();
  if (options.as_bytes) return Value(bytes_of(*text));
  if (options.as_text) return Value(*text);
  return parse_value(*text);
}

std::string plural(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string readable_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  static constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (amount >= 999.95 && unit + 1 < kUnits.size()) {
    amount /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", amount, kUnits[unit]);
  return text;
}

std::string readable_time(std::int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return std::to_string(unix_ms);
  char date[40];
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(unix_ms % 1000));
  return text;
}

}  // namespace conat::cli
