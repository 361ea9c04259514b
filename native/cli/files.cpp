#include "cli/files.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace conat::cli {
namespace {

Result<std::string> read_all(std::FILE* file, const std::string& name, std::size_t max_bytes) {
  std::string text;
  std::array<char, 65'536> buffer;
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file)) {
    text.append(buffer.data(), size);
    if (text.size() > max_bytes) {
      return Error(ErrorKind::too_large,
                   name + " has more than " + std::to_string(max_bytes) + " bytes");
    }
  }
  if (std::ferror(file) == 0) return text;
  return Error(ErrorKind::internal, "cannot read " + name + ": " + std::strerror(errno));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  if (file) return read_all(file.get(), path, max_bytes);
  return Error(ErrorKind::not_found, "cannot read " + path + ": " + std::strerror(errno));
}

Result<std::string> read_standard_input(std::size_t max_bytes) {
  return read_all(stdin, "the standard input", max_bytes);
}

}  // namespace conat::cli
