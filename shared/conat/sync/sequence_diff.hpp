// The shortest edit script of two sequences: Myers' greedy O(ND) algorithm with a bound.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace conat {

// The elements [begin, end) of the one are [other_begin, other_end) in the other.
struct SequenceRun {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t other_begin = 0;
  std::size_t other_end = 0;
};

// What differs, ascending, with something equal between two runs. nullopt when there are more than
// `max_differences` insertions and deletions, or when `budget` steps are used up (it is
// lowered by the steps made). Memory: max_differences^2 numbers at most.
std::optional<std::vector<SequenceRun>> diff_sequences(const std::vector<std::uint32_t>& before,
                                                       const std::vector<std::uint32_t>& after,
                                                       std::size_t max_differences,
                                                       std::size_t& budget);

}  // namespace conat
