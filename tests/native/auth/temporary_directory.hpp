// A directory that goes with the test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace conat::auth {

struct TemporaryDirectory {
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "conat-auth-XXXXXX").string();
    path = mkdtemp(name.data()) == nullptr ? "" : name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  // Replaced as a whole, as careful administrators do it.
  void write(std::string_view name, std::string_view content) const {
    const std::filesystem::path temporary = path / "new";
    std::ofstream(temporary, std::ios::binary) << content;
    std::filesystem::rename(temporary, path / name);
  }

  std::filesystem::path path;
};

}  // namespace conat::auth
