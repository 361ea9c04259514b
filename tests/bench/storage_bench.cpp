// How fast the storage engine acknowledges, in sets and in latencies, and whether its cost stays
// the same as streams grow. A plain program: `storage_bench [directory]`; results go to
// docs/benchmarks.md.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "storage/storage_engine.hpp"

using namespace conat;
using namespace conat::storage;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

SetRequest request_of(std::size_t bytes) {
  SetRequest request;
  request.raw.assign(bytes, 'x');
  return request;
}

// An engine with some open streams and a count of its answers.
class Bench {
 public:
  Bench(const std::filesystem::path& root, bool disk, int streams) : root_(root / "bench") {
    std::filesystem::remove_all(root_);
    StorageOptions options;
    options.data_dir = root_;
    options.durable_disk = disk;
    engine_ = std::make_unique<StorageEngine>(
        options, [this](StorageResult result) { take(std::move(result)); });
    if (!engine_->prepare().ok()) std::abort();
    for (int i = 0; i < streams; ++i) {
      engine_->open(
          {static_cast<StreamId>(i + 1), "hub/s" + std::to_string(i), false, false, true});
    }
    wait_until(static_cast<std::size_t>(streams));
  }
  ~Bench() {
    engine_->stop();
    std::filesystem::remove_all(root_);
  }

  void submit(StreamId stream, StorageCommand command) {
    engine_->submit({stream, {++token_, std::move(command)}});
  }
  // Waits for this many answers in all (an opening counts as one).
  void wait_until(std::size_t count) {
    std::unique_lock lock(mutex_);
    wanted_ = count;
    arrived_.wait(lock, [&] { return answers_ >= count; });
  }
  std::size_t answers() {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  std::size_t groups() {
    const std::lock_guard lock(mutex_);
    return groups_;
  }
  void call(StreamId stream, StorageCommand command) {
    const std::size_t before = answers();
    submit(stream, std::move(command));
    wait_until(before + 1);
  }

 private:
  void take(StorageResult result) {
    const std::lock_guard lock(mutex_);
    if (result.open_error) std::abort();
    for (const auto& item : result.items) {
      if (!item.answer.ok()) {
        std::fprintf(stderr, "%s\n", item.answer.error().text.c_str());
        std::abort();
      }
    }
    ++groups_;
    answers_ += result.items.size() + (result.opened ? 1 : 0);
    if (answers_ >= wanted_) arrived_.notify_one();
  }

  std::filesystem::path root_;
  std::unique_ptr<StorageEngine> engine_;
  std::uint64_t token_ = 0;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::size_t answers_ = 0;
  std::size_t groups_ = 0;
  std::size_t wanted_ = 0;
};

// `window` sets are on their way at any time.
void pipelined(const std::filesystem::path& root, bool disk, int streams, std::size_t window,
               std::size_t count, bool ids, std::size_t bytes) {
  Bench bench(root, disk, streams);
  const std::size_t start = bench.answers();
  const std::size_t groups = bench.groups();
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    if (i >= window && i % (window / 4) == 0) bench.wait_until(start + i - window + window / 4);
    SetRequest request = request_of(bytes);
    if (ids) request.message_id = "id" + std::to_string(i);
    bench.submit(static_cast<StreamId>(i % static_cast<std::size_t>(streams) + 1),
                 std::move(request));
  }
  bench.wait_until(start + count);
  const double seconds = seconds_since(begin);
  std::printf(
      "pipelined   %-4s %3d streams, window %5zu, %zu B%-10s %9.0f sets/s  (%.1f a group)\n",
      disk ? "disk" : "os", streams, window, bytes, ids ? ", msgID" : "",
      static_cast<double>(count) / seconds,
      static_cast<double>(count) / static_cast<double>(bench.groups() - groups));
}

void sequential(const std::filesystem::path& root, bool disk, std::size_t count) {
  Bench bench(root, disk, 1);
  std::vector<double> micros;
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    bench.call(1, request_of(100));
    micros.push_back(seconds_since(begin) * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  std::printf("sequential  %-4s p50 %6.0f us, p99 %6.0f us\n", disk ? "disk" : "os",
              micros[count / 2], micros[count * 99 / 100]);
}

void get_all(const std::filesystem::path& root, std::size_t count) {
  Bench bench(root, false, 1);
  const std::size_t start = bench.answers();
  for (std::size_t i = 0; i < count; ++i) bench.submit(1, request_of(100));
  bench.wait_until(start + count);
  for (const std::size_t batch : {std::size_t{1} << 30, std::size_t{1'000'000}}) {
    const auto begin = Clock::now();
    // Batches as a slow reader asks for them, each a request of its own.
    const std::size_t per_batch = batch / 164 + 1;
    for (std::size_t from = 1; from <= count; from += per_batch) {
      bench.call(1, StorageGetAll{static_cast<StreamSequence>(from), 0, batch});
    }
    const double seconds = seconds_since(begin);
    std::printf("getAll      %zu messages in batches of %zu bytes: %.1f ms, %.0f messages/s\n",
                count, batch, seconds * 1e3, static_cast<double>(count) / seconds);
  }
}

// Sets into a stream that is full already: the time for each must not depend on how much it holds.
void linearity(const std::filesystem::path& root, std::size_t held) {
  Bench bench(root, false, 1);
  bench.call(1,
             StorageConfigure{Value(Value::Map{{"max_msgs", static_cast<std::int64_t>(held)},
                                               {"max_bytes", static_cast<std::int64_t>(held) * 100},
                                               {"max_age", 3'600'000},
                                               {"allow_msg_ttl", true}})});
  constexpr std::size_t kCount = 50'000;
  const auto run = [&](std::size_t count) {
    const std::size_t start = bench.answers();
    for (std::size_t i = 0; i < count; ++i) {
      SetRequest request = request_of(90);
      request.key = "key" + std::to_string(i % (2 * held));
      request.ttl_ms = 3'600'000;
      bench.submit(1, std::move(request));
      if (i % 2000 == 1999) bench.wait_until(start + i - 999);
    }
    bench.wait_until(start + count);
  };
  run(held);
  const auto begin = Clock::now();
  run(kCount);
  std::printf("linearity   %7zu held, all limits, keys, ttl: %.2f us a set\n", held,
              seconds_since(begin) * 1e6 / kCount);
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path root = argc > 1 ? argv[1] : std::filesystem::temp_directory_path();
  for (const bool disk : {false, true}) {
    sequential(root, disk, disk ? 2000 : 20'000);
    for (const int streams : {1, 100}) {
      pipelined(root, disk, streams, 1000, 200'000, false, 100);
      pipelined(root, disk, streams, 10'000, 200'000, true, 100);
    }
  }
  pipelined(root, false, 1, 1000, 50'000, false, 4000);
  get_all(root, 100'000);
  linearity(root, 10'000);
  linearity(root, 100'000);
}
