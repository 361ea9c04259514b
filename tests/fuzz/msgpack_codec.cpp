// MessagePack: what decodes encodes to something that decodes to the same.
#include "conat/wire/codec.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  using fuzz::require;
  const Bytes bytes(data, data + size);
  MsgpackCursor cursor(bytes);
  cursor.skip();
  const bool whole = cursor.ok() && cursor.at_end();
  const Result<Value> value = decode_msgpack(bytes);
  require(whole || !value.ok(), "the cursor accepts what the decoder accepts");
  if (!value) return 0;
  const Bytes encoded = encode_msgpack(*value);
  const Result<Value> again = decode_msgpack(encoded);
  require(again.ok() && *again == *value, "a value survives");
  require(encode_msgpack(*again) == encoded, "the encoding is stable");
  require(decode_json(encode_json(*value)).ok(), "every value has JSON");
  return 0;
}
