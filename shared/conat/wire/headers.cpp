#include "conat/wire/headers.hpp"

#include "conat/wire/codec.hpp"
#include "conat/wire/msgpack_view.hpp"

namespace conat {
namespace {

bool is_falsy(const Value& value) {
  const auto* text = value.if_text();
  return value.is_null() || !value.bool_or(true) || (text != nullptr && text->empty()) ||
         (value.is_number() && !(value.number_or(0) < 0 || value.number_or(0) > 0));
}

// Calls `visit(key, key_and_value, value)` for each entry; the key is empty when it is no text.
// False when the bytes are no well-formed map.
template <class Visit>
bool each_entry(ByteView encoded, Visit&& visit) {
  MsgpackCursor cursor(encoded);
  std::uint32_t left = cursor.read_map();
  for (; cursor.ok() && left > 0; --left) {
    const std::size_t start = cursor.position();
    std::string_view key;
    if (cursor.next_is_text()) {
      key = cursor.read_text();
    } else {
      cursor.skip();
    }
    const ByteView value = cursor.skip();
    if (!cursor.ok()) return false;
    visit(key, encoded.subspan(start, cursor.position() - start), value);
  }
  return cursor.ok() && cursor.at_end();
}

// Of several the last, as decoding has it.
ByteView find(ByteView encoded, std::string_view key) {
  ByteView found;
  each_entry(encoded, [&](std::string_view candidate, ByteView, ByteView value) {
    if (candidate == key) found = value;
  });
  return found;
}

// All entries in their order without those of `key`; with `replacement`, which takes the place of
// the first of them or stands at the end.
Bytes rewritten(ByteView encoded, std::string_view key, const Bytes* replacement) {
  Bytes entries;
  std::uint32_t count = 0;
  bool placed = replacement == nullptr;
  const auto place = [&] {
    append_msgpack_text(entries, key);
    append(entries, *replacement);
    ++count;
    placed = true;
  };
  const bool is_map =
      each_entry(encoded, [&](std::string_view candidate, ByteView entry, ByteView) {
        if (candidate != key) {
          append(entries, entry);
          ++count;
        } else if (!placed) {
          place();
        }
      });
  if (!is_map) {
    entries.clear();
    count = 0;
    placed = replacement == nullptr;
  }
  if (!placed) place();
  Bytes result;
  if (count == 0) return result;
  append_msgpack_map(result, count);
  append(result, entries);
  return result;
}

}  // namespace

Headers::Headers(const Value& value) {
  if (!is_falsy(value)) encoded_ = encode_msgpack(value);
}

Value Headers::value() const {
  if (encoded_.empty()) return {};
  Result<Value> decoded = decode_msgpack(encoded_);
  return decoded ? std::move(*decoded) : Value();
}

std::optional<std::string_view> Headers::text(std::string_view key) const {
  MsgpackCursor cursor(find(encoded_, key));
  if (!cursor.next_is_text()) return std::nullopt;
  return cursor.read_text();
}

std::optional<std::uint64_t> Headers::number(std::string_view key) const {
  MsgpackCursor cursor(find(encoded_, key));
  if (!cursor.next_is_unsigned()) return std::nullopt;
  return cursor.read_unsigned();
}

std::optional<Value> Headers::get(std::string_view key) const {
  const ByteView found = find(encoded_, key);
  if (found.empty()) return std::nullopt;
  Result<Value> decoded = decode_msgpack(found);
  if (!decoded) return std::nullopt;
  return std::move(*decoded);
}

bool Headers::has(std::string_view key) const { return !find(encoded_, key).empty(); }

void Headers::set(std::string_view key, const Value& value) {
  const Bytes replacement = encode_msgpack(value);
  encoded_ = rewritten(encoded_, key, &replacement);
}

void Headers::erase(std::string_view key) {
  if (has(key)) encoded_ = rewritten(encoded_, key, nullptr);
}

}  // namespace conat
