// Socket.IO's placeholders: what stands in the JSON of a binary packet for each attachment.
//
// A placeholder is any map whose entry `_placeholder` is true; its entry `num` is the number of the
// attachment. Thread safety: pure functions.
#pragma once

#include <span>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/value.hpp"

namespace conat {

// Puts attachments in place of their placeholders. False when a number is missing or out of range.
bool resolve_placeholders(Value& value, std::span<const ByteView> attachments);

// Rewrites the placeholders into their canonical form, numbered in order of appearance, and appends
// to `ordered` the attachments in that order. False when a number is missing or out of range, or
// when there are more than `max_count` placeholders.
bool renumber_placeholders(Value& value, std::span<const ByteView> attachments,
                           std::size_t max_count, std::vector<ByteView>& ordered);

}  // namespace conat
