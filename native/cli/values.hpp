// Values as people write and read them on a command line.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.hpp"
#include "conat/wire/message.hpp"

namespace conat::cli {

// JSON if it parses, else text; bytes if it is no UTF-8.
Value parse_value(std::string_view text);
// Text as it is, everything else as JSON.
std::string show_value(const Value& value);
// Texts and bytes as they are, everything else as JSON.
std::string raw_value(const Value& value);
// What a payload holds; its bytes when they cannot be decoded.
Value decode_or_bytes(PayloadEncoding encoding, ByteView raw);

// The value that the options say: from the argument, standard input or a file; null without any.
// Error: it cannot be read.
Result<Value> given_value(const Options& options);

// "1 byte", "2 bytes".
std::string plural(std::uint64_t count, const char* noun);
// "1.5 MB"
std::string readable_bytes(std::uint64_t bytes);
// "2026-01-31 12:00:00.123Z"
std::string readable_time(std::int64_t unix_ms);

}  // namespace conat::cli
