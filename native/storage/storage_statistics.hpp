// What the storage has done since the start, for the program's metrics.
//
// Thread safety: StorageCounters may be used from any thread; StorageStatistics is a plain value.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace conat::storage {

struct StorageStatistics {
  // Upper bounds of the histogram's buckets, in seconds; one more bucket holds the rest.
  static constexpr std::array<double, 13> commit_bounds = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5};

  std::array<std::uint64_t, commit_bounds.size() + 1> commit_counts{};  // by duration
  double commit_seconds = 0;                                            // all together
  std::uint64_t groups = 0;        // of requests carried out together, reading ones included
  std::uint64_t requests = 0;      // in those groups
  std::uint64_t refused = 0;       // requests turned away because too much was waiting
  std::uint64_t queued_bytes = 0;  // of requests that wait, now
  std::uint64_t open_streams = 0;  // now
};

class StorageCounters {
 public:
  void count_group(std::size_t requests) {
    add(groups_, 1);
    add(requests_, requests);
  }
  // A group that has changed something and took `taken` from its beginning until it was as durable
  // as asked for.
  void count_commit(std::chrono::nanoseconds taken) {
    const double seconds = std::chrono::duration<double>(taken).count();
    std::size_t bucket = 0;
    while (bucket < StorageStatistics::commit_bounds.size() &&
           seconds > StorageStatistics::commit_bounds[bucket]) {
      ++bucket;
    }
    add(commit_counts_[bucket], 1);
    add(commit_nanoseconds_, static_cast<std::uint64_t>(taken.count()));
  }
  void count_refused(std::size_t requests) { add(refused_, requests); }
  void stream_opened() { add(open_streams_, 1); }
  void stream_closed() { open_streams_.fetch_sub(1, std::memory_order_relaxed); }

  StorageStatistics read() const {
    StorageStatistics statistics;
    for (std::size_t i = 0; i < commit_counts_.size(); ++i) {
      statistics.commit_counts[i] = commit_counts_[i].load(std::memory_order_relaxed);
    }
    statistics.commit_seconds =
        static_cast<double>(commit_nanoseconds_.load(std::memory_order_relaxed)) * 1e-9;
    statistics.groups = groups_.load(std::memory_order_relaxed);
    statistics.requests = requests_.load(std::memory_order_relaxed);
    statistics.refused = refused_.load(std::memory_order_relaxed);
    statistics.open_streams = open_streams_.load(std::memory_order_relaxed);
    return statistics;
  }

 private:
  using Counter = std::atomic<std::uint64_t>;
  static void add(Counter& counter, std::uint64_t amount) {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }

  std::array<Counter, StorageStatistics::commit_bounds.size() + 1> commit_counts_{};
  Counter commit_nanoseconds_{0};
  Counter groups_{0};
  Counter requests_{0};
  Counter refused_{0};
  Counter open_streams_{0};
};

}  // namespace conat::storage
