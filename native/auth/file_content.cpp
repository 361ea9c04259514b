#include "auth/file_content.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace conat::auth {

FileStamp stamp_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  constexpr std::int64_t ns_per_s = 1'000'000'000;
  return {status.st_ino, status.st_size, status.st_mtim.tv_sec * ns_per_s + status.st_mtim.tv_nsec};
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const auto failed = [&](const std::string& why) {
    return Error(ErrorKind::invalid_argument, "cannot read " + path.string() + ": " + why);
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed(std::strerror(errno));
  std::string content;
  std::array<char, 65'536> buffer;
  while (true) {
    const ssize_t size = ::read(file, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    const int error = errno;
    if (size > 0) content.append(buffer.data(), static_cast<std::size_t>(size));
    const bool too_large = content.size() > max_bytes;
    if (size > 0 && !too_large) continue;
    ::close(file);
    if (size < 0) return failed(std::strerror(error));
    if (too_large) return failed("more than " + std::to_string(max_bytes) + " bytes");
    return content;
  }
}

}  // namespace conat::auth
