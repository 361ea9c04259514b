// An eventually consistent key-value store: reads and writes are local and immediate, writes are
// saved in the background, and all stores of the same name converge (see DkvSettings::merge).
//
//   auto board = co_await client.dkv({"board"});
//   board->set("note-1", object("text", "Hello"));
//   co_await board->save();  // on stable storage now
//
// What was written before close() is still sent, as long as the connection lives (with autosave).
// Closed, or its client closed: writes are refused with `closed`.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/settings.hpp"
#include "conat/base/time.hpp"
#include "conat/stream/stream.hpp"
#include "conat/sync/merge.hpp"
#include "conat/wire/headers.hpp"

namespace conat::native {

// A key whose values differ here and at the server. Nothing: absent, or deleted.
struct DkvConflict {
  std::string key;
  std::optional<Value> local;
  std::optional<Value> remote;
  std::optional<Value> previous;  // the last value that both had
};

struct DkvSettings {
  DkvSettings(std::string store_name = {}) : name(std::move(store_name)) {}

  std::string name;
  // The owner; neither: the hub.
  std::string account_id = {};
  std::string project_id = {};
  MergeKind merge = MergeKind::none;  // none: the last write wins
  // With MergeKind::custom: the value that both sides shall have; nothing deletes. It must give the
  // same on all clients.
  std::function<std::optional<Value>(const DkvConflict& conflict)> merge_function = {};
  bool autosave = true;  // false: changes are sent by save() only
  bool ephemeral = false;
  bool sync = false;
  Value config = {};  // of the stream below, partial; null: as it is
  std::string service = "persist";
};

// A change that came from the server: another client's, or the echo of an own one.
struct DkvChange {
  std::string key;
  std::optional<Value> value;  // nothing: deleted
  std::optional<Value> previous;
};

// The changes of one store, from the moment on when it was made.
class DkvChanges {
 public:
  using Queue = AsyncQueue<DkvChange>;
  explicit DkvChanges(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  ~DkvChanges() { close(); }
  DkvChanges(DkvChanges&&) noexcept = default;
  DkvChanges& operator=(DkvChanges&&) = delete;

  // Nothing: the store, its client or this was closed; or, with error(), too many were not read.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<DkvChange>>(
        queue_->loop(), token, [queue = queue_](Completion<std::optional<DkvChange>> done) {
          queue->next(Milliseconds(0), std::move(done));
        });
  }
  const std::optional<Error>& error() const { return queue_->error(); }
  void close() {
    if (queue_) queue_->finish();
  }

 private:
  friend class DkoChanges;
  std::shared_ptr<Queue> queue_;
};

class Dkv {
 public:
  ~Dkv();
  Dkv(Dkv&& other) noexcept = default;
  Dkv& operator=(Dkv&& other) = delete;

  // ---- reading: the local view ----
  std::optional<Value> get(std::string_view key) const;
  bool has(std::string_view key) const;
  std::size_t size() const;
  std::vector<std::string> keys() const;  // in the order of insertion
  Value::Map all() const;
  // As the server told: nothing before the echo of the first set.
  std::optional<StreamSequence> seq(std::string_view key) const;
  std::optional<UnixMs> time(std::string_view key) const;
  Value headers(std::string_view key) const;

  // ---- writing; errors: closed, too_large ----
  Status set(std::string_view key, const Value& value, const Value& headers = {});
  Status erase(std::string_view key);
  Status clear();
  // Completes when everything is saved; without autosave it is one attempt.
  template <class Token = DefaultToken>
  auto save(Token&& token = {}) {
    return initiate<Status>(loop(), token, [state = state_](Completion<Status> done) {
      begin_save(*state, std::move(done));
    });
  }
  bool has_unsaved_changes() const;
  std::vector<std::string> unsaved_changes() const;
  bool is_stable() const;  // all saved and echoed

  // ---- watching ----
  // Bounded: beyond `max_buffered` changes that nobody has read it ends with ENOBUFS.
  DkvChanges changes(std::size_t max_buffered = 100'000);
  void on_change(std::function<void(const DkvChange& change)> callback);
  // The server refused a change; it is dropped.
  void on_reject(std::function<void(const std::string& key, const Error& error)> callback);

  void close();

 private:
  friend class Client;
  friend class Dko;
  class State;

  explicit Dkv(std::shared_ptr<State> state);
  asio::io_context& loop() const;
  static void begin_save(State& state, Completion<Status> done);

  std::shared_ptr<State> state_;
};

}  // namespace conat::native
