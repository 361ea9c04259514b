#include <unordered_set>

#include "conat/sync/merge.hpp"
#include "conat/sync/value_hash.hpp"

namespace conat {
namespace {

using Elements = std::unordered_set<const Value*, ValuePointerHash, ValuePointerEqual>;

bool array_or_absent(const Value* value) {
  return value == nullptr || value->if_array() != nullptr;
}

const Value::Array& array_of(const Value* value) {
  static const Value::Array empty;
  return value == nullptr ? empty : *value->if_array();
}

Elements elements_of(const Value::Array& array) {
  Elements elements;
  elements.reserve(array.size());
  for (const Value& value : array) elements.insert(&value);
  return elements;
}

}  // namespace

std::optional<Value> merge_set(const MergeSides& sides) {
  if (sides.local == nullptr && sides.remote == nullptr) return std::nullopt;
  if (!array_or_absent(sides.local) || !array_or_absent(sides.remote) ||
      !array_or_absent(sides.previous)) {
    return merge_lww(sides);
  }
  const Value::Array& local = array_of(sides.local);
  const Value::Array& remote = array_of(sides.remote);
  const Elements in_local = elements_of(local);
  const Elements in_previous = elements_of(array_of(sides.previous));
  Elements done;
  Value::Array merged;
  for (const Value& value : remote) {
    const bool removed_here = in_previous.count(&value) != 0 && in_local.count(&value) == 0;
    if (!removed_here && done.insert(&value).second) merged.push_back(value);
  }
  for (const Value& value : local) {
    if (in_previous.count(&value) == 0 && done.insert(&value).second) merged.push_back(value);
  }
  if (merged.empty() && (sides.local == nullptr || sides.remote == nullptr)) return std::nullopt;
  return Value(std::move(merged));
}

}  // namespace conat
