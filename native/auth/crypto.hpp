// The few primitives of OpenSSL that this library uses.
//
// A failure of OpenSSL itself (no memory, no entropy) ends the process: there is no safe way on.
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat::auth {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(ByteView bytes);
Digest hmac_sha256(ByteView key, ByteView bytes);
// Takes the same time wherever they differ. Different lengths are told at once.
bool equal_in_constant_time(ByteView a, ByteView b);
Bytes random_bytes(std::size_t size);
// Overwrites a secret that is not needed any more.
void wipe(std::string& secret);
void wipe(Bytes& secret);

}  // namespace conat::auth
