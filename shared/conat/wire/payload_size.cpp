#include "conat/wire/payload_size.hpp"

#include "conat/wire/json_cursor.hpp"
#include "conat/wire/msgpack_view.hpp"

namespace conat {
namespace {

constexpr std::uint32_t kRawField = 4;         // its place in the tail
constexpr std::uint32_t kPlainFieldCount = 5;  // of a tail without headers
constexpr std::string_view kFirstPlaceholder = R"({"_placeholder":true,"num":0})";

std::size_t text_payload_size(const Tail& tail) {
  // What nearly every message is like: its only attachment is the payload.
  const std::string_view elements = as_text(tail.elements);
  if (tail.count == kPlainFieldCount && tail.attachments.size() == 1 &&
      elements.ends_with(kFirstPlaceholder)) {
    return tail.attachments[0].size();
  }
  JsonCursor cursor(elements);
  std::string_view element;
  for (std::uint32_t field = 0; field <= kRawField; ++field) {
    element = cursor.skip();
    cursor.skip_space();
    cursor.take(',');
    if (!cursor.ok()) return 0;
  }
  JsonCursor inner(element);
  std::uint32_t number = 0;
  if (!tail.attachments.empty() && inner.take_placeholder(number)) {
    return number < tail.attachments.size() ? tail.attachments[number].size() : 0;
  }
  return element.size() >= 2 && element[0] == '"' ? element.size() - 2 : 0;
}

std::size_t msgpack_payload_size(const Tail& tail) {
  MsgpackCursor cursor(tail.elements);
  for (std::uint32_t field = 0; field < kRawField; ++field) cursor.skip();
  if (!cursor.ok()) return 0;
  if (cursor.next_is_binary()) return cursor.read_binary().size();
  return cursor.next_is_text() ? cursor.read_text().size() : 0;
}

}  // namespace

std::size_t payload_size(const Tail& tail) {
  if (tail.count <= kRawField) return 0;
  return tail.encoding == PacketEncoding::text ? text_payload_size(tail)
                                               : msgpack_payload_size(tail);
}

}  // namespace conat
