#include "client/akv.hpp"

#include "conat/sync/core_stream_store.hpp"

namespace conat::native {

bool Akv::is_deleted(const StreamMessage& message) { return is_tombstone_headers(message.headers); }

Result<std::optional<Value>> Akv::value_of(const Result<std::optional<StreamMessage>>& found) {
  if (!found.ok()) return found.error();
  if (!*found || is_deleted(**found)) return std::optional<Value>();
  Result<Value> value = decode(**found);
  if (!value.ok()) return value.error();
  return std::optional<Value>(std::move(*value));
}

Value Akv::deletion() {
  Value headers;
  headers.set(header::tombstone, Value(true));
  return headers;
}

}  // namespace conat::native
