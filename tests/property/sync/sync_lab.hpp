// A laboratory for stores that save by themselves: replicas of one store around a real Stream, with
// everything between them in queues that the test moves as it likes: requests, answers and changes
// are late, lost, executed twice; replicas come and go.
//
// `Lab` derives from SyncLab<Lab, Store, Effect> and has
//   static void tell(TimeMs, Store&, std::vector<StreamUpdate>&)   what the stream tells
//   void collect(Replica&)                                         takes the store's effects
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/stream/memory_store.hpp"
#include "conat/stream/stream.hpp"
#include "conat/sync/stream_message.hpp"
#include "conat/wire/codec.hpp"

namespace conat {

template <class Lab, class Store, class Effect>
class SyncLab {
 public:
  Random& random() { return random_; }
  std::size_t count() const { return replicas_.size(); }
  Store& store(std::size_t replica) { return replicas_[replica]->store; }
  bool connected(std::size_t replica) const { return replicas_[replica]->connected; }
  TimeMs now() const { return now_; }
  // What the replica has told and the test has not taken yet.
  std::vector<Effect> take_effects(std::size_t replica) {
    return std::exchange(replicas_[replica]->told, {});
  }

  // ---- moving things ----

  void connect(std::size_t index) {
    Replica& replica = *replicas_[index];
    if (replica.connected) return;
    replica.connected = true;
    replica.inbox.clear();
    if (replica.opened && random_.below(2) == 0) {
      replica.store.on_snapshot(now_, false, messages_from(replica.last_seq + 1));
      if (replica.store.held() != held_by_server()) {
        replica.store.on_snapshot(now_, true, messages_from(1));
      }
    } else {
      replica.store.on_snapshot(now_, true, messages_from(1));
    }
    replica.opened = true;
    replica.last_seq = last_seq_;
    replica.store.on_connection(now_, true);
    lab().collect(replica);
  }

  // What is under way is lost, or executed later.
  void disconnect(std::size_t index) {
    Replica& replica = *replicas_[index];
    if (!replica.connected) return;
    replica.connected = false;
    for (Request& request : replica.outbox) {
      if (random_.below(2) == 0) late_.push_back(std::move(request));
    }
    replica.outbox.clear();
    replica.inbox.clear();
    for (const BatchId batch : std::exchange(replica.open_batches, {})) {
      replica.store.on_batch_answered(now_, batch, Error(ErrorKind::disconnected));
    }
    replica.store.on_connection(now_, false);
    lab().collect(replica);
  }

  bool execute(std::size_t index) {
    Replica& replica = *replicas_[index];
    if (replica.outbox.empty()) return false;
    Request request = std::move(replica.outbox.front());
    replica.outbox.pop_front();
    Event event;
    event.batch = request.batch;
    event.results = run(std::move(request.items));
    replica.inbox.push_back(std::move(event));
    return true;
  }

  bool deliver(std::size_t index) {
    Replica& replica = *replicas_[index];
    if (replica.inbox.empty()) return false;
    Event event = std::move(replica.inbox.front());
    replica.inbox.pop_front();
    if (event.batch != 0) {
      auto& open = replica.open_batches;
      open.erase(std::find(open.begin(), open.end(), event.batch));
      replica.store.on_batch_answered(now_, event.batch, std::move(event.results));
    } else {
      for (const StreamUpdate& update : event.updates) {
        if (!update.is_delete) replica.last_seq = update.message.seq;
      }
      Lab::tell(now_, replica.store, event.updates);
    }
    lab().collect(replica);
    return true;
  }

  // The program ends; another one goes on with what was kept. What is under way is lost, or
  // executed later.
  void restart(std::size_t index) {
    const Bytes state = store(index).kept_state();
    const Bytes changes = store(index).kept_changes();
    for (Request& request : replicas_[index]->outbox) {
      if (random_.below(2) == 0) late_.push_back(std::move(request));
    }
    replicas_[index] = lab().make_replica(index);
    keep(index, state, changes);
  }
  // Local first, with what was kept (nothing: from now on).
  void keep(std::size_t index, ByteView state = {}, ByteView changes = {}) {
    REQUIRE(Lab::restore(now_, store(index), state, changes).ok());
    lab().collect(*replicas_[index]);
  }

  void advance(TimeMs by) {
    now_ += by;
    for (auto& replica : replicas_) {
      replica->store.on_time(now_);
      lab().collect(*replica);
    }
  }

 protected:
  using BatchId = typename Store::BatchId;

  struct Request {
    BatchId batch;
    std::vector<SetRequest> items;
  };
  struct Event {
    BatchId batch = 0;  // an answer; 0: changes
    Result<std::vector<Result<SetResult>>> results = std::vector<Result<SetResult>>{};
    std::vector<StreamUpdate> updates;
  };
  struct Replica {
    // `make` returns the store, whose effects go where it is told.
    template <class Make>
    explicit Replica(Make&& make) : store(make(effects)) {}
    typename Store::Effects effects;
    Store store;
    std::vector<Effect> told;
    bool connected = false;
    bool opened = false;
    StreamSequence last_seq = 0;
    std::deque<Request> outbox;
    std::deque<Event> inbox;
    std::vector<BatchId> open_batches;
  };

  explicit SyncLab(std::uint64_t seed)
      : random_(seed), stream_(std::move(Stream::open(database_, 1'000'000, false).value())) {}

  // What the server does with it by itself, as limits do.
  void discard(StreamSequence seq) {
    REQUIRE(stream_.begin_group().ok());
    DeleteRequest request;
    request.seq = seq;
    REQUIRE(stream_.erase(request).ok());
    REQUIRE(stream_.commit_group().ok());
    announce();
  }

  static SetRequest owned(const StreamSet& item) {
    SetRequest request;
    if (item.key) request.key = std::string(*item.key);
    request.encoding = item.encoding;
    request.raw = to_bytes(item.raw);
    if (!item.headers.empty()) request.headers_json = encode_json(item.headers.value());
    request.ttl_ms = item.ttl_ms;
    request.previous_seq = item.previous_seq;
    request.message_id = item.message_id;
    return request;
  }

  std::vector<Result<SetResult>> run(std::vector<SetRequest> items) {
    std::vector<Result<SetResult>> results;
    REQUIRE(stream_.begin_group().ok());
    for (SetRequest& item : items) {
      results.push_back(stream_.set(1'000'000 + now_ / 1000, std::move(item)));
    }
    REQUIRE(stream_.commit_group().ok());
    announce();
    return results;
  }

  std::vector<StreamMessage> messages_from(StreamSequence first) {
    std::vector<StoredMessage> stored;
    REQUIRE(stream_.get_range(first, std::numeric_limits<StreamSequence>::max(), 1u << 30, stored)
                .ok());
    std::vector<StreamMessage> messages;
    for (const StoredMessage& message : stored) messages.push_back(told(message, false));
    return messages;
  }
  std::size_t held_by_server() {
    return static_cast<std::size_t>(stream_.inventory().value().count);
  }

  Random random_;
  MemoryStore database_;
  Stream stream_;
  StreamSequence last_seq_ = 0;
  TimeMs now_ = 1000;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::deque<Request> late_;

 private:
  Lab& lab() { return static_cast<Lab&>(*this); }

  static StreamMessage told(const StoredMessage& stored, bool with_id) {
    StreamMessage message;
    message.seq = stored.seq;
    message.time = stored.time;
    message.key = stored.key;
    message.encoding = stored.encoding;
    message.raw = stored.raw;
    if (!stored.headers_json.empty()) {
      message.headers = Headers(decode_json(stored.headers_json).value());
    }
    if (with_id) message.message_id = stored.message_id;
    return message;
  }

  void announce() {
    std::vector<StreamUpdate> updates;
    for (const StreamChange& change : stream_.take_changes()) {
      updates.emplace_back();
      updates.back().is_delete = !change.deleted.empty();
      updates.back().deleted = change.deleted;
      if (updates.back().is_delete) continue;
      updates.back().message = told(change.message, true);
      last_seq_ = change.message.seq;
    }
    if (updates.empty()) return;
    for (auto& replica : replicas_) {
      if (!replica->connected) continue;
      replica->inbox.emplace_back();
      replica->inbox.back().updates = updates;
    }
  }
};

}  // namespace conat
