// When a local change that could not be saved is tried again: common to the structures that save
// by themselves.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conat/base/limits.hpp"
#include "conat/base/result.hpp"

namespace conat {

// What an item takes in a batch besides its bytes.
inline constexpr std::size_t save_item_overhead_bytes = 64;
// How long the answer to a repeated write may be ahead of the echo. The echo may also have come
// and gone before this session, so that it cannot be waited for without a limit.
inline constexpr std::int64_t echo_wait_ms = 2000;

// Repeating will not help.
inline bool is_refusal_for_good(const ErrorCode& code) {
  return code.word == "reject" || code.number == 400 || code.number == 403 || code.number == 413;
}

// After so many failures in a row.
inline std::int64_t save_delay_ms(std::uint32_t failures) {
  double delay = static_cast<double>(limits::save_retry_ms);
  for (std::uint32_t i = 0; i < failures && delay < limits::save_retry_max_ms; ++i) delay *= 1.3;
  return std::min(static_cast<std::int64_t>(delay), limits::save_retry_max_ms);
}

}  // namespace conat
