#include "storage/storage_shard.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <span>

namespace conat::storage {
namespace {

using Clock = std::chrono::steady_clock;

// Under load, upkeep of streams that are not busy gets a turn every so many groups.
constexpr std::size_t kGroupsPerUpkeep = 16;

TimeMs monotonic_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

}  // namespace

StorageShard::StorageShard(const StorageOptions& options,
                           std::function<void(StorageResult)> on_result,
                           std::atomic<std::size_t>& queued_bytes, StorageCounters& counters)
    : options_(options),
      on_result_(std::move(on_result)),
      queued_bytes_(queued_bytes),
      counters_(counters),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "conat-storage");
}

StorageShard::~StorageShard() {
  stop();
  join();
}

// ---- called from anywhere ----

// With the mutex held.
void StorageShard::make_ready(Entry& entry) {
  if (!entry.ready) {
    entry.ready = true;
    ready_.push_back(&entry);
  }
  if (waiting_) changed_.notify_one();
}

void StorageShard::open(const persist_effect::OpenStream& request) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  auto& entry = entries_[request.stream];
  if (entry != nullptr) return;  // ids are not used twice
  entry = std::make_unique<Entry>();
  entry->id = request.stream;
  entry->path = request.path;
  entry->opening = request;
  make_ready(*entry);
}

void StorageShard::submit(persist_effect::Submit request) {
  const std::size_t bytes = storage_command_bytes(request.request.command);
  const std::lock_guard lock(mutex_);
  const auto position = entries_.find(request.stream);
  if (stopping_ || position == entries_.end() || position->second->closing) return;
  Entry& entry = *position->second;
  const std::size_t queued = queued_bytes_.load(std::memory_order_relaxed);
  if (queued > 0 && queued + bytes > options_.max_queued_bytes) {
    entry.refused.push_back(request.request.token);
  } else {
    queued_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    entry.waiting_bytes += bytes;
    entry.waiting.push_back(std::move(request.request));
  }
  make_ready(entry);
}

void StorageShard::close(StreamId stream) {
  const std::lock_guard lock(mutex_);
  const auto position = entries_.find(stream);
  if (stopping_ || position == entries_.end()) return;
  position->second->closing = true;
  make_ready(*position->second);
}

void StorageShard::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_one();
}

void StorageShard::join() {
  if (thread_.joinable()) thread_.join();
}

// ---- the thread ----

void StorageShard::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!ready_.empty()) {
      Entry* const entry = ready_.front();
      ready_.pop_front();
      entry->ready = false;
      process(*entry, lock);
      if (++groups_ % kGroupsPerUpkeep == 0) upkeep_of_one(lock);
    } else if (stopping_) {
      break;
    } else if (!unfinished_.empty()) {
      upkeep_of_one(lock);
    } else {
      wait_for_work(lock);
    }
  }
  for (const auto& entry : entries_) close_stream(*entry.second);
  entries_.clear();
}

void StorageShard::wait_for_work(std::unique_lock<std::mutex>& lock) {
  waiting_ = true;
  const auto woken = [this] { return !ready_.empty() || stopping_; };
  if (deadlines_.empty()) {
    changed_.wait(lock, woken);
  } else {
    const Clock::time_point until{std::chrono::milliseconds(deadlines_.begin()->first)};
    changed_.wait_until(lock, until, woken);
  }
  waiting_ = false;
  while (!deadlines_.empty() && deadlines_.begin()->first <= monotonic_now()) {
    Entry* const entry = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    entry->scheduled = false;
    if (!entry->unfinished) {
      entry->unfinished = true;
      unfinished_.push_back(entry);
    }
  }
}

// Called with the mutex held, returns so; works without it.
void StorageShard::process(Entry& entry, std::unique_lock<std::mutex>& lock) {
  if (entry.opening) {
    const auto owner = open_paths_.find(entry.path);
    if (owner != open_paths_.end() && owner->second->closing) {
      make_ready(entry);  // after the rest of the stream that has the file
      return;
    }
  }
  std::optional<persist_effect::OpenStream> opening = std::exchange(entry.opening, std::nullopt);
  const std::vector<std::uint64_t> refused = std::exchange(entry.refused, {});
  if (entry.active_done == entry.active.size()) {
    entry.active.clear();
    entry.active_done = 0;
    entry.active.swap(entry.waiting);
    entry.active_bytes = std::exchange(entry.waiting_bytes, 0);
  }
  lock.unlock();
  if (opening) open_stream(entry, *opening);
  if (!refused.empty()) refuse(entry, refused);
  if (!entry.active.empty()) run_group(entry);
  upkeep(entry);
  lock.lock();
  // Commands may have come while older ones still filled this turn.
  if (entry.active_done < entry.active.size() || !entry.waiting.empty() || !entry.refused.empty()) {
    make_ready(entry);
  } else if (entry.closing) {
    lock.unlock();
    close_stream(entry);
    lock.lock();
    if (entry.ready) ready_.erase(std::find(ready_.begin(), ready_.end(), &entry));
    entries_.erase(entry.id);
  }
}

void StorageShard::open_stream(Entry& entry, const persist_effect::OpenStream& request) {
  StorageResult result;
  result.stream = entry.id;
  result.opened = true;
  if (open_paths_.count(entry.path) != 0) {
    entry.failure = Error(ErrorKind::internal, "the stream is open already");
  } else {
    auto live = LiveStream::open(options_, request);
    if (live.ok()) {
      entry.live = std::move(*live);
      counters_.stream_opened();
      open_paths_[entry.path] = &entry;
      result.needs_enforcement = entry.live->needs_enforcement();
    } else {
      entry.failure = std::move(live.error());
    }
  }
  result.open_error = entry.failure;
  on_result_(std::move(result));
}

void StorageShard::run_group(Entry& entry) {
  const std::span<StorageRequest> requests = std::span(entry.active).subspan(entry.active_done);
  std::size_t consumed = 0;
  StorageResult result;
  if (entry.live) {
    const auto begin = Clock::now();
    result = entry.live->run(requests, consumed);
    counters_.count_group(consumed);
    if (!result.changes.empty()) counters_.count_commit(Clock::now() - begin);
  } else {
    result.stream = entry.id;
    for (const StorageRequest& request : requests) {
      result.items.push_back({request.token, *entry.failure});
    }
    consumed = requests.size();
  }
  entry.active_done += consumed;
  if (entry.active_done == entry.active.size()) {
    entry.active.clear();
    // Keep the room that a usual group needs, not that of the largest.
    if (entry.active.capacity() > 256) entry.active.shrink_to_fit();
    entry.active_done = 0;
    queued_bytes_.fetch_sub(std::exchange(entry.active_bytes, 0), std::memory_order_relaxed);
  }
  on_result_(std::move(result));
}

void StorageShard::refuse(Entry& entry, const std::vector<std::uint64_t>& tokens) {
  counters_.count_refused(tokens.size());
  StorageResult result;
  result.stream = entry.id;
  for (const std::uint64_t token : tokens) {
    result.items.push_back({token, Error(ErrorKind::limit_reached, "storage is overloaded")});
  }
  if (entry.live) result.needs_enforcement = entry.live->needs_enforcement();
  on_result_(std::move(result));
}

void StorageShard::close_stream(Entry& entry) {
  if (entry.unfinished) {
    unfinished_.erase(std::find(unfinished_.begin(), unfinished_.end(), &entry));
  }
  for (auto position = deadlines_.begin(); entry.scheduled && position != deadlines_.end();) {
    position = position->second == &entry ? deadlines_.erase(position) : std::next(position);
  }
  entry.unfinished = entry.scheduled = false;
  if (!entry.live) return;
  entry.live->close();
  entry.live.reset();
  counters_.stream_closed();
  open_paths_.erase(entry.path);
}

void StorageShard::upkeep(Entry& entry) {
  if (!entry.live) return;
  const bool more = entry.live->maintain(monotonic_now());
  if (more && !entry.unfinished) {
    entry.unfinished = true;
    unfinished_.push_back(&entry);
  }
  const auto deadline = entry.live->deadline();
  if (deadline && !entry.scheduled && !more) {
    entry.scheduled = true;
    deadlines_.emplace(*deadline, &entry);
  }
}

void StorageShard::upkeep_of_one(std::unique_lock<std::mutex>& lock) {
  if (unfinished_.empty()) return;
  Entry* const entry = unfinished_.front();
  unfinished_.pop_front();
  entry->unfinished = false;
  lock.unlock();
  upkeep(*entry);
  lock.lock();
}

}  // namespace conat::storage
