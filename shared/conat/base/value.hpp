// A JSON-like value with binary and dates: what event arguments, headers and payloads decode to
// where the core has to look inside. The hot paths never build one.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "conat/base/bytes.hpp"

namespace conat {

class Value {
 public:
  using Array = std::vector<Value>;
  // Keeps the order of insertion, as JavaScript objects do. Keys are unique.
  using Map = std::vector<std::pair<std::string, Value>>;
  // Milliseconds since 1970, the MessagePack timestamp extension.
  struct Date {
    double unix_ms = 0;
  };
  // A MessagePack extension other than the timestamp, kept as it came.
  struct Extension {
    std::int8_t type = 0;
    Bytes data;
  };

  Value() = default;  // null
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(std::int64_t value) : data_(value) {}
  Value(std::uint64_t value);  // stored as int64 when it fits
  Value(double value) : data_(value) {}
  Value(const char* text) : data_(std::string(text)) {}
  Value(std::string text) : data_(std::move(text)) {}
  Value(std::string_view text) : data_(std::string(text)) {}
  Value(Bytes bytes) : data_(std::move(bytes)) {}
  Value(Array items) : data_(std::move(items)) {}
  Value(Map entries) : data_(std::move(entries)) {}
  Value(Date date) : data_(date) {}
  Value(Extension extension) : data_(std::move(extension)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  const bool* if_bool() const { return std::get_if<bool>(&data_); }
  const std::string* if_text() const { return std::get_if<std::string>(&data_); }
  const Bytes* if_binary() const { return std::get_if<Bytes>(&data_); }
  const Array* if_array() const { return std::get_if<Array>(&data_); }
  const Map* if_map() const { return std::get_if<Map>(&data_); }
  const Date* if_date() const { return std::get_if<Date>(&data_); }
  const Extension* if_extension() const { return std::get_if<Extension>(&data_); }
  const std::int64_t* if_integer() const { return std::get_if<std::int64_t>(&data_); }
  const std::uint64_t* if_big_integer() const { return std::get_if<std::uint64_t>(&data_); }
  const double* if_real() const { return std::get_if<double>(&data_); }
  Array* if_array() { return std::get_if<Array>(&data_); }
  Map* if_map() { return std::get_if<Map>(&data_); }

  bool is_number() const;
  // Any number as a double; `otherwise` for what is none.
  double number_or(double otherwise) const;
  // A whole number that fits; `otherwise` for everything else. Accepts a real without fraction.
  std::int64_t integer_or(std::int64_t otherwise) const;
  std::string_view text_or(std::string_view otherwise) const;
  bool bool_or(bool otherwise) const;

  // Map access: null for what is absent or when this is no map.
  const Value* find(std::string_view key) const;
  // Sets a key of a map (this becomes a map when it is null), keeping its place if it exists.
  void set(std::string_view key, Value value);
  bool erase(std::string_view key);

  // Deep equality: maps unordered, numbers by value (1 equals 1.0), NaN equals NaN.
  bool operator==(const Value& other) const;
  bool operator!=(const Value& other) const { return !(*this == other); }

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Bytes, Array,
               Map, Date, Extension>
      data_;
};

}  // namespace conat
