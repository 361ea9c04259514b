// The laboratory for DStreamStore.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "conat/sync/dstream_store.hpp"
#include "property/sync/sync_lab.hpp"

namespace conat {

class DStreamLab : public SyncLab<DStreamLab, DStreamStore, DStreamEffect> {
 public:
  DStreamLab(std::uint64_t seed, std::size_t replicas, bool autosave = true) : SyncLab(seed) {
    autosave_ = autosave;
    for (std::size_t i = 0; i < replicas; ++i) replicas_.push_back(make_replica(i));
  }

  std::unique_ptr<Replica> make_replica(std::size_t index) {
    const auto id = static_cast<DStreamId>(index + 1);
    return std::make_unique<Replica>([&](DStreamStore::Effects& effects) {
      return DStreamStore(Owner{Layer::user, id}, id, autosave_, 0, random_.fork(), effects);
    });
  }
  static Status restore(TimeMs now, DStreamStore& store, ByteView state, ByteView changes) {
    return store.restore(now, state, changes, true);
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

  void pump(std::size_t index) {
    Replica& replica = *replicas_[index];
    DStreamStore::Batch batch;
    while (replica.store.next_batch(now_, batch)) {
      Request request{batch.id, {}};
      for (const StreamSet& item : batch.items) request.items.push_back(owned(item));
      replica.open_batches.push_back(batch.id);
      replica.outbox.push_back(std::move(request));
    }
  }

  bool execute_late() {
    if (late_.empty()) return false;
    Request request = std::move(late_.front());
    late_.pop_front();
    run(std::move(request.items));
    return true;
  }

  // The answer may overtake the changes, as it does within a feed's 30 ms.
  void delay_changes(std::size_t index) {
    auto& inbox = replicas_[index]->inbox;
    for (std::size_t i = 0; i + 1 < inbox.size(); ++i) {
      if (inbox[i].batch == 0 && inbox[i + 1].batch != 0) std::swap(inbox[i], inbox[i + 1]);
    }
  }

  // The oldest message goes, as by a limit.
  std::optional<Value> discard_oldest() {
    const auto messages = messages_from(1);
    if (messages.empty()) return std::nullopt;
    discard(messages.front().seq);
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
  friend SyncLab;

  static void tell(TimeMs, DStreamStore& store, std::vector<StreamUpdate>& updates) {
    store.on_updates(updates);
  }

  void collect(Replica& replica) {
    for (DStreamEffect& effect : replica.effects) replica.told.push_back(std::move(effect));
    replica.effects.clear();
  }

  bool autosave_ = true;
};

}  // namespace conat
