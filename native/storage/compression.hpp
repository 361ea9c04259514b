// zstd for the payloads in a stream's file.
//
// Thread safety: callable from any thread; each keeps one context of its own.
#pragma once

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"

namespace conat::storage {

// Shorter payloads are stored as they are.
inline constexpr std::size_t min_compressed_bytes = 1025;

// Compresses into `out`; false when that saves nothing (then `out` is of no use).
bool compress(ByteView raw, Bytes& out);
// The inverse, of one or more zstd frames. Never yields more than `max_bytes`.
// Errors: storage_failed.
Result<Bytes> decompress(ByteView compressed, std::size_t max_bytes);

}  // namespace conat::storage
