// JSON: the cursor and the decoder agree, and what was written is read as the same text.
#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"
#include "conat/wire/utf8.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  using fuzz::require;
  const Bytes bytes(data, data + size);
  const std::string_view text = as_text(bytes);
  JsonCursor cursor(text);
  PlaceholderScan placeholders;
  cursor.skip(limits::max_value_depth, &placeholders);
  cursor.skip_space();
  const Result<Value> value = decode_json(text);
  require((cursor.ok() && cursor.at_end() && is_utf8(bytes)) == value.ok(),
          "the cursor and the decoder accept the same");
  if (!value) return 0;
  const std::string encoded = encode_json(*value);
  const Result<Value> again = decode_json(encoded);
  require(again.ok() && encode_json(*again) == encoded, "the text is stable");
  const Result<Value> through = decode_msgpack(encode_msgpack(*value));
  require(through.ok() && *through == *value, "every JSON value has MessagePack");
  return 0;
}
