#include "conat/base/value.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace conat {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;
// Up to here comparing every pair of entries is cheaper than sorting.
constexpr std::size_t kFewEntries = 16;

bool same_real(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool is_whole(double value) { return std::isfinite(value) && value == std::trunc(value); }

// Exact: a large integer differs from the double that it would round to.
bool same_number(std::int64_t integer, double real) {
  return is_whole(real) && real >= -kTwoTo63 && real < kTwoTo63 &&
         static_cast<std::int64_t>(real) == integer;
}

bool same_number(std::uint64_t integer, double real) {
  return is_whole(real) && real >= 0 && real < kTwoTo64 &&
         static_cast<std::uint64_t>(real) == integer;
}

bool same_numbers(const Value& a, const Value& b) {
  if (const auto* x = a.if_integer()) {
    if (const auto* y = b.if_integer()) return *x == *y;
    const auto* real = b.if_real();
    return real != nullptr && same_number(*x, *real);
  }
  if (const auto* x = a.if_big_integer()) {
    if (const auto* y = b.if_big_integer()) return *x == *y;
    const auto* real = b.if_real();
    return real != nullptr && same_number(*x, *real);
  }
  if (const auto* y = b.if_real()) return same_real(*a.if_real(), *y);
  return same_numbers(b, a);
}

std::vector<std::size_t> order_of_keys(const Value::Map& map) {
  std::vector<std::size_t> order(map.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return map[a].first < map[b].first; });
  return order;
}

bool same_maps(const Value::Map& a, const Value::Map& b) {
  if (a.size() != b.size()) return false;
  if (a.size() <= kFewEntries) {
    return std::all_of(a.begin(), a.end(), [&](const auto& entry) {
      const auto other = std::find_if(b.begin(), b.end(), [&](const auto& candidate) {
        return candidate.first == entry.first;
      });
      return other != b.end() && other->second == entry.second;
    });
  }
  const std::vector<std::size_t> order_a = order_of_keys(a);
  const std::vector<std::size_t> order_b = order_of_keys(b);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto& x = a[order_a[i]];
    const auto& y = b[order_b[i]];
    if (x.first != y.first || x.second != y.second) return false;
  }
  return true;
}

}  // namespace

Value::Value(std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    data_ = static_cast<std::int64_t>(value);
  } else {
    data_ = value;
  }
}

bool Value::is_number() const {
  return if_integer() != nullptr || if_big_integer() != nullptr || if_real() != nullptr;
}

double Value::number_or(double otherwise) const {
  if (const auto* integer = if_integer()) return static_cast<double>(*integer);
  if (const auto* integer = if_big_integer()) return static_cast<double>(*integer);
  if (const auto* real = if_real()) return *real;
  return otherwise;
}

std::int64_t Value::integer_or(std::int64_t otherwise) const {
  if (const auto* integer = if_integer()) return *integer;
  if (const auto* real = if_real()) {
    if (is_whole(*real) && *real >= -kTwoTo63 && *real < kTwoTo63) {
      return static_cast<std::int64_t>(*real);
    }
  }
  return otherwise;
}

std::string_view Value::text_or(std::string_view otherwise) const {
  const auto* text = if_text();
  return text == nullptr ? otherwise : std::string_view(*text);
}

bool Value::bool_or(bool otherwise) const {
  const auto* value = if_bool();
  return value == nullptr ? otherwise : *value;
}

const Value* Value::find(std::string_view key) const {
  const auto* map = if_map();
  if (map == nullptr) return nullptr;
  for (const auto& entry : *map) {
    if (entry.first == key) return &entry.second;
  }
  return nullptr;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Map{};
  auto* map = if_map();
  if (map == nullptr) return;
  for (auto& entry : *map) {
    if (entry.first == key) {
      entry.second = std::move(value);
      return;
    }
  }
  map->emplace_back(std::string(key), std::move(value));
}

bool Value::erase(std::string_view key) {
  auto* map = if_map();
  if (map == nullptr) return false;
  const auto entry = std::find_if(map->begin(), map->end(),
                                  [&](const auto& candidate) { return candidate.first == key; });
  if (entry == map->end()) return false;
  map->erase(entry);
  return true;
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) return same_numbers(*this, other);
  if (data_.index() != other.data_.index()) return false;
  if (const auto* value = if_bool()) return *value == *other.if_bool();
  if (const auto* text = if_text()) return *text == *other.if_text();
  if (const auto* bytes = if_binary()) return *bytes == *other.if_binary();
  if (const auto* items = if_array()) return *items == *other.if_array();
  if (const auto* map = if_map()) return same_maps(*map, *other.if_map());
  if (const auto* date = if_date()) return same_real(date->unix_ms, other.if_date()->unix_ms);
  if (const auto* extension = if_extension()) {
    const auto* other_extension = other.if_extension();
    return extension->type == other_extension->type && extension->data == other_extension->data;
  }
  return true;  // both null
}

}  // namespace conat
