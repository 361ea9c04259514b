#include "broker/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace conat::server {
namespace {

// The fields of /proc/self/stat from the third one on (see proc(5)); the second one, the program's
// name, may hold anything.
std::vector<std::string> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(line.substr(end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

std::uint64_t field(const std::vector<std::string>& fields, std::size_t number) {
  const std::size_t index = number - 3;
  return index < fields.size() ? std::strtoull(fields[index].c_str(), nullptr, 10) : 0;
}

// When the machine was started, in seconds since 1970.
double boot_time() {
  std::ifstream file("/proc/stat");
  std::string name;
  double value = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    if (words >> name && name == "btime" && words >> value) return value;
  }
  return 0;
}

std::uint64_t count_descriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator first("/proc/self/fd", error);
  if (error) return 0;
  const auto count = std::distance(begin(first), end(first));
  return static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(0, count - 1));  // without this look
}

}  // namespace

ProcessMetrics read_process_metrics() {
  ProcessMetrics metrics;
  const auto fields = stat_fields();
  const auto ticks = static_cast<double>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  metrics.cpu_seconds = static_cast<double>(field(fields, 14) + field(fields, 15)) / ticks;
  metrics.threads = field(fields, 20);
  metrics.start_time_seconds = boot_time() + static_cast<double>(field(fields, 22)) / ticks;
  metrics.virtual_bytes = field(fields, 23);
  metrics.resident_bytes =
      field(fields, 24) * static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));
  metrics.open_descriptors = count_descriptors();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) metrics.max_descriptors = limit.rlim_cur;
  return metrics;
}

}  // namespace conat::server
