// The delays between attempts to reconnect: exponential, capped, with jitter so that thousands of
// clients of a restarted server do not come back in one instant.
//
// Thread safety: none.
#pragma once

#include <cstdint>

#include "conat/base/random.hpp"

namespace conat {

class ClientBackoff {
 public:
  // The n-th delay (from 0) is delay * 2^n, randomized by +-`randomization` (0 to 1), at most
  // `max`.
  ClientBackoff(std::int64_t delay_ms, std::int64_t max_ms, double randomization);

  // At least 1 ms: a client never reconnects in the same instant in which it lost a connection.
  std::int64_t next_ms(Random& random);
  void reset() { attempts_ = 0; }

 private:
  double delay_ms_;
  double max_ms_;
  double randomization_;
  int attempts_ = 0;
};

}  // namespace conat
