#include "storage/live_stream.hpp"

#include <chrono>

namespace conat::storage {
namespace {

// One step of a copy: 256 pages are 1 MB.
constexpr int kCopyPages = 256;

}  // namespace

UnixMs unix_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Result<std::unique_ptr<LiveStream>> LiveStream::open(const StorageOptions& options,
                                                     const persist_effect::OpenStream& request) {
  std::unique_ptr<LiveStream> live(new LiveStream(options, request));
  Status opened = request.ephemeral ? live->open_memory() : live->open_file(request);
  if (!opened.ok()) return std::move(opened.error());
  return live;
}

Status LiveStream::open_memory() {
  store_ = std::make_unique<MemoryStore>();
  auto stream = Stream::open(*store_, options_.clock(), true);
  if (!stream.ok()) return std::move(stream.error());
  stream_ = std::move(*stream);
  return Nothing{};
}

Status LiveStream::open_file(const persist_effect::OpenStream& request) {
  durable_ = options_.durable_disk || request.sync;
  auto location = locate(options_.data_dir);
  if (!location.ok()) return std::move(location.error());
  const UnixMs now = options_.clock();
  bool restored = false;
  if (!options_.archive_dir.empty()) {
    const auto newer = restore_newer(options_.archive_dir, path_, *location, now, durable_);
    if (!newer.ok()) return newer.error();
    restored = *newer;
  }
  bool damaged = false;
  auto file = SqliteStore::open(location->database_name(),
                                {durable_, request.compression, location->anchored()}, &damaged);
  if (!file.ok()) return damaged ? set_damaged_aside(file.error(), restored) : file.error();
  auto stream = Stream::open(**file, now, false);
  if (!stream.ok()) {
    damaged = (*file)->damaged();
    file->reset();
    return damaged ? set_damaged_aside(stream.error(), restored) : stream.error();
  }
  file_ = file->get();
  store_ = std::move(*file);
  stream_ = std::move(*stream);
  // Ten thousand streams should not hold ten thousand directories open.
  if (location->anchored()) location_ = std::move(*location);
  opened_changes_ = archived_changes_ = file_->total_changes();
  return Nothing{};
}

Result<StreamLocation> LiveStream::locate(const std::filesystem::path& root) const {
  return StreamLocation::locate(root, path_, durable_);
}

// The file must be closed. What was copied from the archive is damaged there too.
Error LiveStream::set_damaged_aside(const Error& reason, bool restored) {
  const UnixMs now = options_.clock();
  const auto local = locate(options_.data_dir);
  if (!local.ok()) return local.error();
  auto aside = local->set_aside(now);
  if (aside.ok() && restored) {
    const auto archive = locate(options_.archive_dir);
    if (!archive.ok()) return archive.error();
    aside = archive->set_aside(now);
  }
  if (!aside.ok()) return std::move(aside.error());
  Error error(ErrorKind::storage_failed,
              reason.text + "; the file is set aside as '" + *aside + "'");
  log(path_ + ": " + error.text);
  return error;
}

StorageResult LiveStream::run(std::span<StorageRequest> requests, std::size_t& consumed) {
  return run_storage_group(*stream_, id_, options_.clock(), requests, consumed, options_.group);
}

// ---- copies ----

bool LiveStream::changed() const {
  return file_ != nullptr && file_->total_changes() != archived_changes_;
}

std::optional<TimeMs> LiveStream::deadline() const {
  if (options_.archive_dir.empty() || archiving_ || !changed()) return std::nullopt;
  return archived_at_.value_or(-options_.archive_interval_ms) + options_.archive_interval_ms;
}

bool LiveStream::maintain(TimeMs now) {
  if (file_ == nullptr || file_->damaged()) return false;
  const bool more = file_->maintain();
  const auto due = deadline();
  if (archiving_ || (due && *due <= now)) step_archive(now, kCopyPages);
  return more || archiving_ != nullptr;
}

void LiveStream::step_archive(TimeMs now, int pages) {
  if (!archiving_) {
    archived_at_ = now;
    copying_changes_ = file_->total_changes();
    auto copy = OnlineCopy::start(*file_, options_.archive_dir, path_, durable_);
    if (!copy.ok()) return log(path_ + ": cannot archive: " + copy.error().text);
    archiving_ = std::move(*copy);
  }
  auto done = archiving_->step(pages);
  if (done.ok() && !*done) return;
  // What was written meanwhile is in the copy as well.
  copying_changes_ = file_->total_changes();
  Status finished = done.ok() ? finish_copy(*archiving_) : Status(done.error());
  archiving_.reset();
  if (!finished.ok()) return log(path_ + ": cannot archive: " + finished.error().text);
  archived_changes_ = copying_changes_;
}

Status LiveStream::finish_copy(OnlineCopy& copy) {
  const auto local = locate(options_.data_dir);
  if (!local.ok()) return local.error();
  return copy.finish(local->modified_ns().value_or(0));
}

void LiveStream::copy_now(const std::filesystem::path& root, const char* what) {
  auto copy = OnlineCopy::start(*file_, root, path_, durable_);
  Status done = Nothing{};
  if (!copy.ok()) {
    done = copy.error();
  } else {
    const auto stepped = (*copy)->step(-1);
    if (!stepped.ok()) {
      done = stepped.error();
    } else if (!*stepped) {
      done = Error(ErrorKind::storage_failed, "the file is in use");
    } else {
      done = finish_copy(**copy);
    }
  }
  if (!done.ok()) log(path_ + ": cannot write the " + what + ": " + done.error().text);
}

void LiveStream::close() {
  stream_.reset();
  archiving_.reset();
  if (file_ == nullptr) return;
  if (file_->damaged()) {
    store_.reset();
    const Error reason(ErrorKind::storage_failed, "storage failed: the file is damaged");
    set_damaged_aside(reason, false);
    return;
  }
  if (Status done = file_->checkpoint(); !done.ok()) log(path_ + ": " + done.error().text);
  if (!options_.archive_dir.empty() && changed()) copy_now(options_.archive_dir, "archive");
  if (!options_.backup_dir.empty()) {
    const auto backup = locate(options_.backup_dir);
    if (!backup.ok() || !backup->file_modified_ns() || file_->total_changes() != opened_changes_) {
      copy_now(options_.backup_dir, "backup");
    }
  }
  file_ = nullptr;
  store_.reset();
}

void LiveStream::log(const std::string& text) const {
  if (options_.log) options_.log(text);
}

}  // namespace conat::storage
