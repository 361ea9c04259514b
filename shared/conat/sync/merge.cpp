#include "conat/sync/merge.hpp"

namespace conat {
namespace {

std::optional<Value> copy_of(const Value* value) {
  if (value == nullptr) return std::nullopt;
  return *value;
}

bool same(const Value* a, const Value* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return *a == *b;
}

}  // namespace

std::optional<MergeKind> merge_kind(std::string_view name) {
  if (name == "lww") return MergeKind::lww;
  if (name == "fields") return MergeKind::fields;
  if (name == "counter") return MergeKind::counter;
  if (name == "set") return MergeKind::set;
  if (name == "text") return MergeKind::text;
  return std::nullopt;
}

std::optional<Value> merge_lww(const MergeSides& sides) { return copy_of(sides.local); }

std::optional<Value> merge_values(MergeKind kind, const MergeSides& sides) {
  const bool three_way =
      kind != MergeKind::none && kind != MergeKind::lww && kind != MergeKind::custom;
  if (three_way && same(sides.remote, sides.previous)) return copy_of(sides.local);
  if (three_way && same(sides.local, sides.previous)) return copy_of(sides.remote);
  switch (kind) {
    case MergeKind::fields:
      return merge_fields(sides);
    case MergeKind::counter:
      return merge_counter(sides);
    case MergeKind::set:
      return merge_set(sides);
    case MergeKind::text:
      return merge_text(sides);
    case MergeKind::none:
    case MergeKind::lww:
    case MergeKind::custom:
      break;
  }
  return merge_lww(sides);
}

}  // namespace conat
