// Values as people write and read them on a command line.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "conat/wire/message.hpp"

namespace conat::cli {

// JSON if it parses, else text.
Value parse_value(std::string_view text);
// Text as it is, everything else as JSON.
std::string show_value(const Value& value);
// What a payload holds; its bytes when they cannot be decoded.
Value decode_or_bytes(PayloadEncoding encoding, ByteView raw);

}  // namespace conat::cli
