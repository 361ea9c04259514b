#include "conat/broker/rate_meter.hpp"

#include <algorithm>

namespace conat {
namespace {

// Beyond any configured rate: products with times stay within 64 bits.
constexpr std::uint64_t kMaxRate = 1'000'000'000'000;
constexpr std::int64_t kMaxElapsedMs = 3'600'000;

std::int64_t rate_of(std::uint64_t rate) {
  return static_cast<std::int64_t>(std::min(rate, kMaxRate));
}

std::int64_t burst_of(const RateLimits& limits) {
  return std::clamp<std::int64_t>(limits.burst_ms, 1, kMaxElapsedMs);
}

}  // namespace

void RateMeter::start(TimeMs now, const RateLimits& limits) {
  at_ = now;
  messages_.credit = rate_of(limits.messages_per_second) * burst_of(limits);
  bytes_.credit = rate_of(limits.bytes_per_second) * burst_of(limits);
}

std::int64_t RateMeter::take(TimeMs now, const RateLimits& limits, std::uint64_t messages,
                             std::uint64_t bytes) {
  const std::int64_t elapsed = std::clamp<std::int64_t>(now - at_, 0, kMaxElapsedMs);
  at_ = std::max(at_, now);
  return std::max(take(messages_, elapsed, limits.messages_per_second, burst_of(limits), messages),
                  take(bytes_, elapsed, limits.bytes_per_second, burst_of(limits), bytes));
}

std::int64_t RateMeter::take(Bucket& bucket, std::int64_t elapsed_ms, std::uint64_t rate_given,
                             std::int64_t burst_ms, std::uint64_t amount) {
  const std::int64_t rate = rate_of(rate_given);
  if (rate == 0) return 0;
  bucket.credit = std::min(rate * burst_ms, bucket.credit + rate * elapsed_ms);
  bucket.credit -= 1000 * static_cast<std::int64_t>(std::min(amount, kMaxRate));
  if (bucket.credit >= 0) return 0;
  return std::max(min_pause_ms, (-bucket.credit + rate - 1) / rate);
}

}  // namespace conat
