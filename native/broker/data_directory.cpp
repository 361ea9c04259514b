#include "broker/data_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace conat::server {
namespace {

Error cannot_use(const std::filesystem::path& path, const std::string& cause) {
  return Error(ErrorKind::invalid_argument,
               "cannot use the data directory " + path.string() + ": " + cause);
}

}  // namespace

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

Status DataDirectory::open(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return cannot_use(path, error.message());
  const auto file = path / "conatd.lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return cannot_use(path, std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return cannot_use(path, "another conatd is using it");
    return cannot_use(path, std::strerror(errno));
  }
  return Nothing{};
}

}  // namespace conat::server
