#include "storage/storage_engine.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>

#include "storage/storage_shard.hpp"

namespace conat::storage {
namespace {

// Creates a directory and returns its name without symbolic links.
Result<std::filesystem::path> prepare_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::path real = std::filesystem::canonical(path, error);
    if (!error) {
      const std::string probe = (real / (".writable-" + std::to_string(::getpid()))).string();
      const FileDescriptor file(
          ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (file) {
        ::unlink(probe.c_str());
        return real;
      }
      error = std::error_code(errno, std::generic_category());
    }
  }
  return Error(ErrorKind::storage_failed,
               "storage failed: cannot use directory '" + path.string() + "': " + error.message());
}

}  // namespace

StorageEngine::StorageEngine(Options options, OnResult on_result)
    : options_(std::move(options)), on_result_(std::move(on_result)) {
  options_.threads = std::max(1u, options_.threads);
  for (unsigned i = 0; i < options_.threads; ++i) {
    shards_.push_back(std::make_unique<StorageShard>(
        options_, [this](StorageResult result) { on_result_(std::move(result)); }, queued_bytes_,
        counters_));
  }
}

StorageEngine::~StorageEngine() { stop(); }

Status StorageEngine::prepare() {
  for (std::filesystem::path* directory :
       {&options_.data_dir, &options_.archive_dir, &options_.backup_dir}) {
    if (directory->empty() && directory != &options_.data_dir) continue;
    auto prepared = prepare_directory(*directory);
    if (!prepared.ok()) return std::move(prepared.error());
    *directory = std::move(*prepared);
  }
  return Nothing{};
}

void StorageEngine::open(const persist_effect::OpenStream& request) {
  StorageShard* const shard =
      shards_[std::hash<std::string>{}(request.path) % shards_.size()].get();
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || !by_stream_.emplace(request.stream, shard).second) return;
  }
  shard->open(request);
}

StorageShard* StorageEngine::shard_of(StreamId stream) {
  const std::lock_guard lock(mutex_);
  const auto position = by_stream_.find(stream);
  return position == by_stream_.end() ? nullptr : position->second;
}

void StorageEngine::submit(persist_effect::Submit request) {
  if (StorageShard* const shard = shard_of(request.stream)) shard->submit(std::move(request));
}

void StorageEngine::close(StreamId stream) {
  StorageShard* const shard = shard_of(stream);
  if (shard == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    by_stream_.erase(stream);
  }
  shard->close(stream);
}

StorageStatistics StorageEngine::statistics() const {
  StorageStatistics statistics = counters_.read();
  statistics.queued_bytes = queued_bytes_.load(std::memory_order_relaxed);
  return statistics;
}

void StorageEngine::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  for (const auto& shard : shards_) shard->stop();
  for (const auto& shard : shards_) shard->join();
}

}  // namespace conat::storage
