#include "conat/sync/sequence_diff.hpp"

#include <algorithm>

namespace conat {
namespace {

// Works on the middle, between the common beginning and the common end.
class Search {
 public:
  Search(const std::uint32_t* before, std::size_t before_size, const std::uint32_t* after,
         std::size_t after_size, std::size_t max_differences, std::size_t& budget)
      : a_(before),
        b_(after),
        n_(static_cast<std::int64_t>(before_size)),
        m_(static_cast<std::int64_t>(after_size)),
        max_d_(static_cast<std::int64_t>(max_differences)),
        budget_(budget) {}

  // Furthest reaching paths with 0, 1, 2, ... differences, until one arrives.
  bool run() {
    if (n_ - m_ > max_d_ || m_ - n_ > max_d_) return false;
    const std::vector<std::int64_t> none;
    for (std::int64_t d = 0; d <= max_d_; ++d) {
      // Of d - 1, on the diagonals -(d - 1) .. d - 1.
      const std::vector<std::int64_t>& furthest = d == 0 ? none : traces_.back();
      std::vector<std::int64_t> next(static_cast<std::size_t>(2 * d + 1), -1);
      for (std::int64_t k = -d; k <= d; k += 2) {
        std::int64_t x = start(furthest, d, k);
        std::int64_t y = x - k;
        if (x < 0 || x > n_ || y > m_) continue;
        const std::int64_t from = x;
        while (x < n_ && y < m_ && a_[x] == b_[y]) ++x, ++y;
        next[static_cast<std::size_t>(k + d)] = x;
        const auto steps = static_cast<std::size_t>(x - from) + 1;
        if (steps > budget_) return false;
        budget_ -= steps;
        if (x == n_ && y == m_) {
          traces_.push_back(std::move(next));
          return true;
        }
      }
      traces_.push_back(std::move(next));
    }
    return false;
  }

  // Walks back from the end; calls `edit(x, y, deletion)` for each difference, last first.
  template <class Edit>
  void walk_back(Edit&& edit) const {
    std::int64_t k = n_ - m_;
    for (auto d = static_cast<std::int64_t>(traces_.size()) - 1; d > 0; --d) {
      const auto& before = traces_[static_cast<std::size_t>(d - 1)];
      const std::int64_t down = at(before, d - 1, k + 1);    // an insertion
      const std::int64_t across = at(before, d - 1, k - 1);  // a deletion
      const bool deletion = is_deletion(down, across, k);
      k += deletion ? -1 : 1;
      const std::int64_t x = deletion ? across : down;
      edit(static_cast<std::size_t>(x), static_cast<std::size_t>(x - k), deletion);
    }
  }

 private:
  static std::int64_t at(const std::vector<std::int64_t>& furthest, std::int64_t d,
                         std::int64_t k) {
    if (k < -d || k > d) return -1;
    return furthest[static_cast<std::size_t>(k + d)];
  }

  // Whether the path to diagonal k comes from k - 1. A path that would leave the table is none.
  bool is_deletion(std::int64_t down, std::int64_t across, std::int64_t k) const {
    const bool can_delete = across >= 0 && across < n_;
    const bool can_insert = down >= 0 && down - k <= m_;
    if (can_delete && can_insert) return across + 1 > down;
    return can_delete;
  }

  std::int64_t start(const std::vector<std::int64_t>& furthest, std::int64_t d,
                     std::int64_t k) const {
    if (d == 0) return 0;
    const std::int64_t down = at(furthest, d - 1, k + 1);
    const std::int64_t across = at(furthest, d - 1, k - 1);
    if (is_deletion(down, across, k)) return across + 1;
    return down >= 0 && down - k <= m_ ? down : -1;
  }

  const std::uint32_t* a_;
  const std::uint32_t* b_;
  std::int64_t n_;
  std::int64_t m_;
  std::int64_t max_d_;
  std::size_t& budget_;
  std::vector<std::vector<std::int64_t>> traces_;
};

}  // namespace

std::optional<std::vector<SequenceRun>> diff_sequences(const std::vector<std::uint32_t>& before,
                                                       const std::vector<std::uint32_t>& after,
                                                       std::size_t max_differences,
                                                       std::size_t& budget) {
  std::size_t prefix = 0;
  const std::size_t shorter = std::min(before.size(), after.size());
  while (prefix < shorter && before[prefix] == after[prefix]) ++prefix;
  std::size_t suffix = 0;
  while (suffix < shorter - prefix &&
         before[before.size() - 1 - suffix] == after[after.size() - 1 - suffix]) {
    ++suffix;
  }
  const std::size_t n = before.size() - prefix - suffix;
  const std::size_t m = after.size() - prefix - suffix;
  if (n == 0 && m == 0) return std::vector<SequenceRun>{};
  if (n == 0 || m == 0) {
    return std::vector<SequenceRun>{{prefix, prefix + n, prefix, prefix + m}};
  }
  Search search(before.data() + prefix, n, after.data() + prefix, m, max_differences, budget);
  if (!search.run()) return std::nullopt;

  std::vector<SequenceRun> runs;
  search.walk_back([&](std::size_t x, std::size_t y, bool deletion) {
    const std::size_t end = x + (deletion ? 1 : 0);
    const std::size_t other_end = y + (deletion ? 0 : 1);
    if (!runs.empty() && runs.back().begin == prefix + end &&
        runs.back().other_begin == prefix + other_end) {
      runs.back().begin = prefix + x;
      runs.back().other_begin = prefix + y;
    } else {
      runs.push_back({prefix + x, prefix + end, prefix + y, prefix + other_end});
    }
  });
  std::reverse(runs.begin(), runs.end());
  return runs;
}

}  // namespace conat
