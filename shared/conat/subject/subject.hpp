// Subjects and patterns: validation and matching.
//
// Tokens are separated by '.'; none is empty; none holds JavaScript's white space. In a pattern the
// token '*' matches exactly one token, '>' (last only) one or more.
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conat/base/random.hpp"

namespace conat {

// A subject to publish to: valid tokens, no '*' anywhere, not ending in '>'.
bool is_valid_subject(std::string_view subject);
// A subject to subscribe to.
bool is_valid_pattern(std::string_view pattern);
bool pattern_matches(std::string_view pattern, std::string_view subject);
// True when every subject that `inner` matches is matched by `outer` too.
bool pattern_covers(std::string_view outer, std::string_view inner);
std::vector<std::string_view> split_tokens(std::string_view subject);

}  // namespace conat
