#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_number.hpp"
#include "conat/wire/unique_keys.hpp"
#include "conat/wire/utf8.hpp"

namespace conat {
namespace {

std::string text_of(const JsonText& text) {
  if (!text.escaped) return std::string(text.raw);
  std::string out;
  out.reserve(text.raw.size());
  unescape_json(text.raw, out);
  return out;
}

// The cursor's `ok()` tells whether it worked.
Value read_value(JsonCursor& cursor, std::size_t depth_left);

Value read_array(JsonCursor& cursor, std::size_t depth_left) {
  Value::Array items;
  cursor.take('[');
  cursor.skip_space();
  if (!cursor.take(']')) {
    do {
      items.push_back(read_value(cursor, depth_left));
      cursor.skip_space();
    } while (cursor.take(','));
    cursor.expect(']');
  }
  return items;
}

Value read_map(JsonCursor& cursor, std::size_t depth_left) {
  Value::Map entries;
  cursor.take('{');
  cursor.skip_space();
  if (!cursor.take('}')) {
    do {
      cursor.skip_space();
      std::string key = text_of(cursor.read_text());
      cursor.skip_space();
      cursor.expect(':');
      entries.emplace_back(std::move(key), read_value(cursor, depth_left));
      cursor.skip_space();
    } while (cursor.take(','));
    cursor.expect('}');
  }
  keep_last_of_each_key(entries);
  return entries;
}

Value read_value(JsonCursor& cursor, std::size_t depth_left) {
  cursor.skip_space();
  switch (cursor.peek()) {
    case '{':
    case '[':
      if (depth_left == 0) {
        cursor.expect('\0');  // fails: nested too deeply
        return {};
      }
      return cursor.peek() == '{' ? read_map(cursor, depth_left - 1)
                                  : read_array(cursor, depth_left - 1);
    case '"':
      return text_of(cursor.read_text());
    case 't':
      if (cursor.take_word("true")) return true;
      break;
    case 'f':
      if (cursor.take_word("false")) return false;
      break;
    case 'n':
      if (cursor.take_word("null")) return nullptr;
      break;
    default: {
      const std::string_view token = cursor.read_number();
      if (cursor.ok()) return parse_json_number(token);
      return {};
    }
  }
  cursor.expect('\0');
  return {};
}

}  // namespace

Result<Value> decode_json(std::string_view text, std::size_t max_depth) {
  if (!is_utf8(as_bytes(text))) return Error(ErrorKind::malformed, "JSON that is no UTF-8");
  JsonCursor cursor(text);
  Value value = read_value(cursor, max_depth);
  cursor.skip_space();
  if (!cursor.ok() || !cursor.at_end()) return Error(ErrorKind::malformed, "malformed JSON");
  return value;
}

}  // namespace conat
