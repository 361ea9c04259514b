// Values inside of MessagePack packets, as notepack (the codec of socket.io-msgpack-parser) writes
// them: its extensions of type 0 stand for undefined, dates and ArrayBuffers.
//
// Thread safety: pure functions.
#pragma once

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"

namespace conat {

// Like decode_msgpack, but ArrayBuffers are binary, dates dates, and undefined is left out of maps
// and null elsewhere.
Result<Value> decode_packet_msgpack(ByteView bytes, std::size_t max_depth);

// The same in bytes, for what is handed on: as it is when there is nothing to convert.
Bytes without_packet_extensions(ByteView bytes, std::size_t max_depth);

}  // namespace conat
