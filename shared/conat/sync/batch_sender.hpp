// Sends what stores have to save, for the structures that save by themselves: the batches that are
// under way, and when each store is due next.
//
// `Store` has Batch {id, items}, next_batch(), on_batch_answered(), on_time() and deadline(): see
// DkvStore and DStreamStore. Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>

#include "conat/sync/stream_client.hpp"
#include "conat/sync/stream_codec.hpp"
#include "conat/sync/timer_set.hpp"

namespace conat {

template <class Store>
class BatchSender {
 public:
  using StoreId = std::uint32_t;

  explicit BatchSender(StreamClients& streams) : streams_(streams) {}

  // Sends what is due now, and notes when the store is due again.
  void send(TimeMs now, StoreId id, StreamClientId stream, Store& store) {
    typename Store::Batch batch;
    while (store.next_batch(now, batch)) {
      batches_[streams_.set_many(now, stream, batch.items)] = batch.id;
    }
    arm(id, store);
  }
  void arm(StoreId id, const Store& store) { timers_.set(id, store.deadline()); }
  // The store is gone.
  void remove(StoreId id) { timers_.set(id, std::nullopt); }

  // Whether the answer was to a batch, which the store then knows; null: the store is gone.
  bool on_answer(TimeMs now, const stream_client_effect::Answer& answer, Store* store) {
    const auto found = batches_.find(answer.call);
    if (found == batches_.end()) return false;
    const typename Store::BatchId batch = found->second;
    batches_.erase(found);
    if (store != nullptr) {
      store->on_batch_answered(now, batch,
                               answer.reply.ok()
                                   ? parse_set_many_answer(*answer.reply)
                                   : Result<std::vector<Result<SetResult>>>(answer.reply.error()));
    }
    return true;
  }

  // A store that is due, which on_time() and send() are for; 0: none is.
  StoreId pop_due(TimeMs now) { return timers_.pop_due(now); }
  std::optional<TimeMs> deadline() const { return timers_.next(); }

 private:
  StreamClients& streams_;
  std::unordered_map<CallId, typename Store::BatchId> batches_;
  TimerSet timers_;
};

}  // namespace conat
