#include "conat/sync/merge.hpp"

namespace conat {
namespace {

bool number_or_absent(const Value* value) { return value == nullptr || value->is_number(); }

double real_of(const Value* value) { return value == nullptr ? 0 : value->number_or(0); }

// local + remote - previous, when all are 64-bit integers and so is every step.
std::optional<std::int64_t> whole_sum(const MergeSides& sides) {
  const std::int64_t zero = 0;
  const auto integer = [&](const Value* value) {
    return value == nullptr ? &zero : value->if_integer();
  };
  const std::int64_t* local = integer(sides.local);
  const std::int64_t* remote = integer(sides.remote);
  const std::int64_t* previous = integer(sides.previous);
  if (local == nullptr || remote == nullptr || previous == nullptr) return std::nullopt;
  std::int64_t difference = 0;
  std::int64_t sum = 0;
  if (__builtin_sub_overflow(*local, *previous, &difference)) return std::nullopt;
  if (__builtin_add_overflow(*remote, difference, &sum)) return std::nullopt;
  return sum;
}

}  // namespace

std::optional<Value> merge_counter(const MergeSides& sides) {
  if (sides.local == nullptr && sides.remote == nullptr) return std::nullopt;
  if (!number_or_absent(sides.local) || !number_or_absent(sides.remote) ||
      !number_or_absent(sides.previous)) {
    return merge_lww(sides);
  }
  if (const auto sum = whole_sum(sides)) return Value(*sum);
  return Value(real_of(sides.remote) + (real_of(sides.local) - real_of(sides.previous)));
}

}  // namespace conat
