// The laboratory for DkvStore.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conat/sync/dkv_store.hpp"
#include "property/sync/sync_lab.hpp"

namespace conat {

class StoreLab : public SyncLab<StoreLab, DkvStore, DkvEffect> {
 public:
  struct Options {
    MergeKind merge = MergeKind::none;
    std::size_t replicas = 3;
    bool autosave = true;
    std::uint64_t seed = 1;
    // Decides MergeNeeded; without it local wins.
    std::function<std::optional<Value>(const dkv_effect::MergeNeeded&)> custom;
  };

  explicit StoreLab(Options options) : SyncLab(options.seed), options_(std::move(options)) {
    for (std::size_t i = 0; i < options_.replicas; ++i) replicas_.push_back(make_replica(i));
  }

  std::unique_ptr<Replica> make_replica(std::size_t index) {
    const auto id = static_cast<DkvId>(index + 1);
    return std::make_unique<Replica>([&](DkvStore::Effects& effects) {
      return DkvStore(Owner{Layer::user, id}, id, options_.merge, options_.autosave, random_.fork(),
                      effects);
    });
  }
  static Status restore(TimeMs, DkvStore& store, ByteView state, ByteView changes) {
    return store.restore(state, changes, true);
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

  bool execute_late() {
    if (late_.empty()) return false;
    const std::size_t which = random_.below(static_cast<std::uint32_t>(late_.size()));
    Request request = std::move(late_[which]);
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(which));
    run(std::move(request.items));
    return true;
  }

  // The server deletes a message, as limits do.
  void discard(std::string_view key) {
    auto found = database_.find_key(key);
    REQUIRE(found.ok());
    if (!*found) return;
    SyncLab::discard((*found)->seq);
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
  friend SyncLab;

  static void tell(TimeMs now, DkvStore& store, std::vector<StreamUpdate>& updates) {
    store.on_changes(now, std::move(updates));
  }

  // Merges are answered here.
  void collect(Replica& replica) {
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
};

}  // namespace conat
