// A disk that fails on demand: a file system of SQLite (a VFS) around its usual one, which keeps
// apart what has been synchronized and what has not.
//
// Files are real ones and hold what the system would show. What a file would hold after a power
// failure is kept in memory: its content at the last sync, and every write since then. restart()
// throws the dice for those writes (none, all, or any set of their sectors of 512 bytes) and for
// names that were created or deleted in a directory that was not synchronized since, and makes the
// files so. Real disks are not asked to synchronize, which makes it fast.
//
// While an object lives, it is the process's default VFS for connections that are opened; all of
// them must be closed before its end. Only files below `root` are part of it. What is done past
// SQLite (directories, renames) counts as synchronized. The index of a log (-shm) lives in memory
// and is garbage or gone after a power failure.
//
// Thread safety: all calls from any thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/random.hpp"

namespace conat::test {

class FaultDisk {
 public:
  enum class Operation { write, truncate, sync, create, remove };

  FaultDisk(std::filesystem::path root, std::uint64_t seed);
  ~FaultDisk();
  FaultDisk(const FaultDisk&) = delete;
  FaultDisk& operator=(const FaultDisk&) = delete;

  // The power goes at the nth operation from now (1: the next one), which may be done, in part or
  // not. Everything afterwards fails and changes nothing.
  void lose_power_at(std::uint64_t nth);
  // So at the nth sync from now: all that it is about is written, and perhaps there.
  void lose_power_at_sync(std::uint64_t nth);
  void lose_power();
  bool powered() const;
  // Power is back, files are what survived. All connections must be closed.
  void restart();

  // The nth such operation from now fails with the code, once. A failed write has written a part; a
  // failed sync has written some sectors and forgets about the rest, as Linux does.
  void fail_once(Operation operation, std::uint64_t nth, int code);
  // No space from the nth write on, whose first part still fits. Files whose names hold `only`.
  void fill_at(std::uint64_t nth, std::string only = {});
  // There is space again, nothing else is going to fail.
  void repair();
  // Syncs are reported done and do nothing.
  void lie_about_syncs(bool lies);

  std::uint64_t operations() const;
  // Failures injected so far, power failures not counted.
  std::uint64_t failures() const;

 private:
  friend struct FaultMethods;

  struct Change {  // a write, or with `truncates` the new size
    std::uint64_t offset = 0;
    std::string bytes;
    bool truncates = false;
  };
  struct Content {
    std::uint64_t inode = 0;
    std::string durable;
    std::vector<Change> pending;
  };
  // A name: what it leads to now, and what it leads to after a power failure.
  struct Entry {
    std::shared_ptr<Content> now;
    std::shared_ptr<Content> durable;
  };
  struct File {
    std::shared_ptr<Content> content;
    std::string path;
    bool names_directory = false;  // its first sync is one of its directory
  };

  bool covers(std::string_view path) const;
  // With the mutex held. SQLITE_OK, or how the operation has to fail.
  int next(Operation operation, std::string_view path);
  void opened(const std::string& path, bool created, File& file);
  void removed(const std::string& path, bool synchronize);
  void synchronize(File& file);
  void synchronize_names(const std::string& path);
  void keep_some(Content& content);
  void restore(const std::string& path, Entry& entry);

  const std::string root_;
  sqlite3_vfs vfs_;
  sqlite3_vfs* const base_;

  mutable std::mutex mutex_;
  Random random_;
  std::map<std::string, Entry> entries_;
  bool powered_ = true;
  bool lies_ = false;
  std::uint64_t operations_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t power_loss_ = 0;  // the operation's number; 0: none
  std::uint64_t syncs_left_ = 0;  // until the power goes; 0: it does not
  std::uint64_t writes_left_ = 0;
  bool filling_ = false;
  std::string fills_only_;
  Operation failing_ = Operation::write;
  std::uint64_t failing_in_ = 0;  // 0: none
  int failing_code_ = SQLITE_OK;
};

}  // namespace conat::test
