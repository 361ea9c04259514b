// Looking into JSON text without decoding it: the strict grammar of RFC 8259, checked in one pass.
//
// Every call checks bounds and fails softly (`ok()` turns false and stays so). Nothing is
// allocated. Bytes from 0x80 on inside of strings are taken as they are: whoever hands in text has
// checked that it is UTF-8. Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conat/base/limits.hpp"

namespace conat {

// What skipping over the arguments of a binary Socket.IO packet finds out about placeholders.
struct PlaceholderScan {
  // Those written as every client writes them, {"_placeholder":true,"num":N}, and numbered in order
  // from 0.
  std::uint32_t in_order = 0;
  // There may be others: the arguments must be decoded to know.
  bool irregular = false;
};

// A string between its quotes, as it is written.
struct JsonText {
  std::string_view raw;
  bool escaped = false;
};

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text)
      : start_(text.data()), at_(start_), end_(start_ + text.size()) {}

  bool ok() const { return ok_; }
  std::size_t position() const { return static_cast<std::size_t>(at_ - start_); }
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  void skip_space() {
    while (at_ != end_ && is_space(*at_)) ++at_;
  }
  bool at_end() const { return at_ == end_; }
  // The next character without consuming it; 0 at the end.
  char peek() const { return at_ == end_ ? '\0' : *at_; }
  // Consumes one character if it comes next.
  bool take(char expected) {
    if (at_ == end_ || *at_ != expected || !ok_) return false;
    ++at_;
    return true;
  }
  // Consumes it or fails.
  bool expect(char expected) {
    if (!take(expected)) fail();
    return ok_;
  }

  JsonText read_text();
  // A number's token, checked.
  std::string_view read_number();
  // true, false or null.
  bool take_word(std::string_view word);
  // Consumes a canonical placeholder and tells its number, or leaves everything as it is.
  bool take_placeholder(std::uint32_t& number);

  // Skips one whole value and the space before it; returns it without that space.
  std::string_view skip(std::size_t max_depth = limits::max_value_depth,
                        PlaceholderScan* placeholders = nullptr);

  static constexpr std::size_t kDeepest = limits::max_value_depth + 8;

 private:
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  void fail() { ok_ = false; }
  bool read_escape();
  bool skip_scalar();
  void skip_key(PlaceholderScan* placeholders);

  const char* start_;
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

// Appends what a string's raw form (already scanned) stands for. Lone surrogates become U+FFFD.
void unescape_json(std::string_view raw, std::string& out);

// Appends a quoted string; what is no UTF-8 in it becomes U+FFFD.
void append_json_text(std::string& out, std::string_view text);
// Whether append_json_text would copy it as it is, and text frames may carry it verbatim.
bool is_plain_json_text(std::string_view text);

}  // namespace conat
