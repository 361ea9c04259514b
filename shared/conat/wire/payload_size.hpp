// The size of a message's payload, found without decoding the message.
//
// Thread safety: a pure function.
#pragma once

#include <cstddef>

#include "conat/wire/packet.hpp"

namespace conat {

// Bytes of `raw` in a tail that parse_publish has returned; 0 when there is none, or when it is
// neither binary nor text.
std::size_t payload_size(const Tail& tail);

}  // namespace conat
