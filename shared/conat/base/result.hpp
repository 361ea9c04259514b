// Errors as values: every fallible operation of the core returns a Result. No exception crosses
// the core's boundary.
//
// Thread safety: plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace conat {

enum class ErrorKind {
#define CONAT_ERROR(name, number, word, text) name,
#include "conat/base/errors.def"
#undef CONAT_ERROR
};

// A code as it travels: a number, a word, or neither (number 0 and an empty word).
struct ErrorCode {
  int number = 0;
  std::string word;
  bool operator==(const ErrorCode& other) const {
    return number == other.number && word == other.word;
  }
  bool empty() const { return number == 0 && word.empty(); }
};

struct Error {
  ErrorCode code;
  std::string text;

  Error() = default;
  explicit Error(ErrorKind kind);                   // the registry's code and text
  Error(ErrorKind kind, std::string message);       // the registry's code, a text of one's own
  Error(ErrorCode wire_code, std::string message);  // as a peer sent it
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() { return *std::get_if<0>(&state_); }
  const T& value() const { return *std::get_if<0>(&state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() { return *std::get_if<1>(&state_); }
  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

struct Nothing {};
using Status = Result<Nothing>;

}  // namespace conat
