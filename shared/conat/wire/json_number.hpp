// Numbers between text and bits, independent of the locale.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "conat/base/value.hpp"

namespace conat {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A token of JSON's number grammar, already checked. Without fraction and exponent it becomes an
// integer when it fits in 64 bits; everything else becomes the nearest double.
Value parse_json_number(std::string_view token);

// As JavaScript's Number.prototype.toString writes it: the shortest digits that read back as the
// same double. NaN and infinities become null, as in JSON.stringify.
void append_json_number(std::string& out, double number);

}  // namespace conat
