// Base64 and hexadecimal, strictly: one text for each sequence of bytes, everything else is
// refused.
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat::auth {

// The alphabet of RFC 4648 section 5 (`-`, `_`) without padding, as in tokens.
std::string encode_base64url(ByteView bytes);
std::optional<Bytes> decode_base64url(std::string_view text);

// The ordinary alphabet (`+`, `/`) without padding, as in password hashes.
std::string encode_base64(ByteView bytes);
std::optional<Bytes> decode_base64(std::string_view text);

// Lower case; the decoder takes no other.
std::string encode_hex(ByteView bytes);
std::optional<Bytes> decode_hex(std::string_view text);

}  // namespace conat::auth
