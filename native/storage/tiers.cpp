#include "storage/tiers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace conat::storage {
namespace {

constexpr const char* kTemporary = ".tmp";
constexpr std::string_view kMagic{"SQLite format 3\0", 16};

FileDescriptor open_in(const StreamLocation& place, const std::string& name, int flags) {
  return FileDescriptor(
      ::openat(place.directory(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
}

Result<bool> is_database(int file) {
  std::array<char, kMagic.size()> start{};
  const ssize_t size = ::pread(file, start.data(), start.size(), 0);
  if (size < 0) return system_error("cannot read an archive");
  return std::string_view(start.data(), static_cast<std::size_t>(size)) == kMagic;
}

Status copy_bytes(int from, int to) {
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t size = ::read(from, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error("cannot read an archive");
    if (size == 0) break;
    for (ssize_t done = 0; done < size;) {
      const ssize_t written =
          ::write(to, buffer.data() + done, static_cast<std::size_t>(size - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_error("cannot copy an archive");
      done += written;
    }
  }
  if (::fsync(to) != 0) return system_error("cannot copy an archive");
  return Nothing{};
}

}  // namespace

Result<bool> restore_newer(const std::filesystem::path& archive_root, std::string_view path,
                           const StreamLocation& local, UnixMs now, bool durable) {
  const auto archive = StreamLocation::locate(archive_root, path, durable);
  if (!archive.ok()) return archive.error();
  const auto archived = archive->file_modified_ns();
  if (!archived || *archived <= local.modified_ns().value_or(0)) return false;
  const FileDescriptor source = open_in(*archive, archive->file_name(), O_RDONLY);
  if (!source) return system_error("cannot open an archive");
  const auto valid = is_database(source.get());
  if (!valid.ok()) return valid.error();
  if (!*valid) {
    const auto aside = archive->set_aside(now);
    if (!aside.ok()) return aside.error();
    return false;
  }
  const std::string temporary = local.beside(kTemporary);
  const FileDescriptor copy = open_in(local, temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!copy) return system_error("cannot copy an archive");
  Status done = copy_bytes(source.get(), copy.get());
  if (done.ok()) done = local.set_modified_ns(temporary, *archived);
  // The old log must be gone before the new file is there: it would be applied to it.
  if (done.ok()) done = local.remove_log();
  if (done.ok()) done = local.rename(temporary, local.file_name());
  if (!done.ok()) {
    ::unlinkat(local.directory(), temporary.c_str(), 0);
    return std::move(done.error());
  }
  return true;
}

Result<std::unique_ptr<OnlineCopy>> OnlineCopy::start(SqliteStore& source,
                                                      const std::filesystem::path& root,
                                                      std::string_view path, bool durable) {
  auto target = StreamLocation::locate(root, path, durable);
  if (!target.ok()) return std::move(target.error());
  std::unique_ptr<OnlineCopy> copy(new OnlineCopy(std::move(*target), durable));
  const std::string temporary = copy->target_.beside(kTemporary);
  ::unlinkat(copy->target_.directory(), temporary.c_str(), 0);
  auto database =
      SqliteDatabase::open(copy->target_.name_for_database(temporary),
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, copy->target_.anchored());
  if (!database.ok()) return std::move(database.error());
  copy->copy_ = std::move(*database);
  // The file counts only when it is complete; it is synchronized once, then.
  if (Status set = copy->copy_->execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
      !set.ok()) {
    return std::move(set.error());
  }
  copy->backup_ =
      sqlite3_backup_init(copy->copy_->handle(), "main", source.database().handle(), "main");
  if (copy->backup_ == nullptr) return copy->copy_->last_error();
  return copy;
}

OnlineCopy::~OnlineCopy() {
  if (backup_ != nullptr) sqlite3_backup_finish(backup_);
  if (!copy_) return;
  copy_.reset();
  ::unlinkat(target_.directory(), target_.beside(kTemporary).c_str(), 0);
}

Result<bool> OnlineCopy::step(int pages) {
  const int code = sqlite3_backup_step(backup_, pages);
  if (code == SQLITE_DONE) return true;
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
    return false;
  }
  return copy_->error(code);
}

Status OnlineCopy::finish(std::int64_t modified_ns) {
  const int code = sqlite3_backup_finish(std::exchange(backup_, nullptr));
  if (code != SQLITE_OK) return copy_->error(code);
  copy_.reset();
  const std::string temporary = target_.beside(kTemporary);
  Status done = Nothing{};
  if (durable_) {
    const FileDescriptor file = open_in(target_, temporary, O_RDWR);
    if (!file || ::fsync(file.get()) != 0) done = system_error("cannot save a copy");
  }
  if (done.ok()) done = target_.set_modified_ns(temporary, modified_ns);
  if (done.ok()) done = target_.rename(temporary, target_.file_name());
  if (!done.ok()) ::unlinkat(target_.directory(), temporary.c_str(), 0);
  return done;
}

}  // namespace conat::storage
