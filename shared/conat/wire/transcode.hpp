// A tail's elements from one packet encoding into the other.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

// Elements as JSON, and the attachments that their placeholders name.
struct TextElements {
  std::string json;
  std::vector<ByteView> attachments;
  std::vector<Value> decoded;  // what some of the attachments are parts of
};

// `count` MessagePack elements back to back, appended with commas between them; attachments are
// numbered behind those that `out` has. Fails for maps with keys that are no text and for too many
// attachments, and leaves `out` unspecified then.
Status append_as_text(ByteView elements, std::uint32_t count, TextElements& out);

// A large attachment whose bytes belong in front of byte `offset` of the elements.
struct HeldAttachment {
  std::size_t offset;
  ByteView bytes;
};

// JSON elements with commas between them, appended back to back. With `held`, attachments of more
// than 4 KiB are listed there, in order, instead of being copied.
Status append_as_msgpack(std::string_view elements, std::span<const ByteView> attachments,
                         Bytes& out, std::vector<HeldAttachment>* held = nullptr);
// One JSON element without space around it.
Status append_element_as_msgpack(std::string_view element, std::span<const ByteView> attachments,
                                 Bytes& out, std::vector<HeldAttachment>* held = nullptr);

}  // namespace conat
