// Storage threads: carries out what the persistence server asks of streams (OpenStream, Submit,
// CloseStream) and answers with StorageResults.
//
// Every stream belongs to one thread, chosen by its path, so that a stream that is closed and
// opened again stays in order and a file has one connection at any time. A thread takes everything
// that waits for a stream as one group: one transaction, one commit, one result. A single waiting
// command is carried out at once.
//
// Thread safety: open, submit and close may be called from any thread, in order for each stream;
// results arrive on the storage threads, in order for each stream.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "conat/stream/persist_server.hpp"
#include "storage/storage_options.hpp"
#include "storage/storage_statistics.hpp"

namespace conat::storage {

class StorageShard;

class StorageEngine {
 public:
  using Options = StorageOptions;
  using OnResult = std::function<void(StorageResult)>;

  // `on_result` is called on a storage thread; it may call back into the engine.
  StorageEngine(Options options, OnResult on_result);
  ~StorageEngine();
  StorageEngine(const StorageEngine&) = delete;
  StorageEngine& operator=(const StorageEngine&) = delete;

  // Creates the directories and checks that they can be written to. Call it once, before open().
  // Errors: storage_failed.
  Status prepare();

  // Answered by a result with `opened`. Stream ids are never reused.
  void open(const persist_effect::OpenStream& request);
  // Answered by an item of some result; after a failed opening with its error.
  void submit(persist_effect::Submit request);
  // What was submitted before is finished; then the file is closed. Not answered.
  void close(StreamId stream);

  // What was done since the start. Any thread.
  StorageStatistics statistics() const;

  // Finishes what is queued, closes all streams, ends the threads. Later calls are ignored.
  void stop();

 private:
  StorageShard* shard_of(StreamId stream);

  Options options_;
  OnResult on_result_;
  std::atomic<std::size_t> queued_bytes_{0};
  StorageCounters counters_;
  std::vector<std::unique_ptr<StorageShard>> shards_;
  std::mutex mutex_;  // of the following
  std::unordered_map<StreamId, StorageShard*> by_stream_;
  bool stopped_ = false;
};

}  // namespace conat::storage
