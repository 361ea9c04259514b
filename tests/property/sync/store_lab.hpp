// A laboratory for DkvStore: replicas of one store around a real Stream, with everything between
// them in queues that the test moves as it likes: requests, answers and changes are late, lost,
// executed twice; replicas come and go.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/stream/memory_store.hpp"
#include "conat/stream/stream.hpp"
#include "conat/sync/dkv_store.hpp"

namespace conat {

class StoreLab {
 public:
  struct Options {
    MergeKind merge = MergeKind::none;
    std::size_t replicas = 3;
    bool autosave = true;
    std::uint64_t seed = 1;
    // Decides MergeNeeded; without it local wins.
    std::function<std::optional<Value>(const dkv_effect::MergeNeeded&)> custom;
  };

  explicit StoreLab(Options options)
      : options_(std::move(options)),
        random_(options_.seed),
        stream_(std::move(Stream::open(database_, 1'000'000, false).value())) {
    for (std::size_t i = 0; i < options_.replicas; ++i) {
      replicas_.push_back(
          std::make_unique<Replica>(options_, static_cast<DkvId>(i + 1), random_.fork()));
    }
  }

  Random& random() { return random_; }
  std::size_t count() const { return replicas_.size(); }
  DkvStore& store(std::size_t replica) { return replicas_[replica]->store; }
  bool connected(std::size_t replica) const { return replicas_[replica]->connected; }
  TimeMs now() const { return now_; }
  // What the replicas have told and the test has not taken yet (merges are answered here).
  std::vector<DkvEffect> take_effects(std::size_t replica) {
    return std::exchange(replicas_[replica]->told, {});
  }

  static EncodedValue encoded(const Value& value) {
    return {PayloadEncoding::msgpack, encode_msgpack(value)};
  }
  std::optional<Value> value(std::size_t replica, std::string_view key) {
    const auto found = store(replica).get(key);
    if (!found) return std::nullopt;
    return decode_payload(found->encoding, found->raw).value();
  }
  void set(std::size_t replica, std::string_view key, const Value& value) {
    REQUIRE(store(replica).set(key, encoded(value), {}).ok());
  }
  void erase(std::size_t replica, std::string_view key) { REQUIRE(store(replica).erase(key).ok()); }

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
    collect(index);
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
    for (const DkvStore::BatchId batch : std::exchange(replica.open_batches, {})) {
      replica.store.on_batch_answered(now_, batch, Error(ErrorKind::disconnected));
    }
    replica.store.on_connection(now_, false);
    collect(index);
  }

  void pump(std::size_t index) {
    Replica& replica = *replicas_[index];
    DkvStore::Batch batch;
    while (replica.store.next_batch(now_, batch)) {
      Request request{batch.id, {}};
      for (const StreamSet& item : batch.items) request.items.push_back(owned(item));
      replica.open_batches.push_back(batch.id);
      // A copy that arrives much later.
      if (random_.below(20) == 0) late_.push_back(request);
      replica.outbox.push_back(std::move(request));
    }
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

  bool execute_late() {
    if (late_.empty()) return false;
    const std::size_t which = random_.below(static_cast<std::uint32_t>(late_.size()));
    Request request = std::move(late_[which]);
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(which));
    run(std::move(request.items));
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
      replica.store.on_changes(now_, std::move(event.updates));
    }
    collect(index);
    return true;
  }

  void advance(TimeMs by) {
    now_ += by;
    for (std::size_t i = 0; i < count(); ++i) {
      replicas_[i]->store.on_time(now_);
      collect(i);
    }
  }

  // The server deletes a message, as limits do.
  void discard(std::string_view key) {
    auto found = database_.find_key(key);
    REQUIRE(found.ok());
    if (!*found) return;
    REQUIRE(stream_.begin_group().ok());
    DeleteRequest request;
    request.seq = (*found)->seq;
    REQUIRE(stream_.erase(request).ok());
    REQUIRE(stream_.commit_group().ok());
    announce();
  }

  void random_step(std::uint32_t trouble) {
    const std::size_t who = random_.below(static_cast<std::uint32_t>(count()));
    const std::uint32_t dice = random_.below(100);
    if (dice < trouble) {
      connected(who) ? disconnect(who) : connect(who);
    } else if (dice < 40) {
      pump(who);
    } else if (dice < 60) {
      execute(who);
    } else if (dice < 90) {
      deliver(who);
    } else if (dice < 95) {
      advance(random_.below(300));
    } else {
      execute_late();
    }
  }

  // Everybody is connected, everything is delivered, until all is quiet.
  void settle() {
    while (execute_late()) {
    }
    for (std::size_t i = 0; i < count(); ++i) connect(i);
    for (int round = 0; round < 100'000; ++round) {
      bool busy = false;
      for (std::size_t i = 0; i < count(); ++i) {
        pump(i);
        busy = execute(i) || busy;
        busy = deliver(i) || busy;
        busy = busy || store(i).has_unsaved_changes();
      }
      while (execute_late()) {
      }
      if (!busy) return;
      advance(50);
    }
    FAIL("no quiet state, seed " << options_.seed);
  }

  std::map<std::string, Value> view(std::size_t replica) {
    std::map<std::string, Value> view;
    store(replica).for_each([&](std::string_view key, PayloadEncoding encoding, ByteView raw) {
      view.emplace(std::string(key), decode_payload(encoding, raw).value());
      return true;
    });
    return view;
  }
  std::map<std::string, Value> server_view() {
    std::map<std::string, Value> view;
    for (const StreamMessage& message : messages_from(1)) {
      if (message.headers.has(header::tombstone)) continue;
      view.emplace(*message.key, decode_payload(message.encoding, message.raw).value());
    }
    return view;
  }
  void check_converged() {
    const auto expected = server_view();
    for (std::size_t i = 0; i < count(); ++i) {
      INFO("seed " << options_.seed << ", replica " << i);
      CHECK(view(i) == expected);
      CHECK(store(i).size() == expected.size());
      CHECK(store(i).held() == held_by_server());
    }
  }

 private:
  struct Request {
    DkvStore::BatchId batch;
    std::vector<SetRequest> items;
  };
  struct Event {
    DkvStore::BatchId batch = 0;  // an answer; 0: changes
    Result<std::vector<Result<SetResult>>> results = std::vector<Result<SetResult>>{};
    std::vector<StreamUpdate> updates;
  };
  struct Replica {
    Replica(const Options& options, DkvId id, Random random)
        : store(Owner{Layer::user, id}, id, options.merge, options.autosave, std::move(random),
                effects) {}
    DkvStore::Effects effects;
    DkvStore store;
    std::vector<DkvEffect> told;
    bool connected = false;
    bool opened = false;
    StreamSequence last_seq = 0;
    std::deque<Request> outbox;
    std::deque<Event> inbox;
    std::vector<DkvStore::BatchId> open_batches;
  };

  static SetRequest owned(const StreamSet& item) {
    SetRequest request;
    request.key = std::string(*item.key);
    request.encoding = item.encoding;
    request.raw = to_bytes(item.raw);
    if (!item.headers.empty()) request.headers_json = encode_json(item.headers.value());
    request.ttl_ms = item.ttl_ms;
    request.previous_seq = item.previous_seq;
    request.message_id = item.message_id;
    return request;
  }
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

  void collect(std::size_t index) {
    Replica& replica = *replicas_[index];
    while (!replica.effects.empty()) {
      DkvEffect effect = std::move(replica.effects.front());
      replica.effects.pop_front();
      const auto* asked = std::get_if<dkv_effect::MergeNeeded>(&effect);
      if (asked != nullptr && options_.custom) {
        std::optional<std::optional<EncodedValue>> merged;
        if (const auto value = options_.custom(*asked)) {
          merged.emplace(encoded(*value));
        }
        replica.store.resolve_merge(asked->merge, std::move(merged));
        continue;
      }
      replica.told.push_back(std::move(effect));
    }
  }

  Options options_;
  Random random_;
  MemoryStore database_;
  Stream stream_;
  StreamSequence last_seq_ = 0;
  TimeMs now_ = 1000;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<Request> late_;
};

}  // namespace conat
