// Time as the core sees it: a number that the shell hands in.
//
// TimeMs is milliseconds on a monotonic clock whose zero means nothing; every machine's
// `on_...(now, ...)` takes it and `deadline()` returns it. UnixMs is wall-clock milliseconds since
// 1970, used only for what is stored or shown.
#pragma once

#include <cstdint>
#include <optional>

namespace conat {

using TimeMs = std::int64_t;
using UnixMs = std::int64_t;

// The earlier of two deadlines, where "none" is later than everything.
inline std::optional<TimeMs> earlier(std::optional<TimeMs> a, std::optional<TimeMs> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace conat
