// Headers from anywhere: a key, a value, and the bytes. Keys are text; of those that are none on
// the wire, decoding repairs what looking into them compares as it is.
#include "conat/wire/headers.hpp"

#include "conat/wire/codec.hpp"
#include "conat/wire/utf8.hpp"
#include "fuzz.hpp"

namespace {

bool has_repaired_key(const conat::Value& headers) {
  const auto* entries = headers.if_map();
  if (entries == nullptr) return false;
  for (const auto& [key, value] : *entries) {
    if (key.find("\xEF\xBF\xBD") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  using fuzz::require;
  fuzz::Input input(data, size);
  const std::string key(input.text());
  const Value value(std::string(input.text()));
  Headers headers(to_bytes(input.rest()));
  const Value before = headers.value();
  if (!is_utf8(as_bytes(key)) || has_repaired_key(before)) return 0;
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
