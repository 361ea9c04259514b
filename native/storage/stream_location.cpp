#include "storage/stream_location.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "conat/base/limits.hpp"

namespace conat::storage {
namespace {

constexpr std::string_view kExtension = ".db";
// SQLite's longest addition to the name of a database.
constexpr std::string_view kJournal = "-journal";
constexpr std::size_t kMaxLastComponent =
    limits::max_path_component_bytes - kExtension.size() - kJournal.size();
// SQLite's own bound is 512 for a path with one of its suffixes.
constexpr std::size_t kMaxDirectPath = 480;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

Status check_component(std::string_view component, bool last) {
  if (component.empty() || component == "." || component == "..") {
    return Error(ErrorKind::bad_request, "storage path is not normalized");
  }
  if (component.find('\0') != std::string_view::npos) {
    return Error(ErrorKind::bad_request, "storage path contains a NUL byte");
  }
  const std::size_t longest = last ? kMaxLastComponent : limits::max_path_component_bytes;
  if (component.size() > longest) {
    return Error(ErrorKind::bad_request, "a component of the storage path is longer than " +
                                             std::to_string(longest) + " bytes");
  }
  return Nothing{};
}

Result<FileDescriptor> enter(int parent, std::string_view component, bool durable) {
  const std::string name(component);
  int number = ::openat(parent, name.c_str(), kDirectoryFlags);
  if (number < 0 && errno == ENOENT) {
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_error("cannot create directory " + in_quotes(component));
    }
    if (durable && ::fsync(parent) != 0) {
      return system_error("cannot save directory " + in_quotes(component));
    }
    number = ::openat(parent, name.c_str(), kDirectoryFlags);
  }
  if (number < 0) return system_error("cannot open directory " + in_quotes(component));
  return FileDescriptor(number);
}

// Renames, but never over an existing file: then errno is EEXIST.
int rename_new(int directory, const std::string& from, const std::string& to) {
  const int result = ::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE);
  if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
  // Not every file system can promise it in one step.
  if (::faccessat(directory, to.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::renameat(directory, from.c_str(), directory, to.c_str());
}

std::optional<std::int64_t> modified_in(int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) ::close(number_);
}

Error system_error(std::string_view doing) {
  const char* reason = std::strerror(errno);
  return {ErrorKind::storage_failed, "storage failed: " + std::string(doing) + ": " + reason};
}

Result<StreamLocation> StreamLocation::locate(const std::filesystem::path& root,
                                              std::string_view path, bool durable) {
  if (path.size() > limits::max_storage_path_bytes) {
    return Error(ErrorKind::bad_request, "storage path is too long");
  }
  StreamLocation location;
  location.directory_ = FileDescriptor(::open(root.c_str(), kDirectoryFlags));
  if (!location.directory_) return system_error("cannot open data directory");
  location.directory_path_ = root.string();
  for (;;) {
    const std::size_t slash = path.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view component = path.substr(0, slash);
    if (Status valid = check_component(component, last); !valid.ok()) {
      return std::move(valid.error());
    }
    if (last) {
      location.file_name_ = std::string(component) + std::string(kExtension);
      break;
    }
    auto next = enter(location.directory_.get(), component, durable);
    if (!next.ok()) return std::move(next.error());
    location.directory_ = std::move(*next);
    location.directory_path_ += "/" + std::string(component);
    path.remove_prefix(slash + 1);
  }
  struct stat status {};
  if (::fstatat(location.directory(), location.file_name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) ==
          0 &&
      !S_ISREG(status.st_mode)) {
    return Error(ErrorKind::storage_failed,
                 "storage failed: " + in_quotes(location.file_name_) + " is not a regular file");
  }
  location.anchored_ =
      location.directory_path_.size() + 1 + location.file_name_.size() > kMaxDirectPath;
  location.database_name_ = location.name_for_database(location.file_name_);
  return location;
}

std::string StreamLocation::name_for_database(const std::string& name) const {
  if (!anchored_) return directory_path_ + "/" + name;
  return "/proc/self/fd/" + std::to_string(directory()) + "/" + name;
}

std::optional<std::int64_t> StreamLocation::file_modified_ns() const {
  return modified_in(directory(), file_name_);
}

std::optional<std::int64_t> StreamLocation::modified_ns() const {
  const auto file = file_modified_ns();
  const auto log = modified_in(directory(), beside("-wal"));
  return file && log ? std::max(*file, *log) : file;
}

Status StreamLocation::set_modified_ns(const std::string& name, std::int64_t time_ns) const {
  const struct timespec time { time_ns / kNsPerSecond, time_ns % kNsPerSecond };
  const struct timespec times[2] = {time, time};
  if (::utimensat(directory(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot set the time of " + in_quotes(name));
  }
  return Nothing{};
}

Result<std::string> StreamLocation::set_aside(UnixMs now) const {
  const std::string mark = ".damaged-" + std::to_string(now / 1000);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string suffix = attempt == 0 ? mark : mark + "-" + std::to_string(attempt);
    const std::size_t room = limits::max_path_component_bytes - suffix.size() - kJournal.size();
    const std::string target = file_name_.substr(0, room) + suffix;
    if (rename_new(directory(), file_name_, target) != 0) {
      if (errno == EEXIST) continue;
      return system_error("cannot set aside the damaged file " + in_quotes(file_name_));
    }
    // The log belongs to the file; its index is made anew.
    rename_new(directory(), beside("-wal"), target + "-wal");
    ::unlinkat(directory(), beside("-shm").c_str(), 0);
    ::fsync(directory());
    return target;
  }
  return Error(ErrorKind::storage_failed, "storage failed: too many damaged files");
}

Status StreamLocation::remove_log() const {
  for (const char* suffix : {"-wal", "-shm"}) {
    if (::unlinkat(directory(), beside(suffix).c_str(), 0) != 0 && errno != ENOENT) {
      return system_error("cannot remove " + in_quotes(beside(suffix)));
    }
  }
  if (::fsync(directory()) != 0) return system_error("cannot save a directory");
  return Nothing{};
}

Status StreamLocation::rename(const std::string& from, const std::string& to) const {
  if (::renameat(directory(), from.c_str(), directory(), to.c_str()) != 0) {
    return system_error("cannot rename " + in_quotes(from));
  }
  if (::fsync(directory()) != 0) return system_error("cannot save a directory");
  return Nothing{};
}

}  // namespace conat::storage
