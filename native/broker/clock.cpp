#include "broker/clock.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>

namespace conat::server {
namespace {

// The clocks are read one after the other and drift apart: less than this is no new setting.
constexpr std::int64_t tolerance_ms = 100;

template <class Clock>
std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

std::int64_t difference() {
  return milliseconds_now<std::chrono::system_clock>() -
         milliseconds_now<std::chrono::steady_clock>();
}

}  // namespace

UnixMs unix_time_of(TimeMs monotonic) {
  static std::atomic<std::int64_t> known{difference()};
  const std::int64_t now = difference();
  std::int64_t kept = known.load(std::memory_order_relaxed);
  if (std::abs(now - kept) > tolerance_ms) {
    known.store(now, std::memory_order_relaxed);
    kept = now;
  }
  return monotonic + kept;
}

}  // namespace conat::server
