#include "storage/fault_disk.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <random>
#include <utility>

#include "storage/sqlite_database.hpp"
#include "storage/temporary_directory.hpp"

namespace conat::test {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr const char* kName = "conat-faults";

// The usual VFS, once the library has made its preparations with it.
sqlite3_vfs* usual_vfs() {
  REQUIRE(storage::SqliteDatabase::open(":memory:", SQLITE_OPEN_READWRITE, false).ok());
  return sqlite3_vfs_find(nullptr);
}

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

void write_at(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() == offset) {
    content += bytes;
    return;
  }
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
}

// What SQLite hands around for an open file; the usual VFS's own follows it.
struct OpenFile {
  sqlite3_file head;
  FaultDisk* disk;
  void* file;  // FaultDisk::File; nullptr: passed through
};
constexpr std::size_t kHeadBytes = (sizeof(OpenFile) + 15) / 16 * 16;

sqlite3_file* base_of(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + kHeadBytes);
}

}  // namespace

// SQLite's callbacks.
struct FaultMethods {
  static FaultDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<FaultDisk*>(vfs->pAppData); }
  static FaultDisk& disk_of(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file)->disk; }
  static FaultDisk::File* file_of(sqlite3_file* file) {
    return static_cast<FaultDisk::File*>(reinterpret_cast<OpenFile*>(file)->file);
  }

  // ---- the VFS ----

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    FaultDisk& disk = disk_of(vfs);
    const std::lock_guard lock(disk.mutex_);
    auto* const opened = new (file) OpenFile{{nullptr}, &disk, nullptr};
    const bool covered = name != nullptr && disk.covers(name);
    bool created = false;
    if (covered) {
      if (!disk.powered_) return SQLITE_CANTOPEN;
      created = (flags & SQLITE_OPEN_CREATE) != 0 && inode_of(name) == 0;
      if (created) {
        if (disk.next(FaultDisk::Operation::create, name) != SQLITE_OK) return SQLITE_CANTOPEN;
      }
    }
    const int code = disk.base_->xOpen(disk.base_, name, base_of(file), flags, out);
    if (code != SQLITE_OK) return code;
    if (covered) {
      auto* const state = new FaultDisk::File;
      disk.opened(name, created, *state);
      // The usual VFS synchronizes the directory with the first sync of a journal or log.
      state->names_directory = (flags & SQLITE_OPEN_CREATE) != 0 &&
                               (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
      opened->file = state;
    }
    opened->head.pMethods = methods();
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* name, int synchronize) {
    FaultDisk& disk = disk_of(vfs);
    const std::lock_guard lock(disk.mutex_);
    if (!disk.covers(name)) return disk.base_->xDelete(disk.base_, name, synchronize);
    if (inode_of(name) == 0) return SQLITE_IOERR_DELETE_NOENT;
    if (disk.next(FaultDisk::Operation::remove, name) != SQLITE_OK) return SQLITE_IOERR_DELETE;
    const int code = disk.base_->xDelete(disk.base_, name, 0);
    if (code == SQLITE_OK) disk.removed(name, synchronize != 0);
    return code;
  }

  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    FaultDisk& disk = disk_of(vfs);
    if (disk.covers(name) && !disk.powered()) return SQLITE_IOERR_ACCESS;
    return disk.base_->xAccess(disk.base_, name, flags, out);
  }

  // ---- an open file ----

  static int close(sqlite3_file* file) {
    delete file_of(file);
    return base_of(file)->pMethods->xClose(base_of(file));
  }

  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    if (file_of(file) != nullptr && !disk_of(file).powered()) return SQLITE_IOERR_READ;
    return base_of(file)->pMethods->xRead(base_of(file), out, size, offset);
  }

  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    FaultDisk::File* const state = file_of(file);
    const auto base_write = [&](int length) {
      return base_of(file)->pMethods->xWrite(base_of(file), bytes, length, offset);
    };
    if (state == nullptr) return base_write(size);
    FaultDisk& disk = disk_of(file);
    const std::lock_guard lock(disk.mutex_);
    const bool powered = disk.powered_;
    const int code = disk.next(FaultDisk::Operation::write, state->path);
    if (!powered) return code;
    // A failing write is a short one. At a power failure any part may be written.
    int length = size;
    if (code != SQLITE_OK && disk.powered_) {
      length = static_cast<int>(disk.random_.below(static_cast<std::uint32_t>(size)));
    }
    state->content->pending.push_back(
        {static_cast<std::uint64_t>(offset),
         std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(length)), false});
    if (disk.powered_ && length > 0) {
      const int written = base_write(length);
      if (code == SQLITE_OK) return written;
    }
    errno = code == SQLITE_FULL ? ENOSPC : EIO;
    return code;
  }

  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    FaultDisk::File* const state = file_of(file);
    if (state != nullptr) {
      FaultDisk& disk = disk_of(file);
      const std::lock_guard lock(disk.mutex_);
      const bool powered = disk.powered_;
      const int code = disk.next(FaultDisk::Operation::truncate, state->path);
      // It may have been done when the power went.
      if (powered && (code == SQLITE_OK || !disk.powered_)) {
        state->content->pending.push_back({static_cast<std::uint64_t>(size), {}, true});
      }
      if (code != SQLITE_OK) return code;
    }
    return base_of(file)->pMethods->xTruncate(base_of(file), size);
  }

  static int sync(sqlite3_file* file, int flags) {
    FaultDisk::File* const state = file_of(file);
    if (state == nullptr) return base_of(file)->pMethods->xSync(base_of(file), flags);
    FaultDisk& disk = disk_of(file);
    const std::lock_guard lock(disk.mutex_);
    const int code = disk.next(FaultDisk::Operation::sync, state->path);
    if (code == SQLITE_OK) {
      disk.synchronize(*state);
    } else if (disk.powered_) {
      disk.keep_some(*state->content);
      errno = EIO;
    }
    return code;
  }

  // The index of the log grows on the disk, too.
  static int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
    if (FaultDisk::File* const state = file_of(file); state != nullptr && extend != 0) {
      FaultDisk& disk = disk_of(file);
      const std::lock_guard lock(disk.mutex_);
      struct stat status {};
      const bool grows = ::stat((state->path + "-shm").c_str(), &status) != 0 ||
                         status.st_size < (page + 1) * static_cast<off_t>(size);
      const bool full = disk.filling_ && disk.writes_left_ == 0 &&
                        state->path.find(disk.fills_only_) != std::string::npos;
      if (!disk.powered_ || (grows && full)) {
        if (disk.powered_) ++disk.failures_;
        errno = ENOSPC;
        return SQLITE_IOERR_SHMSIZE;
      }
    }
    return base_of(file)->pMethods->xShmMap(base_of(file), page, size, extend, out);
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods table = [] {
      sqlite3_io_methods methods{};
      methods.iVersion = 2;  // no memory mapping
      methods.xClose = &close;
      methods.xRead = &read;
      methods.xWrite = &write;
      methods.xTruncate = &truncate;
      methods.xSync = &sync;
      methods.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
        return base_of(file)->pMethods->xFileSize(base_of(file), size);
      };
      methods.xLock = [](sqlite3_file* file, int level) {
        return base_of(file)->pMethods->xLock(base_of(file), level);
      };
      methods.xUnlock = [](sqlite3_file* file, int level) {
        return base_of(file)->pMethods->xUnlock(base_of(file), level);
      };
      methods.xCheckReservedLock = [](sqlite3_file* file, int* out) {
        return base_of(file)->pMethods->xCheckReservedLock(base_of(file), out);
      };
      methods.xFileControl = [](sqlite3_file* file, int what, void* argument) {
        return base_of(file)->pMethods->xFileControl(base_of(file), what, argument);
      };
      methods.xSectorSize = [](sqlite3_file* file) {
        return base_of(file)->pMethods->xSectorSize(base_of(file));
      };
      methods.xDeviceCharacteristics = [](sqlite3_file* file) {
        return base_of(file)->pMethods->xDeviceCharacteristics(base_of(file));
      };
      methods.xShmMap = &shm_map;
      methods.xShmLock = [](sqlite3_file* file, int offset, int count, int flags) {
        return base_of(file)->pMethods->xShmLock(base_of(file), offset, count, flags);
      };
      methods.xShmBarrier = [](sqlite3_file* file) {
        base_of(file)->pMethods->xShmBarrier(base_of(file));
      };
      methods.xShmUnmap = [](sqlite3_file* file, int remove) {
        return base_of(file)->pMethods->xShmUnmap(base_of(file), remove);
      };
      return methods;
    }();
    return &table;
  }
};

FaultDisk::FaultDisk(std::filesystem::path root, std::uint64_t seed)
    : root_(root.string() + "/"), vfs_(), base_(usual_vfs()), random_(seed) {
  vfs_ = *base_;
  vfs_.pNext = nullptr;
  vfs_.zName = kName;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(kHeadBytes) + base_->szOsFile;
  vfs_.xOpen = &FaultMethods::open;
  vfs_.xDelete = &FaultMethods::remove;
  vfs_.xAccess = &FaultMethods::access;
  REQUIRE(sqlite3_vfs_register(&vfs_, 1) == SQLITE_OK);
}

FaultDisk::~FaultDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(base_, 1);
}

// ---- what is to fail ----

void FaultDisk::lose_power_at(std::uint64_t nth) {
  const std::lock_guard lock(mutex_);
  power_loss_ = operations_ + nth;
}

void FaultDisk::lose_power_at_sync(std::uint64_t nth) {
  const std::lock_guard lock(mutex_);
  syncs_left_ = nth;
}

void FaultDisk::lose_power() {
  const std::lock_guard lock(mutex_);
  powered_ = false;
}

bool FaultDisk::powered() const {
  const std::lock_guard lock(mutex_);
  return powered_;
}

void FaultDisk::fail_once(Operation operation, std::uint64_t nth, int code) {
  const std::lock_guard lock(mutex_);
  failing_ = operation;
  failing_in_ = nth;
  failing_code_ = code;
}

void FaultDisk::fill_at(std::uint64_t nth, std::string only) {
  const std::lock_guard lock(mutex_);
  filling_ = true;
  writes_left_ = nth - 1;
  fills_only_ = std::move(only);
}

void FaultDisk::repair() {
  const std::lock_guard lock(mutex_);
  filling_ = false;
  failing_in_ = 0;
}

void FaultDisk::lie_about_syncs(bool lies) {
  const std::lock_guard lock(mutex_);
  lies_ = lies;
}

std::uint64_t FaultDisk::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

std::uint64_t FaultDisk::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

bool FaultDisk::covers(std::string_view path) const {
  return path.substr(0, root_.size()) == root_;
}

int FaultDisk::next(Operation operation, std::string_view path) {
  if (!powered_) return SQLITE_IOERR;
  ++operations_;
  const bool last_sync = operation == Operation::sync && syncs_left_ > 0 && --syncs_left_ == 0;
  if (operations_ == power_loss_ || last_sync) {
    powered_ = false;
    return SQLITE_IOERR;
  }
  if (operation == failing_ && failing_in_ > 0 && --failing_in_ == 0) {
    ++failures_;
    return failing_code_;
  }
  const bool takes_space = operation == Operation::write || operation == Operation::create;
  if (filling_ && takes_space && path.find(fills_only_) != std::string_view::npos) {
    if (writes_left_ == 0) {
      ++failures_;
      return SQLITE_FULL;
    }
    if (operation == Operation::write) --writes_left_;
  }
  return SQLITE_OK;
}

// ---- what is where ----

void FaultDisk::opened(const std::string& path, bool created, File& file) {
  Entry& entry = entries_[path];
  const std::uint64_t inode = inode_of(path);
  if (created) {
    entry.now = std::make_shared<Content>();
    entry.now->inode = inode;
  } else if (entry.now == nullptr || entry.now->inode != inode) {
    // Put there by somebody else.
    entry.now = std::make_shared<Content>();
    entry.now->inode = inode;
    entry.now->durable = file_content(path);
    entry.durable = entry.now;
  }
  file.content = entry.now;
  file.path = path;
}

void FaultDisk::removed(const std::string& path, bool synchronize) {
  entries_[path].now.reset();
  if (synchronize) synchronize_names(path);
}

void FaultDisk::synchronize(File& file) {
  if (lies_) return;
  Content& content = *file.content;
  for (const Change& change : content.pending) {
    if (change.truncates) {
      content.durable.resize(change.offset);
    } else {
      write_at(content.durable, change.offset, change.bytes);
    }
  }
  content.pending.clear();
  if (std::exchange(file.names_directory, false)) synchronize_names(file.path);
}

// All names in the directory of this one.
void FaultDisk::synchronize_names(const std::string& path) {
  if (lies_) return;
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  for (auto& [name, entry] : entries_) {
    if (name.rfind('/') + 1 == directory.size() && name.rfind(directory, 0) == 0) {
      entry.durable = entry.now;
    }
  }
}

// None of the unsynchronized changes, all of them, or any of them, sector by sector.
void FaultDisk::keep_some(Content& content) {
  const std::uint32_t lost_in_8 = random_.below(2) == 0 ? random_.below(2) * 8 : random_.below(9);
  const auto kept = [&] { return random_.below(8) >= lost_in_8; };
  for (const Change& change : content.pending) {
    if (change.truncates) {
      if (kept()) content.durable.resize(change.offset);
      continue;
    }
    const std::string_view bytes = change.bytes;
    for (std::uint64_t done = 0; done < bytes.size();) {
      const std::uint64_t at = change.offset + done;
      const std::uint64_t length =
          std::min<std::uint64_t>(kSector - at % kSector, bytes.size() - done);
      if (kept()) write_at(content.durable, at, bytes.substr(done, length));
      done += length;
    }
  }
  content.pending.clear();
}

void FaultDisk::restore(const std::string& path, Entry& entry) {
  const std::uint64_t inode = inode_of(path);
  if (inode != (entry.now == nullptr ? 0 : entry.now->inode)) {
    // Renamed or replaced by somebody else.
    entry = {};
    return;
  }
  entry.now = entry.durable = random_.below(2) == 0 ? entry.now : entry.durable;
  if (entry.now == nullptr) {
    std::filesystem::remove(path);
    return;
  }
  keep_some(*entry.now);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << entry.now->durable;
  entry.now->inode = inode_of(path);
}

void FaultDisk::restart() {
  const std::lock_guard lock(mutex_);
  for (auto& [path, entry] : entries_) {
    restore(path, entry);
    if (ends_with(path, "-wal")) {
      const std::string index = path.substr(0, path.size() - 4) + "-shm";
      std::filesystem::remove(index);
      if (random_.below(2) == 0) {
        std::mt19937 source(random_.next_u32());
        std::string garbage(32768, '\0');
        for (char& byte : garbage) byte = static_cast<char>(source());
        std::ofstream(index, std::ios::binary) << garbage;
      }
    }
  }
  powered_ = true;
  power_loss_ = 0;
  syncs_left_ = 0;
  filling_ = false;
  failing_in_ = 0;
}

}  // namespace conat::test
