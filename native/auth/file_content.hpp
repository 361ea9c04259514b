// Small files, read whole, and whether they have changed since.
//
// Thread safety: pure functions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "conat/base/result.hpp"

namespace conat::auth {

// What tells one state of a file from another. Equal for a file that was not there both times.
struct FileStamp {
  ino_t inode = 0;
  off_t size = -1;
  std::int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

FileStamp stamp_of(const std::filesystem::path& path);

// The error's text names the file and says why.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace conat::auth
