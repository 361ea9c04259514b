// The differences of two texts.
//
// Words are compared first (Myers' greedy algorithm), then code points inside of what differs; very
// different long texts are compared by lines instead, and as a whole when that is too much as well.
// Time and memory are bounded, the result depends on the texts alone.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace conat {

// Replaces the bytes [begin, end) of the base by `text` (a view into the changed text). Edits come
// in ascending order, do not overlap or touch, and cut UTF-8 between code points only. Bytes that
// are no UTF-8 count as one code point each.
struct TextEdit {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view text;
};

std::vector<TextEdit> diff_text(std::string_view base, std::string_view changed);

}  // namespace conat
