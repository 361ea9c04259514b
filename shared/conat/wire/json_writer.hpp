// Writing JSON, with binary in the form that the place asks for.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "conat/base/value.hpp"

namespace conat {

// Where the binary of a packet goes.
struct JsonBinary {
  std::vector<ByteView> attachments;  // views of the values written
  // Maps that a receiver of attachments would take for placeholders lose their `_placeholder`: a
  // wrong one makes receivers drop the connection. Of no concern in packets without attachments.
  bool keep_marks = false;
  bool disarmed = false;  // it happened
};

// Appends `value`. Without `binary` bytes are written as Buffer.toJSON writes them; with it they
// become attachments, and a placeholder stands where they stood.
void write_json(const Value& value, std::string& out, JsonBinary* binary);

// What a binary value's place in the text of a packet holds.
void append_placeholder(std::string& out, std::size_t number);

}  // namespace conat
