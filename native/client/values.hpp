// Values written in one go: object("text", "Hello", "x", 10), array(1, "two").
//
// (A braced list in the same expression as co_await does not compile with g++ 12.)
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>

#include "conat/base/value.hpp"

namespace conat::native {

template <class... Items>
Value::Array array(Items&&... items) {
  Value::Array result;
  result.reserve(sizeof...(items));
  (result.emplace_back(std::forward<Items>(items)), ...);
  return result;
}

inline void add_fields(Value&) {}
template <class Field, class... Rest>
void add_fields(Value& object, std::string_view name, Field&& field, Rest&&... rest) {
  object.set(name, Value(std::forward<Field>(field)));
  add_fields(object, std::forward<Rest>(rest)...);
}

// Names and values in turn.
template <class... Fields>
Value object(Fields&&... fields) {
  static_assert(sizeof...(fields) % 2 == 0, "every name needs a value");
  Value result(Value::Map{});
  add_fields(result, std::forward<Fields>(fields)...);
  return result;
}

}  // namespace conat::native
