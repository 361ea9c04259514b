// A laboratory for DStreamStore: replicas of one stream around a real Stream, with everything
// between them in queues that the test moves as it likes: requests, answers and changes are late,
// lost, executed twice; replicas come and go.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "conat/stream/memory_store.hpp"
#include "conat/stream/stream.hpp"
#include "conat/sync/dstream_store.hpp"

namespace conat {

class DStreamLab {
 public:
  DStreamLab(std::uint64_t seed, std::size_t replicas, bool autosave = true)
      : random_(seed), stream_(std::move(Stream::open(database_, 1'000'000, false).value())) {
    for (std::size_t i = 0; i < replicas; ++i) {
      replicas_.push_back(
          std::make_unique<Replica>(static_cast<DStreamId>(i + 1), autosave, random_.fork()));
    }
  }

  Random& random() { return random_; }
  std::size_t count() const { return replicas_.size(); }
  DStreamStore& store(std::size_t replica) { return replicas_[replica]->store; }
  bool connected(std::size_t replica) const { return replicas_[replica]->connected; }
  TimeMs now() const { return now_; }
  std::vector<DStreamEffect> take_effects(std::size_t replica) {
    return std::exchange(replicas_[replica]->told, {});
  }

  void publish(std::size_t replica, const Value& value) {
    REQUIRE(store(replica).publish({PayloadEncoding::msgpack, encode_msgpack(value)}, {}, 0).ok());
  }

  static Value value_of(const DStreamStore::Entry& entry) {
    return decode_payload(entry.encoding, entry.raw).value();
  }
  // Everything that a replica shows.
  std::vector<Value> view(std::size_t replica) {
    std::vector<Value> values;
    for (std::size_t i = 0; i < store(replica).size(); ++i) {
      values.push_back(value_of(store(replica).entry(i)));
    }
    return values;
  }
  std::vector<Value> server_view() {
    std::vector<Value> values;
    for (const StreamMessage& message : messages_from(1)) {
      values.push_back(decode_payload(message.encoding, message.raw).value());
    }
    return values;
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
    for (const DStreamStore::BatchId batch : std::exchange(replica.open_batches, {})) {
      replica.store.on_batch_answered(now_, batch, Error(ErrorKind::disconnected));
    }
    replica.store.on_connection(now_, false);
    collect(index);
  }

  void pump(std::size_t index) {
    Replica& replica = *replicas_[index];
    DStreamStore::Batch batch;
    while (replica.store.next_batch(now_, batch)) {
      Request request{batch.id, {}};
      for (const StreamSet& item : batch.items) {
        SetRequest owned;
        owned.encoding = item.encoding;
        owned.raw = to_bytes(item.raw);
        owned.message_id = item.message_id;
        request.items.push_back(std::move(owned));
      }
      replica.open_batches.push_back(batch.id);
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
    Request request = std::move(late_.front());
    late_.pop_front();
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
      replica.store.on_updates(event.updates);
    }
    collect(index);
    return true;
  }

  // The answer may overtake the changes, as it does within a feed's 30 ms.
  void delay_changes(std::size_t index) {
    auto& inbox = replicas_[index]->inbox;
    for (std::size_t i = 0; i + 1 < inbox.size(); ++i) {
      if (inbox[i].batch == 0 && inbox[i + 1].batch != 0) std::swap(inbox[i], inbox[i + 1]);
    }
  }

  void advance(TimeMs by) {
    now_ += by;
    for (std::size_t i = 0; i < count(); ++i) {
      replicas_[i]->store.on_time(now_);
      collect(i);
    }
  }

  // The oldest message goes, as by a limit.
  std::optional<Value> discard_oldest() {
    const auto messages = messages_from(1);
    if (messages.empty()) return std::nullopt;
    REQUIRE(stream_.begin_group().ok());
    DeleteRequest request;
    request.seq = messages.front().seq;
    REQUIRE(stream_.erase(request).ok());
    REQUIRE(stream_.commit_group().ok());
    announce();
    return decode_payload(messages.front().encoding, messages.front().raw).value();
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
    } else if (dice < 88) {
      deliver(who);
    } else if (dice < 91) {
      delay_changes(who);
    } else if (dice < 96) {
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
        busy = busy || !store(i).is_stable();
      }
      if (!busy) return;
      advance(50);
    }
    FAIL("no quiet state");
  }

 private:
  struct Request {
    DStreamStore::BatchId batch;
    std::vector<SetRequest> items;
  };
  struct Event {
    DStreamStore::BatchId batch = 0;  // an answer; 0: changes
    Result<std::vector<Result<SetResult>>> results = std::vector<Result<SetResult>>{};
    std::vector<StreamUpdate> updates;
  };
  struct Replica {
    Replica(DStreamId id, bool autosave, Random random)
        : store(Owner{Layer::user, id}, id, autosave, 0, std::move(random), effects) {}
    DStreamStore::Effects effects;
    DStreamStore store;
    std::vector<DStreamEffect> told;
    bool connected = false;
    bool opened = false;
    StreamSequence last_seq = 0;
    std::deque<Request> outbox;
    std::deque<Event> inbox;
    std::vector<DStreamStore::BatchId> open_batches;
  };

  static StreamMessage told(const StoredMessage& stored, bool with_id) {
    StreamMessage message;
    message.seq = stored.seq;
    message.time = stored.time;
    message.encoding = stored.encoding;
    message.raw = stored.raw;
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
    for (DStreamEffect& effect : replica.effects) replica.told.push_back(std::move(effect));
    replica.effects.clear();
  }

  Random random_;
  MemoryStore database_;
  Stream stream_;
  StreamSequence last_seq_ = 0;
  TimeMs now_ = 1000;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::deque<Request> late_;
};

}  // namespace conat
