// A StorageEngine whose results are collected, and calls that wait for their answers.
#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/storage_engine.hpp"

namespace conat::test {

class EngineHarness {
 public:
  using Answer = Result<StorageAnswer>;

  explicit EngineHarness(storage::StorageOptions options) {
    options.clock = [this] { return clock.load(); };
    options.log = [this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      log_.emplace_back(line);
    };
    engine = std::make_unique<storage::StorageEngine>(
        std::move(options), [this](StorageResult result) { take(std::move(result)); });
    REQUIRE(engine->prepare().ok());
  }
  ~EngineHarness() { engine->stop(); }

  static SetRequest request(std::string_view raw, std::optional<std::string> key = {}) {
    SetRequest request;
    request.raw = to_bytes(raw);
    request.key = std::move(key);
    return request;
  }

  struct OpenOptions {
    bool ephemeral = false;
    bool sync = false;
  };
  StreamId start_open(const std::string& path, OpenOptions options) {
    const StreamId id = next_stream_++;
    engine->open({id, path, options.ephemeral, options.sync, true});
    return id;
  }
  StreamId start_open(const std::string& path) { return start_open(path, OpenOptions()); }
  std::optional<Error> wait_open(StreamId id) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return opened_.count(id) != 0; });
    return opened_.at(id);
  }
  StreamId open(const std::string& path) { return open(path, OpenOptions()); }
  StreamId open(const std::string& path, OpenOptions options) {
    const StreamId id = start_open(path, options);
    const auto error = wait_open(id);
    INFO((error ? error->text : ""));
    REQUIRE(!error);
    return id;
  }

  std::uint64_t submit(StreamId id, StorageCommand command) {
    std::uint64_t token;
    {
      const std::lock_guard lock(mutex_);
      token = next_token_++;
    }
    engine->submit({id, {token, std::move(command)}});
    return token;
  }
  Answer wait(std::uint64_t token) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return answers_.count(token) != 0; });
    return answers_.at(token);
  }
  Answer call(StreamId id, StorageCommand command) { return wait(submit(id, std::move(command))); }

  StreamSequence set(StreamId id, std::string_view raw, std::optional<std::string> key = {}) {
    const Answer answer = call(id, request(raw, std::move(key)));
    INFO((answer.ok() ? "" : answer.error().text));
    REQUIRE(answer.ok());
    return std::get<SetResult>(*answer).seq;
  }
  std::vector<StoredMessage> get_all(StreamId id) {
    const Answer answer = call(id, StorageGetAll{0, 0, 1u << 30});
    INFO((answer.ok() ? "" : answer.error().text));
    REQUIRE(answer.ok());
    return std::get<StorageRange>(*answer).messages;
  }
  StreamInventory inventory(StreamId id) {
    return std::get<StorageInventoryResult>(*call(id, StorageInventory{})).inventory;
  }

  std::vector<std::string> log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  std::vector<StreamChange> take_changes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(changes_, {});
  }
  std::size_t result_count() {
    const std::lock_guard lock(mutex_);
    return results_;
  }

  std::atomic<UnixMs> clock{1'795'445'889'622};
  std::unique_ptr<storage::StorageEngine> engine;

 private:
  void take(StorageResult result) {
    const std::lock_guard lock(mutex_);
    ++results_;
    if (result.opened) opened_[result.stream] = result.open_error;
    for (StorageResult::Item& item : result.items) {
      answers_.emplace(item.token, std::move(item.answer));
    }
    for (StreamChange& change : result.changes) changes_.push_back(std::move(change));
    arrived_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  StreamId next_stream_ = 1;
  std::uint64_t next_token_ = 1;
  std::map<StreamId, std::optional<Error>> opened_;
  std::map<std::uint64_t, Answer> answers_;
  std::vector<StreamChange> changes_;
  std::vector<std::string> log_;
  std::size_t results_ = 0;
};

}  // namespace conat::test
