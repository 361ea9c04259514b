// Headers from anywhere: a key, a value, and the bytes.
#include "conat/wire/headers.hpp"

#include "conat/wire/codec.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  using fuzz::require;
  fuzz::Input input(data, size);
  const std::string key(input.text());
  const Value value(std::string(input.text()));
  Headers headers(to_bytes(input.rest()));
  const Value before = headers.value();
  const Value* entry = before.find(key);
  if (entry != nullptr) require(headers.get(key) == *entry, "looking into is decoding");
  headers.text(key);
  headers.number(key);
  headers.set(key, value);
  require(headers.text(key) == value.text_or({}), "what was set is there");
  Value expected = before.if_map() != nullptr ? before : Value();
  expected.set(key, value);
  if (before.if_map() != nullptr) require(headers.value() == expected, "the others stay");
  headers.erase(key);
  require(!headers.has(key), "what was erased is gone");
  return 0;
}
