#include "conat/sync/dstream.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <unordered_map>
#include <utility>

#include "conat/sync/batch_sender.hpp"
#include "conat/sync/dstream_store.hpp"
#include "conat/sync/history_loader.hpp"

namespace conat {

class DStreams::Impl {
  struct Entry {
    Entry(StreamClients& streams, Owner its_owner, StreamClientId its_stream,
          std::unique_ptr<DStreamStore> its_store)
        : owner(its_owner),
          stream(its_stream),
          store(std::move(its_store)),
          loader(streams, its_stream, store->core()) {}

    Owner owner;
    StreamClientId stream;
    std::unique_ptr<DStreamStore> store;
    HistoryLoader loader;
    bool closing = false;  // by the user; what is unsaved is still sent
  };

 public:
  Impl(StreamClients& streams, Random random)
      : streams_(streams), random_(std::move(random)), sender_(streams) {}

  Result<DStreamId> open(TimeMs now, Owner owner, DStreamOptions options) {
    const DStreamId id = last_stream_ + 1;
    options.stream.follow = StreamFollow::everything;
    if (options.stream.start_seq <= 1) options.stream.start_seq = 0;
    const StreamSequence start_seq = options.stream.start_seq;
    const auto stream = streams_.open(now, Owner{Layer::dstream, id}, std::move(options.stream));
    if (!stream.ok()) return stream.error();
    last_stream_ = id;
    auto store = std::make_unique<DStreamStore>(owner, id, options.autosave, start_seq,
                                                random_.fork(), effects_);
    entries_[id] = std::make_unique<Entry>(streams_, owner, *stream, std::move(store));
    return id;
  }

  void close(TimeMs now, DStreamId id) {
    Entry* entry = find(id);
    if (entry == nullptr || entry->closing) return;
    entry->store->detach();
    entry->closing = true;
    const auto of_this = [id](const DStreamEffect& effect) {
      return std::visit([](const auto& item) { return item.stream; }, effect) == id;
    };
    effects_.erase(std::remove_if(effects_.begin(), effects_.end(), of_this), effects_.end());
    if (entry->store->autosave() && !entry->store->kept()) {
      settle(now, id, *entry);
    } else {
      remove(now, id, *entry);
    }
  }

  // As long as the user has it open.
  Entry* open_entry(DStreamId id) {
    Entry* entry = find(id);
    return entry == nullptr || entry->closing ? nullptr : entry;
  }
  const DStreamStore* store(DStreamId id) {
    Entry* entry = open_entry(id);
    return entry == nullptr ? nullptr : entry->store.get();
  }
  StreamClientId stream(DStreamId id) {
    Entry* entry = open_entry(id);
    return entry == nullptr ? 0 : entry->stream;
  }

  Status publish(DStreamId id, EncodedValue value, Headers headers, std::int64_t ttl_ms) {
    Entry* entry = open_entry(id);
    if (entry == nullptr) return Error(ErrorKind::closed);
    Status status = entry->store->publish(std::move(value), std::move(headers), ttl_ms);
    sender_.arm(id, *entry->store);
    return status;
  }

  Result<CallId> save(TimeMs now, DStreamId id) {
    Entry* entry = open_entry(id);
    if (entry == nullptr) return Error(ErrorKind::closed);
    const CallId call = ++last_call_;
    entry->store->save(now, call);
    settle(now, id, *entry);
    return call;
  }

  Result<CallId> load(TimeMs now, DStreamId id, StreamSequence start_seq) {
    Entry* entry = open_entry(id);
    if (entry == nullptr) return Error(ErrorKind::closed);
    const CallId call = ++last_call_;
    if (auto done = entry->loader.load(now, call, start_seq)) report(id, *entry, {*done});
    return call;
  }

  void forget(TimeMs now, DStreamId id, const std::vector<StreamSequence>& seqs) {
    Entry* entry = open_entry(id);
    if (entry == nullptr) return;
    entry->store->forget(seqs);
    settle(now, id, *entry);
  }

  Status restore(TimeMs now, DStreamId id, ByteView state, ByteView changes, bool open_now) {
    Entry* entry = open_entry(id);
    if (entry == nullptr) return Error(ErrorKind::closed);
    Status status = entry->store->restore(now, state, changes, open_now);
    settle(now, id, *entry);
    return status;
  }

  void on_stream_effect(TimeMs now, StreamClientEffect effect) {
    const DStreamId id = std::visit([](const auto& item) { return item.owner.id; }, effect);
    Entry* entry = find(id);
    if (entry == nullptr) {
      if (auto* answer = std::get_if<stream_client_effect::Answer>(&effect)) {
        sender_.on_answer(now, *answer, nullptr);
      }
      return;
    }
    std::visit([&](auto& item) { handle(now, id, *entry, item); }, effect);
    if (std::holds_alternative<stream_client_effect::Failed>(effect)) {
      sender_.remove(id);
      entries_.erase(id);
      return;
    }
    settle(now, id, *entry);
  }

  void on_time(TimeMs now) {
    while (const DStreamId id = sender_.pop_due(now)) {
      Entry& entry = *find(id);
      entry.store->on_time(now);
      settle(now, id, entry);
    }
  }

  std::optional<TimeMs> deadline() const { return sender_.deadline(); }

  bool next(DStreamEffect& effect) {
    if (effects_.empty()) return false;
    effect = std::move(effects_.front());
    effects_.pop_front();
    return true;
  }

 private:
  Entry* find(DStreamId id) {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : found->second.get();
  }

  void handle(TimeMs now, DStreamId, Entry& entry, stream_client_effect::Snapshot& effect) {
    entry.store->on_snapshot(now, effect.complete, effect.messages);
  }
  void handle(TimeMs, DStreamId, Entry& entry, stream_client_effect::Changes& effect) {
    entry.loader.on_updates(effect.changes);
    entry.store->on_updates(effect.changes);
  }
  void handle(TimeMs, DStreamId, Entry& entry, stream_client_effect::Failed& effect) {
    entry.store->on_failed(effect.error);
  }
  void handle(TimeMs now, DStreamId, Entry& entry,
              stream_client_effect::ConnectionChanged& effect) {
    if (effect.connected) entry.loader.on_connected(now);
    entry.store->on_connection(now, effect.connected);
  }
  void handle(TimeMs now, DStreamId id, Entry& entry, stream_client_effect::Answer& effect) {
    if (sender_.on_answer(now, effect, entry.store.get())) return;
    CoreStreamStore::Changes told;
    std::vector<HistoryLoader::Done> done;
    if (!entry.loader.on_answer(now, effect, &told, done)) return;
    entry.store->tell(std::move(told));
    report(id, entry, done);
  }

  void report(DStreamId id, const Entry& entry, const std::vector<HistoryLoader::Done>& done) {
    if (entry.closing) return;
    for (const HistoryLoader::Done& item : done) {
      effects_.push_back(dstream_effect::Loaded{entry.owner, id, item.call, item.error});
    }
  }

  // Sends what is due, and ends a store that has nothing left to do.
  void settle(TimeMs now, DStreamId id, Entry& entry) {
    streams_.set_held(entry.stream, entry.store->held());
    sender_.send(now, id, entry.stream, *entry.store);
    if (entry.closing && !entry.store->has_unsaved_changes()) remove(now, id, entry);
  }

  void remove(TimeMs now, DStreamId id, Entry& entry) {
    streams_.close(now, entry.stream);
    sender_.remove(id);
    entries_.erase(id);
  }

  StreamClients& streams_;
  Random random_;
  std::unordered_map<DStreamId, std::unique_ptr<Entry>> entries_;
  DStreamId last_stream_ = 0;
  CallId last_call_ = 0;
  BatchSender<DStreamStore> sender_;
  std::deque<DStreamEffect> effects_;
};

DStreams::DStreams(StreamClients& streams, Random random)
    : impl_(std::make_unique<Impl>(streams, std::move(random))) {}
DStreams::~DStreams() = default;

Result<DStreamId> DStreams::open(TimeMs now, Owner owner, DStreamOptions options) {
  return impl_->open(now, owner, std::move(options));
}
void DStreams::close(TimeMs now, DStreamId stream) { impl_->close(now, stream); }
StreamClientId DStreams::stream(DStreamId stream) const { return impl_->stream(stream); }
const DStreamStore* DStreams::store(DStreamId stream) const { return impl_->store(stream); }
Status DStreams::publish(TimeMs, DStreamId stream, EncodedValue value, Headers headers,
                         std::int64_t ttl_ms) {
  return impl_->publish(stream, std::move(value), std::move(headers), ttl_ms);
}
Result<CallId> DStreams::save(TimeMs now, DStreamId stream) { return impl_->save(now, stream); }
Result<CallId> DStreams::load(TimeMs now, DStreamId stream, StreamSequence start_seq) {
  return impl_->load(now, stream, start_seq);
}
void DStreams::forget(TimeMs now, DStreamId stream, const std::vector<StreamSequence>& seqs) {
  impl_->forget(now, stream, seqs);
}
Bytes DStreams::kept_state(DStreamId stream) const {
  const DStreamStore* store = impl_->store(stream);
  return store == nullptr ? Bytes() : store->kept_state();
}
Bytes DStreams::kept_changes(DStreamId stream) const {
  const DStreamStore* store = impl_->store(stream);
  return store == nullptr ? Bytes() : store->kept_changes();
}
Status DStreams::restore(TimeMs now, DStreamId stream, ByteView state, ByteView changes,
                         bool open_now) {
  return impl_->restore(now, stream, state, changes, open_now);
}

void DStreams::on_stream_effect(TimeMs now, StreamClientEffect effect) {
  impl_->on_stream_effect(now, std::move(effect));
}
void DStreams::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> DStreams::deadline() const { return impl_->deadline(); }
bool DStreams::next(DStreamEffect& effect) { return impl_->next(effect); }

}  // namespace conat
