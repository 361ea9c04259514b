// The storage of the simulated persistence server: streams over MemoryStores that outlive the
// server, behind a queue with delays. What was committed survives a crash, what waited is gone; for
// a while every group may fail. Its wall clock jumps when it is told to.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/stream/memory_store.hpp"
#include "conat/stream/persist_server.hpp"
#include "conat/stream/storage_group.hpp"
#include "property/stream/faulty_store.hpp"

namespace conat::simulation {

class Disk {
 public:
  Disk(Random random, std::int64_t max_delay_ms)
      : random_(std::move(random)), max_delay_ms_(max_delay_ms) {}

  // ---- the server's work ----
  void open(TimeMs now, const persist_effect::OpenStream& effect);
  void submit(TimeMs now, persist_effect::Submit effect);
  void close(const persist_effect::CloseStream& effect);
  // Results whose time has come, in order.
  bool next_result(TimeMs now, StorageResult& result);
  void step(TimeMs now);
  std::optional<TimeMs> deadline() const;
  void crash();

  // ---- troubles ----
  void fail_until(TimeMs end) { fails_until_ = end; }
  void jump_clock(std::int64_t ms) { wall_ahead_ms_ += ms; }

  // ---- for checks ----
  // All sets that were ever committed to a path, in order.
  const std::vector<StoredMessage>& history(const std::string& path) { return history_[path]; }
  // What was deleted there for good.
  const std::set<StreamSequence>& deleted(const std::string& path) { return deleted_[path]; }

 private:
  struct OpenedStream {
    StreamId id = 0;
    std::string path;
    bool ephemeral = false;
    bool closing = false;
    std::unique_ptr<MemoryStore> own_store;  // of an ephemeral stream
    std::unique_ptr<test::FaultyStore> store;
    std::optional<Stream> stream;
    std::deque<StorageRequest> queue;
    std::optional<TimeMs> due;  // of the opening, or of the next group
  };
  struct Result {
    TimeMs due;
    StorageResult result;
  };

  OpenedStream* find(StreamId id);
  bool must_wait(const OpenedStream& stream) const;
  void open_now(TimeMs now, OpenedStream& stream);
  void run_group(TimeMs now, OpenedStream& stream);
  void answer(TimeMs now, StorageResult result);
  TimeMs later(TimeMs now);
  UnixMs wall_clock(TimeMs now) const { return 1'700'000'000'000 + wall_ahead_ms_ + now; }

  Random random_;
  std::int64_t max_delay_ms_;
  std::map<std::string, std::unique_ptr<MemoryStore>> files_;
  std::map<std::string, std::vector<StoredMessage>> history_;
  std::map<std::string, std::set<StreamSequence>> deleted_;
  TimeMs fails_until_ = 0;
  std::int64_t wall_ahead_ms_ = 0;
  std::deque<OpenedStream> streams_;  // in the order of opening
  std::deque<Result> results_;
};

}  // namespace conat::simulation
