// Subjects and patterns: validation and matching.
//
// Tokens are separated by '.'; none is empty; none holds JavaScript's white space. In a pattern the
// token '*' matches exactly one token, '>' (last only) one or more.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace conat {

// A subject to publish to: valid tokens, no '*' anywhere, not ending in '>'.
bool is_valid_subject(std::string_view subject);
// A subject to subscribe to.
bool is_valid_pattern(std::string_view pattern);
bool pattern_matches(std::string_view pattern, std::string_view subject);
// True when every subject that `inner` matches is matched by `outer` too.
bool pattern_covers(std::string_view outer, std::string_view inner);
// True when some subject is matched by both.
bool patterns_overlap(std::string_view one, std::string_view other);
// Whether a pattern has a token '*' or '>'; without one it matches only itself.
bool has_wildcards(std::string_view pattern);
std::vector<std::string_view> split_tokens(std::string_view subject);

// Walks over the tokens without allocating. An empty text has no token.
class TokenReader {
 public:
  explicit TokenReader(std::string_view text) : rest_(text), at_end_(text.empty()) {}

  bool next() {
    if (at_end_) return false;
    const std::size_t dot = rest_.find('.');
    token_ = rest_.substr(0, dot);
    at_end_ = dot == std::string_view::npos;
    rest_ = at_end_ ? std::string_view{} : rest_.substr(dot + 1);
    return true;
  }
  // The token that next() moved to.
  std::string_view token() const { return token_; }
  // No token follows the current one.
  bool at_end() const { return at_end_; }
  // What follows the current token and its dot.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  std::string_view token_;
  bool at_end_;
};

}  // namespace conat
