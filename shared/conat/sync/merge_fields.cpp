#include <string_view>
#include <unordered_map>

#include "conat/sync/merge.hpp"

namespace conat {
namespace {

bool same_field(const Value* a, const Value* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return *a == *b;
}

// Finds fields in constant time when there are many.
class Fields {
 public:
  explicit Fields(const Value* value) : map_(value == nullptr ? nullptr : value->if_map()) {
    if (map_ == nullptr || map_->size() <= kFew) return;
    for (const auto& entry : *map_) index_.emplace(entry.first, &entry.second);
  }

  const Value* find(std::string_view key) const {
    if (map_ == nullptr) return nullptr;
    if (!index_.empty()) {
      const auto found = index_.find(key);
      return found == index_.end() ? nullptr : found->second;
    }
    for (const auto& entry : *map_) {
      if (entry.first == key) return &entry.second;
    }
    return nullptr;
  }

 private:
  static constexpr std::size_t kFew = 16;

  const Value::Map* map_;
  std::unordered_map<std::string_view, const Value*> index_;
};

// The depth is bounded by that of decoded values (limits::max_value_depth).
std::optional<Value> merge_field(const MergeSides& sides) {
  if (same_field(sides.remote, sides.previous) || sides.remote == nullptr) {
    if (sides.local == nullptr) return std::nullopt;
    return *sides.local;
  }
  if (same_field(sides.local, sides.previous) || sides.local == nullptr) return *sides.remote;
  if (sides.local->if_map() == nullptr || sides.remote->if_map() == nullptr) return *sides.local;

  const Fields local(sides.local);
  const Fields remote(sides.remote);
  const Fields previous(sides.previous);
  Value::Map merged;
  const auto add = [&](const std::string& key, const Value* here, const Value* there) {
    auto value = merge_field({here, there, previous.find(key)});
    if (value) merged.emplace_back(key, std::move(*value));
  };
  for (const auto& entry : *sides.remote->if_map()) {
    add(entry.first, local.find(entry.first), &entry.second);
  }
  for (const auto& entry : *sides.local->if_map()) {
    if (remote.find(entry.first) == nullptr) add(entry.first, &entry.second, nullptr);
  }
  return Value(std::move(merged));
}

}  // namespace

std::optional<Value> merge_fields(const MergeSides& sides) { return merge_field(sides); }

}  // namespace conat
