// A directory that is gone at the end of a test, and the sqlite3 tool on files in it.
#pragma once

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace conat::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "conat-storage-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = std::filesystem::canonical(name);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs SQL with the sqlite3 tool, as a user would; returns what it prints.
inline std::string sqlite_tool(const std::filesystem::path& file, const std::string& sql) {
  const std::filesystem::path script = file.string() + ".sql";
  std::ofstream(script) << sql;
  const std::string command =
      "sqlite3 -batch -bail '" + file.string() + "' < '" + script.string() + "' 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[4096];
  for (std::size_t size; (size = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    output.append(buffer, size);
  }
  INFO(sql << "\n" << output);
  REQUIRE(::pclose(pipe) == 0);
  std::filesystem::remove(script);
  return output;
}

inline std::string file_content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  std::string content(static_cast<std::size_t>(stream.tellg()), '\0');
  stream.seekg(0);
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  REQUIRE(stream.good());
  return content;
}

}  // namespace conat::test
