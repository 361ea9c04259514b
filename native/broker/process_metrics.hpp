// What the operating system says of this process.
//
// Thread safety: pure but for reading /proc.
#pragma once

#include <cstdint>

namespace conat::server {

struct ProcessMetrics {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  double cpu_seconds = 0;         // of all threads, user and system
  double start_time_seconds = 0;  // since 1970
  std::uint64_t open_descriptors = 0;
  std::uint64_t max_descriptors = 0;  // the soft limit
  std::uint64_t threads = 0;
};

// What cannot be read is 0.
ProcessMetrics read_process_metrics();

}  // namespace conat::server
