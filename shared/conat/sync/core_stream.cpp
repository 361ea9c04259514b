#include "conat/sync/core_stream.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include "conat/sync/history_loader.hpp"

namespace conat {

class CoreStreams::Impl {
 public:
  explicit Impl(StreamClients& streams) : streams_(streams) {}

  Result<CoreStreamId> open(TimeMs now, Owner owner, StreamOpenOptions options) {
    const CoreStreamId id = last_stream_ + 1;
    options.follow = StreamFollow::everything;
    if (options.start_seq <= 1) options.start_seq = 0;
    const StreamSequence start_seq = options.start_seq;
    const auto stream = streams_.open(now, Owner{Layer::core_stream, id}, std::move(options));
    if (!stream.ok()) return stream.error();
    last_stream_ = id;
    entries_[id] = std::make_unique<Entry>(streams_, owner, *stream, start_seq);
    return id;
  }

  void close(TimeMs now, CoreStreamId id) {
    Entry* entry = find(id);
    if (entry == nullptr) return;
    streams_.close(now, entry->stream);
    entries_.erase(id);
    const auto of_this = [id](const CoreStreamEffect& effect) {
      return std::visit([](const auto& item) { return item.stream; }, effect) == id;
    };
    effects_.erase(std::remove_if(effects_.begin(), effects_.end(), of_this), effects_.end());
  }

  StreamClientId stream(CoreStreamId id) const {
    const auto found = entries_.find(id);
    return found == entries_.end() ? 0 : found->second->stream;
  }

  const CoreStreamStore* store(CoreStreamId id) const {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second->store;
  }

  CallId publish(TimeMs now, CoreStreamId id, const std::vector<StreamSet>& items,
                 const StreamCallOptions& options) {
    return streams_.set_many(now, stream(id), items, options);
  }

  Result<CallId> load(TimeMs now, CoreStreamId id, StreamSequence start_seq) {
    Entry* entry = find(id);
    if (entry == nullptr) return Error(ErrorKind::closed);
    const CallId call = ++last_call_;
    if (auto done = entry->loader.load(now, call, start_seq)) report(id, *entry, {*done});
    return call;
  }

  void forget(CoreStreamId id, const std::vector<StreamSequence>& seqs) {
    Entry* entry = find(id);
    if (entry == nullptr) return;
    CoreStreamStore::Changes told;
    entry->store.forget(seqs, &told);
    tell(id, *entry, std::move(told));
  }

  void on_stream_effect(TimeMs now, StreamClientEffect effect) {
    const CoreStreamId id = std::visit([](const auto& item) { return item.owner.id; }, effect);
    Entry* entry = find(id);
    if (entry == nullptr) return;
    std::visit([&](auto& item) { handle(now, id, *entry, item); }, effect);
  }

  bool next(CoreStreamEffect& effect) {
    if (effects_.empty()) return false;
    effect = std::move(effects_.front());
    effects_.pop_front();
    return true;
  }

 private:
  struct Entry {
    Entry(StreamClients& streams, Owner its_owner, StreamClientId its_stream, StreamSequence start)
        : owner(its_owner), stream(its_stream), store(start), loader(streams, its_stream, store) {}

    Owner owner;
    StreamClientId stream;
    bool opened = false;
    CoreStreamStore store;
    HistoryLoader loader;
  };

  Entry* find(CoreStreamId id) {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : found->second.get();
  }

  void handle(TimeMs, CoreStreamId id, Entry& entry, stream_client_effect::Snapshot& effect) {
    CoreStreamStore::Changes told;
    entry.store.on_snapshot(effect.complete, effect.messages, entry.opened ? &told : nullptr);
    tell(id, entry, std::move(told));
    if (std::exchange(entry.opened, true)) return;
    effects_.push_back(core_stream_effect::Opened{entry.owner, id, std::nullopt});
  }
  void handle(TimeMs, CoreStreamId id, Entry& entry, stream_client_effect::Changes& effect) {
    CoreStreamStore::Changes told;
    entry.loader.on_updates(effect.changes);
    entry.store.on_updates(effect.changes, entry.opened ? &told : nullptr);
    tell(id, entry, std::move(told));
  }
  void handle(TimeMs, CoreStreamId id, Entry& entry, stream_client_effect::Failed& effect) {
    effects_.push_back(core_stream_effect::Opened{entry.owner, id, effect.error});
    entries_.erase(id);
  }
  void handle(TimeMs now, CoreStreamId id, Entry& entry,
              stream_client_effect::ConnectionChanged& effect) {
    if (effect.connected) entry.loader.on_connected(now);
    effects_.push_back(core_stream_effect::ConnectionChanged{entry.owner, id, effect.connected});
  }
  void handle(TimeMs now, CoreStreamId id, Entry& entry, stream_client_effect::Answer& effect) {
    CoreStreamStore::Changes told;
    std::vector<HistoryLoader::Done> done;
    if (!entry.loader.on_answer(now, effect, &told, done)) return;
    tell(id, entry, std::move(told));
    report(id, entry, done);
  }

  void tell(CoreStreamId id, Entry& entry, CoreStreamStore::Changes told) {
    for (StreamLogChange& change : told) {
      effects_.push_back(core_stream_effect::Change{entry.owner, id, std::move(change)});
    }
    streams_.set_held(entry.stream, entry.store.log().size());
  }

  void report(CoreStreamId id, const Entry& entry, const std::vector<HistoryLoader::Done>& done) {
    for (const HistoryLoader::Done& item : done) {
      effects_.push_back(core_stream_effect::Loaded{entry.owner, id, item.call, item.error});
    }
  }

  StreamClients& streams_;
  std::unordered_map<CoreStreamId, std::unique_ptr<Entry>> entries_;
  CoreStreamId last_stream_ = 0;
  CallId last_call_ = 0;
  std::deque<CoreStreamEffect> effects_;
};

CoreStreams::CoreStreams(StreamClients& streams) : impl_(std::make_unique<Impl>(streams)) {}
CoreStreams::~CoreStreams() = default;

Result<CoreStreamId> CoreStreams::open(TimeMs now, Owner owner, StreamOpenOptions options) {
  return impl_->open(now, owner, std::move(options));
}
void CoreStreams::close(TimeMs now, CoreStreamId stream) { impl_->close(now, stream); }
StreamClientId CoreStreams::stream(CoreStreamId stream) const { return impl_->stream(stream); }
const CoreStreamStore* CoreStreams::store(CoreStreamId stream) const {
  return impl_->store(stream);
}
CallId CoreStreams::publish(TimeMs now, CoreStreamId stream, const std::vector<StreamSet>& items,
                            const StreamCallOptions& call_options) {
  return impl_->publish(now, stream, items, call_options);
}
Result<CallId> CoreStreams::load(TimeMs now, CoreStreamId stream, StreamSequence start_seq) {
  return impl_->load(now, stream, start_seq);
}
void CoreStreams::forget(TimeMs, CoreStreamId stream, const std::vector<StreamSequence>& seqs) {
  impl_->forget(stream, seqs);
}
void CoreStreams::on_stream_effect(TimeMs now, StreamClientEffect effect) {
  impl_->on_stream_effect(now, std::move(effect));
}
bool CoreStreams::next(CoreStreamEffect& effect) { return impl_->next(effect); }

}  // namespace conat
