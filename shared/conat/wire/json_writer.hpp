// Writing JSON, with binary in the form that the place asks for.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "conat/base/value.hpp"

namespace conat {

// Appends `value`. Without `attachments` binary is written as Buffer.toJSON writes it. With them it
// becomes a Socket.IO placeholder and a view of it is appended to `attachments`; the entry
// `_placeholder` of a map is then left out where a receiver would take the map for a placeholder.
void write_json(const Value& value, std::string& out, std::vector<ByteView>* attachments);

// What a binary value's place in the text of a packet holds.
void append_placeholder(std::string& out, std::size_t number);

}  // namespace conat
