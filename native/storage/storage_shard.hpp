// One storage thread with the streams that belong to it.
//
// Streams with work wait in a list in the order in which their work came; the thread takes the
// first and everything that waits for it. What is left over after a full group goes to the end of
// the list, so that no stream keeps the others waiting. Upkeep is done when no stream waits, except
// for checkpoints, which follow their group.
//
// Thread safety: open, submit, close and stop from any thread; the rest is the shard's own thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "conat/stream/persist_server.hpp"
#include "storage/live_stream.hpp"
#include "storage/storage_options.hpp"
#include "storage/storage_statistics.hpp"

namespace conat::storage {

class StorageShard {
 public:
  // Options and counters (of all shards) outlive the shard.
  StorageShard(const StorageOptions& options, std::function<void(StorageResult)> on_result,
               std::atomic<std::size_t>& queued_bytes, StorageCounters& counters);
  ~StorageShard();

  void open(const persist_effect::OpenStream& request);
  void submit(persist_effect::Submit request);
  void close(StreamId stream);
  // Finishes what is queued, closes the streams and ends the thread, which join() awaits.
  void stop();
  void join();

 private:
  struct Entry {
    StreamId id = 0;
    std::string path;
    // Guarded by the mutex.
    std::optional<persist_effect::OpenStream> opening;
    std::vector<StorageRequest> waiting;
    std::size_t waiting_bytes = 0;
    std::vector<std::uint64_t> refused;  // tokens
    bool closing = false;
    bool ready = false;  // it is in the list
    // The thread's own.
    std::vector<StorageRequest> active;
    std::size_t active_done = 0;
    std::size_t active_bytes = 0;
    std::unique_ptr<LiveStream> live;
    std::optional<Error> failure;
    bool unfinished = false;  // it is in unfinished_
    bool scheduled = false;   // it is in deadlines_
  };

  void make_ready(Entry& entry);
  void run();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void process(Entry& entry, std::unique_lock<std::mutex>& lock);
  void open_stream(Entry& entry, const persist_effect::OpenStream& request);
  void run_group(Entry& entry);
  void refuse(Entry& entry, const std::vector<std::uint64_t>& tokens);
  void close_stream(Entry& entry);
  void upkeep(Entry& entry);
  void upkeep_of_one(std::unique_lock<std::mutex>& lock);

  const StorageOptions& options_;
  std::function<void(StorageResult)> on_result_;
  std::atomic<std::size_t>& queued_bytes_;
  StorageCounters& counters_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<StreamId, std::unique_ptr<Entry>> entries_;
  std::deque<Entry*> ready_;
  bool stopping_ = false;
  bool waiting_ = false;

  // The thread's own.
  std::unordered_map<std::string, Entry*> open_paths_;
  std::deque<Entry*> unfinished_;  // upkeep with more to do
  std::multimap<TimeMs, Entry*> deadlines_;
  std::size_t groups_ = 0;
  std::thread thread_;
};

}  // namespace conat::storage
