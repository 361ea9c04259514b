#include "conat/sync/dkv.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include "conat/sync/batch_sender.hpp"
#include "conat/sync/dkv_store.hpp"

namespace conat {

class Dkvs::Impl {
 public:
  Impl(StreamClients& streams, Random random)
      : streams_(streams), random_(std::move(random)), sender_(streams) {}

  Result<DkvId> open(TimeMs now, Owner owner, DkvOptions options) {
    const DkvId id = last_dkv_ + 1;
    // Deletions are messages that expire.
    if (options.stream.config.find("allow_msg_ttl") == nullptr) {
      options.stream.config.set("allow_msg_ttl", Value(true));
    }
    options.stream.follow = StreamFollow::everything;
    options.stream.start_seq = 0;
    const auto stream = streams_.open(now, Owner{Layer::sync, id}, std::move(options.stream));
    if (!stream.ok()) return stream.error();
    last_dkv_ = id;
    Entry& entry = entries_[id];
    entry.stream = *stream;
    entry.store = std::make_unique<DkvStore>(owner, id, options.merge, options.autosave,
                                             random_.fork(), effects_);
    return id;
  }

  void close(TimeMs now, DkvId id) {
    Entry* entry = find(id);
    if (entry == nullptr) return;
    entry->store->detach();
    entry->closing = true;
    const auto of_this = [id](const DkvEffect& effect) {
      return std::visit([](const auto& item) { return item.dkv; }, effect) == id;
    };
    effects_.erase(std::remove_if(effects_.begin(), effects_.end(), of_this), effects_.end());
    if (!entry->store->autosave() || entry->store->kept()) {
      remove(now, id, *entry);
    } else {
      settle(now, id, *entry);
    }
  }

  // The store, as long as the user has it open.
  DkvStore* store(DkvId id) const {
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.closing) return nullptr;
    return found->second.store.get();
  }

  StreamClientId stream(DkvId id) const {
    return store(id) == nullptr ? 0 : entries_.find(id)->second.stream;
  }

  Status change(DkvId id, const std::function<Status(DkvStore&)>& apply) {
    DkvStore* store = this->store(id);
    if (store == nullptr) return Error(ErrorKind::closed);
    Status status = apply(*store);
    sender_.arm(id, *store);
    return status;
  }

  Result<CallId> save(TimeMs now, DkvId id) {
    Entry* entry = find(id);
    if (entry == nullptr || entry->closing) return Error(ErrorKind::closed);
    const CallId call = ++last_call_;
    entry->store->save(now, call);
    settle(now, id, *entry);
    return call;
  }

  Status restore(TimeMs now, DkvId id, ByteView state, ByteView changes, bool open_now) {
    Entry* entry = find(id);
    if (entry == nullptr || entry->closing) return Error(ErrorKind::closed);
    Status status = entry->store->restore(state, changes, open_now);
    settle(now, id, *entry);
    return status;
  }

  void on_stream_effect(TimeMs now, StreamClientEffect effect) {
    const DkvId id = std::visit([](const auto& item) { return item.owner.id; }, effect);
    Entry* entry = find(id);
    if (entry == nullptr) {
      if (auto* answer = std::get_if<stream_client_effect::Answer>(&effect)) {
        sender_.on_answer(now, *answer, nullptr);
      }
      return;
    }
    std::visit([&](auto& item) { handle(now, *entry, item); }, effect);
    if (std::holds_alternative<stream_client_effect::Failed>(effect)) {
      sender_.remove(id);
      entries_.erase(id);
      return;
    }
    streams_.set_held(entry->stream, entry->store->held());
    settle(now, id, *entry);
  }

  void on_time(TimeMs now) {
    while (const DkvId id = sender_.pop_due(now)) {
      Entry& entry = *find(id);
      entry.store->on_time(now);
      settle(now, id, entry);
    }
  }

  std::optional<TimeMs> deadline() const { return sender_.deadline(); }

  bool next(DkvEffect& effect) {
    if (effects_.empty()) return false;
    effect = std::move(effects_.front());
    effects_.pop_front();
    return true;
  }

 private:
  struct Entry {
    StreamClientId stream = 0;
    std::unique_ptr<DkvStore> store;
    bool closing = false;  // by the user; what is unsaved is still sent
  };

  Entry* find(DkvId id) {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
  }

  void handle(TimeMs now, Entry& entry, stream_client_effect::Snapshot& effect) {
    entry.store->on_snapshot(now, effect.complete, std::move(effect.messages));
  }
  void handle(TimeMs now, Entry& entry, stream_client_effect::Changes& effect) {
    entry.store->on_changes(now, std::move(effect.changes));
  }
  void handle(TimeMs, Entry& entry, stream_client_effect::Failed& effect) {
    entry.store->on_failed(effect.error);
  }
  void handle(TimeMs now, Entry& entry, stream_client_effect::ConnectionChanged& effect) {
    entry.store->on_connection(now, effect.connected);
  }
  void handle(TimeMs now, Entry& entry, stream_client_effect::Answer& effect) {
    sender_.on_answer(now, effect, entry.store.get());
  }

  // Sends what is due, and ends a store that has nothing left to do.
  void settle(TimeMs now, DkvId id, Entry& entry) {
    sender_.send(now, id, entry.stream, *entry.store);
    if (entry.closing && !entry.store->has_unsaved_changes()) remove(now, id, entry);
  }

  void remove(TimeMs now, DkvId id, Entry& entry) {
    streams_.close(now, entry.stream);
    sender_.remove(id);
    entries_.erase(id);
  }

  StreamClients& streams_;
  Random random_;
  std::unordered_map<DkvId, Entry> entries_;
  DkvId last_dkv_ = 0;
  CallId last_call_ = 0;
  BatchSender<DkvStore> sender_;
  std::deque<DkvEffect> effects_;
};

Dkvs::Dkvs(StreamClients& streams, Random random)
    : impl_(std::make_unique<Impl>(streams, std::move(random))) {}
Dkvs::~Dkvs() = default;

Result<DkvId> Dkvs::open(TimeMs now, Owner owner, DkvOptions options) {
  return impl_->open(now, owner, std::move(options));
}
void Dkvs::close(TimeMs now, DkvId dkv) { impl_->close(now, dkv); }
StreamClientId Dkvs::stream(DkvId dkv) const { return impl_->stream(dkv); }

std::optional<EncodedValue> Dkvs::get(DkvId dkv, std::string_view key) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? std::nullopt : store->get(key);
}
bool Dkvs::has(DkvId dkv, std::string_view key) const {
  const DkvStore* store = impl_->store(dkv);
  return store != nullptr && store->has(key);
}
std::size_t Dkvs::size(DkvId dkv) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? 0 : store->size();
}
void Dkvs::for_each(
    DkvId dkv,
    const std::function<bool(std::string_view, PayloadEncoding, ByteView)>& visit) const {
  if (const DkvStore* store = impl_->store(dkv)) store->for_each(visit);
}
std::optional<StreamSequence> Dkvs::seq(DkvId dkv, std::string_view key) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? std::nullopt : store->seq(key);
}
std::optional<UnixMs> Dkvs::time(DkvId dkv, std::string_view key) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? std::nullopt : store->time(key);
}
Headers Dkvs::headers(DkvId dkv, std::string_view key) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? Headers() : store->headers(key);
}

Status Dkvs::set(TimeMs, DkvId dkv, std::string_view key, EncodedValue value, Headers headers) {
  return impl_->change(
      dkv, [&](DkvStore& store) { return store.set(key, std::move(value), std::move(headers)); });
}
Status Dkvs::erase(TimeMs, DkvId dkv, std::string_view key) {
  return impl_->change(dkv, [&](DkvStore& store) { return store.erase(key); });
}
Status Dkvs::clear(TimeMs, DkvId dkv) {
  return impl_->change(dkv, [](DkvStore& store) {
    store.clear();
    return Status(Nothing{});
  });
}
Result<CallId> Dkvs::save(TimeMs now, DkvId dkv) { return impl_->save(now, dkv); }
void Dkvs::resolve_merge(TimeMs, DkvId dkv, std::uint32_t merge,
                         std::optional<std::optional<EncodedValue>> merged) {
  (void)impl_->change(dkv, [&](DkvStore& store) {
    store.resolve_merge(merge, std::move(merged));
    return Status(Nothing{});
  });
}

bool Dkvs::has_unsaved_changes(DkvId dkv) const {
  const DkvStore* store = impl_->store(dkv);
  return store != nullptr && store->has_unsaved_changes();
}
std::vector<std::string> Dkvs::unsaved_changes(DkvId dkv) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? std::vector<std::string>{} : store->unsaved_changes();
}
bool Dkvs::is_stable(DkvId dkv) const { return !has_unsaved_changes(dkv); }

Bytes Dkvs::kept_state(DkvId dkv) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? Bytes() : store->kept_state();
}
Bytes Dkvs::kept_changes(DkvId dkv) const {
  const DkvStore* store = impl_->store(dkv);
  return store == nullptr ? Bytes() : store->kept_changes();
}
Status Dkvs::restore(TimeMs now, DkvId dkv, ByteView state, ByteView changes, bool open_now) {
  return impl_->restore(now, dkv, state, changes, open_now);
}

void Dkvs::on_stream_effect(TimeMs now, StreamClientEffect effect) {
  impl_->on_stream_effect(now, std::move(effect));
}
void Dkvs::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> Dkvs::deadline() const { return impl_->deadline(); }
bool Dkvs::next(DkvEffect& effect) { return impl_->next(effect); }

}  // namespace conat
