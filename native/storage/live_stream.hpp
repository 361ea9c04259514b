// One open stream on its storage thread: its store, the Stream over it, its copies in other
// directories, and what happens when its file is damaged.
//
// Thread safety: none, its storage thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conat/stream/memory_store.hpp"
#include "conat/stream/persist_server.hpp"
#include "conat/stream/storage_group.hpp"
#include "storage/sqlite_store.hpp"
#include "storage/storage_options.hpp"
#include "storage/stream_location.hpp"
#include "storage/tiers.hpp"

namespace conat::storage {

class LiveStream {
 public:
  // Creates the file when there is none. A damaged file is set aside under another name, and this
  // opening fails; the next one starts with an empty stream (or the archive's).
  static Result<std::unique_ptr<LiveStream>> open(const StorageOptions& options,
                                                  const persist_effect::OpenStream& request);

  // See run_storage_group.
  StorageResult run(std::span<StorageRequest> requests, std::size_t& consumed);

  bool needs_enforcement() const { return stream_->needs_enforcement(); }

  // Between groups: checkpoints, copies to the archive, gives space back; a bounded piece of work.
  // `now` is monotonic. True when more is left to do at once.
  bool maintain(TimeMs now);
  // When maintain() has to be called though nothing happens.
  std::optional<TimeMs> deadline() const;
  // Copies to archive and backup, writes the log back. The object is of no use afterwards.
  void close();

 private:
  LiveStream(const StorageOptions& options, const persist_effect::OpenStream& request)
      : options_(options), id_(request.stream), path_(request.path) {}

  Status open_memory();
  Status open_file(const persist_effect::OpenStream& request);
  Result<StreamLocation> locate(const std::filesystem::path& root) const;
  Error set_damaged_aside(const Error& reason, bool restored);
  bool changed() const;
  void step_archive(TimeMs now, int pages);
  void copy_now(const std::filesystem::path& root, const char* what);
  Status finish_copy(OnlineCopy& copy);
  void log(const std::string& text) const;

  const StorageOptions& options_;
  StreamId id_;
  std::string path_;
  bool durable_ = true;
  std::optional<StreamLocation> location_;  // while the file's name goes through it
  std::unique_ptr<Store> store_;
  SqliteStore* file_ = nullptr;  // store_, when it is a file
  std::optional<Stream> stream_;

  std::int64_t opened_changes_ = 0;
  std::int64_t archived_changes_ = 0;
  std::int64_t copying_changes_ = 0;
  std::optional<TimeMs> archived_at_;
  // Before the store's end.
  std::unique_ptr<OnlineCopy> archiving_;
};

}  // namespace conat::storage
