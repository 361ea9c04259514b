// Copies of streams in other directories: the archive, which is read back when it is newer, and the
// backup, which is only written. Copies are made with SQLite's online backup, into a file beside
// the target that takes its place when it is complete.
//
// Thread safety: the thread that uses the stream's store.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "conat/base/result.hpp"
#include "conat/base/time.hpp"
#include "storage/sqlite_store.hpp"
#include "storage/stream_location.hpp"

namespace conat::storage {

// Puts the archive's file in the place of the local one when it was modified later; true when it
// did. An archive file that is no database is set aside and ignored.
Result<bool> restore_newer(const std::filesystem::path& archive_root, std::string_view path,
                           const StreamLocation& local, UnixMs now, bool durable);

// A copy in the making. Between steps the source may be read and written through its store; what is
// written is copied too. Destroyed before finish(): no copy.
class OnlineCopy {
 public:
  // Creates `{root}/{path}.db` and the directories on the way.
  static Result<std::unique_ptr<OnlineCopy>> start(SqliteStore& source,
                                                   const std::filesystem::path& root,
                                                   std::string_view path, bool durable);
  ~OnlineCopy();
  OnlineCopy(const OnlineCopy&) = delete;
  OnlineCopy& operator=(const OnlineCopy&) = delete;

  // Copies up to `pages` pages (below zero: all); true when none is left.
  Result<bool> step(int pages);
  // Puts the copy in its place, dated like its source (so that neither is newer).
  Status finish(std::int64_t modified_ns);

 private:
  OnlineCopy(StreamLocation target, bool durable) : target_(std::move(target)), durable_(durable) {}

  StreamLocation target_;
  bool durable_;
  std::optional<SqliteDatabase> copy_;
  sqlite3_backup* backup_ = nullptr;
};

}  // namespace conat::storage
