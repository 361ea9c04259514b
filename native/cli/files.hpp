// Files and standard input, read whole.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "conat/base/result.hpp"

namespace conat::cli {

// Error: it cannot be read, or has more than `max_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);
Result<std::string> read_standard_input(std::size_t max_bytes);

}  // namespace conat::cli
