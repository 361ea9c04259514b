#include "conat/session/client_backoff.hpp"

#include <algorithm>
#include <cmath>

namespace conat {
namespace {

// 2^40 times any delay is beyond every cap; it keeps the arithmetic finite.
constexpr int kMaxDoublings = 40;

}  // namespace

ClientBackoff::ClientBackoff(std::int64_t delay_ms, std::int64_t max_ms, double randomization)
    : delay_ms_(static_cast<double>(std::max<std::int64_t>(delay_ms, 1))),
      max_ms_(static_cast<double>(std::max<std::int64_t>(max_ms, 1))),
      randomization_(std::isfinite(randomization) ? std::clamp(randomization, 0.0, 1.0) : 0.0) {}

std::int64_t ClientBackoff::next_ms(Random& random) {
  const double plain = std::ldexp(delay_ms_, std::min(attempts_, kMaxDoublings));
  if (attempts_ < kMaxDoublings) ++attempts_;
  const double jittered = plain * (1.0 + randomization_ * (2.0 * random.unit() - 1.0));
  return static_cast<std::int64_t>(std::clamp(jittered, 1.0, max_ms_));
}

}  // namespace conat
