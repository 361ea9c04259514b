// The token buckets of one connection: how many messages and bytes it may still send.
//
// A bucket fills at its rate up to what a burst may take. What has come is never refused: it may
// overdraw a bucket, and then nothing more is to be read until the debt is paid, so that over time
// the rate is kept exactly. Thread safety: none.
#pragma once

#include <cstdint>

#include "conat/base/time.hpp"

namespace conat {

struct RateLimits {
  std::uint64_t messages_per_second = 0;  // 0: no limit
  std::uint64_t bytes_per_second = 0;     // 0: no limit
  std::int64_t burst_ms = 1000;           // a full bucket is what comes in so long

  bool any() const { return messages_per_second != 0 || bytes_per_second != 0; }
};

class RateMeter {
 public:
  // Not to be woken for less.
  static constexpr std::int64_t min_pause_ms = 5;

  // Full buckets.
  void start(TimeMs now, const RateLimits& limits);
  // Something has come. Returns how long nothing more is to be read, in ms; 0: go on.
  std::int64_t take(TimeMs now, const RateLimits& limits, std::uint64_t messages,
                    std::uint64_t bytes);

 private:
  // In thousandths: what a rate per second adds in a millisecond is the rate.
  struct Bucket {
    std::int64_t credit = 0;
  };
  static std::int64_t take(Bucket& bucket, std::int64_t elapsed_ms, std::uint64_t rate,
                           std::int64_t burst_ms, std::uint64_t amount);

  TimeMs at_ = 0;
  Bucket messages_;
  Bucket bytes_;
};

}  // namespace conat
