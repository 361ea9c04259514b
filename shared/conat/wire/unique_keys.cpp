#include "conat/wire/unique_keys.hpp"

#include <algorithm>
#include <numeric>

namespace conat {
namespace {

// Up to here comparing every pair of keys is cheaper than sorting.
constexpr std::size_t kFewEntries = 16;

void merge_few(Value::Map& entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (std::size_t j = entries.size() - 1; j > i; --j) {
      if (entries[i].first != entries[j].first) continue;
      // From the back: the first match holds the value that wins.
      entries[i].second = std::move(entries[j].second);
      const std::string key = entries[i].first;
      const auto behind = entries.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      entries.erase(std::remove_if(behind, entries.end(),
                                   [&](const auto& entry) { return entry.first == key; }),
                    entries.end());
      break;
    }
  }
}

void merge_many(Value::Map& entries) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int comparison = entries[a].first.compare(entries[b].first);
    return comparison != 0 ? comparison < 0 : a < b;
  });
  std::vector<bool> dropped(entries.size());
  bool any = false;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t last = i;
    while (last + 1 < order.size() && entries[order[last + 1]].first == entries[order[i]].first) {
      dropped[order[++last]] = true;
      any = true;
    }
    if (last != i) entries[order[i]].second = std::move(entries[order[last]].second);
    i = last + 1;
  }
  if (!any) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (dropped[i]) continue;
    if (kept != i) entries[kept] = std::move(entries[i]);
    ++kept;
  }
  entries.resize(kept);
}

}  // namespace

void keep_last_of_each_key(Value::Map& entries) {
  if (entries.size() <= kFewEntries) {
    merge_few(entries);
  } else {
    merge_many(entries);
  }
}

}  // namespace conat
