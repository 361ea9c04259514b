#include "conat/sync/dkv_value.hpp"

#include <algorithm>

namespace conat {
namespace {

bool same_bytes(ByteView a, ByteView b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

bool deeply_same(ValueView a, ValueView b) {
  const auto x = decode_payload(a.encoding, a.raw);
  if (!x.ok()) return false;
  const auto y = decode_payload(b.encoding, b.raw);
  return y.ok() && *x == *y;
}

}  // namespace

std::optional<EncodedValue> encoded_value(const OptionalValue& value) {
  if (!value) return std::nullopt;
  return EncodedValue{value->encoding, to_bytes(value->raw.view())};
}

bool same_value(const OptionalValue& a, const OptionalValue& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  const ValueView x = view_of(*a);
  const ValueView y = view_of(*b);
  return (x.encoding == y.encoding && same_bytes(x.raw, y.raw)) || deeply_same(x, y);
}

bool quickly_same(ValueView a, ValueView b) {
  if (a.encoding != b.encoding) return deeply_same(a, b);
  if (a.raw.size() != b.raw.size()) return false;
  return same_bytes(a.raw, b.raw) || deeply_same(a, b);
}

bool quickly_same(const OptionalValue& a, const OptionalValue& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return quickly_same(view_of(*a), view_of(*b));
}

bool same_headers(const Headers& a, const Headers& b) {
  return a.encoded() == b.encoded() || a.value() == b.value();
}

}  // namespace conat
