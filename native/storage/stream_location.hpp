// From the path of a stream to its file: `{root}/{path}.db`.
//
// Directories are walked one by one from the root, never through a symbolic link, so that no name
// leads out of the root. The directory of the file stays open while a StreamLocation lives; names
// in it are then used relative to it, however long the whole path is. Thread safety: a value; one
// thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "conat/base/result.hpp"
#include "conat/base/time.hpp"

namespace conat::storage {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// The error for what a system call left in errno: storage_failed, "storage failed: {doing}: ...".
Error system_error(std::string_view doing);

class StreamLocation {
 public:
  // Finds the place of `path` below `root`, which must exist, without symbolic links in its name.
  // `durable`: new directories are on stable storage before this returns.
  // Errors: bad_request for a path that no file can have, storage_failed for the rest.
  static Result<StreamLocation> locate(const std::filesystem::path& root, std::string_view path,
                                       bool durable);

  // For SQLite: the file's full path, or one through /proc when that would be too long for it.
  const std::string& database_name() const { return database_name_; }
  bool anchored() const { return anchored_; }
  int directory() const { return directory_.get(); }
  const std::string& file_name() const { return file_name_; }

  // In nanoseconds since 1970; nullopt: no file. The second counts its write-ahead log too.
  std::optional<std::int64_t> file_modified_ns() const;
  std::optional<std::int64_t> modified_ns() const;
  Status set_modified_ns(const std::string& name, std::int64_t time_ns) const;
  // Renames the file (with its log) to `{name}.damaged-{unix time}`, never over another one;
  // returns the new name.
  Result<std::string> set_aside(UnixMs now) const;
  // Removes the write-ahead log and its index.
  Status remove_log() const;
  Status rename(const std::string& from, const std::string& to) const;
  // A name beside the file.
  std::string beside(std::string_view suffix) const { return file_name_ + std::string(suffix); }
  // The full name of a file beside it, as database_name() is for the file itself.
  std::string name_for_database(const std::string& name) const;

 private:
  FileDescriptor directory_;
  std::string directory_path_;
  std::string file_name_;
  std::string database_name_;
  bool anchored_ = false;
};

}  // namespace conat::storage
