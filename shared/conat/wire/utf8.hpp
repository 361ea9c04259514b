// UTF-8: checking, repairing, and single code points.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat {

// Well-formed as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(ByteView bytes);

// Appends what is well-formed and U+FFFD in place of everything else.
void append_repaired_utf8(std::string& out, std::string_view text);

// Appends one code point; surrogates and values above U+10FFFF become U+FFFD.
void append_code_point(std::string& out, std::uint32_t code_point);

}  // namespace conat
