// What acknowledgements say.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/packet.hpp"

namespace conat::client_parts {

// The first argument of an acknowledgement; null when there is none or it is malformed.
Value ack_value(const PacketView& packet);
// `{error, code?}` as an Error; nothing for every other value.
std::optional<Error> ack_error(const Value& value);
// `{count}` read without building values, for the acknowledgements of publishes; nothing when it
// is anything else.
std::optional<std::uint64_t> ack_count(const PacketView& packet);

}  // namespace conat::client_parts
