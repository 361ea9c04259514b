// The data directory, held by one conatd at a time.
//
// The lock is the kernel's (flock) on a file inside: it ends with the process, however that ends.
// Thread safety: none.
#pragma once

#include <filesystem>

#include "conat/base/result.hpp"

namespace conat::server {

class DataDirectory {
 public:
  DataDirectory() = default;
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  // Makes the directory if there is none, checks that it can be written, and locks it. The error's
  // text names the directory and the cause.
  Status open(const std::filesystem::path& path);

 private:
  int lock_ = -1;
};

}  // namespace conat::server
