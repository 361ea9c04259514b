// What the server tells, and how it meets the local changes.
#include <utility>

#include "conat/sync/dkv_store.hpp"
#include "conat/sync/kept.hpp"

namespace conat {
namespace {

bool is_tombstone(const StreamMessage& message) {
  if (message.headers.empty()) return false;
  const auto flag = message.headers.get(header::tombstone);
  return flag && flag->bool_or(false);
}

}  // namespace

// ---- what the stream tells ----

void DkvStore::on_snapshot(TimeMs now, bool complete, std::vector<StreamMessage> messages) {
  (void)now;
  reloading_ = complete;
  synced_ = true;
  for (StreamMessage& message : messages) {
    if (!message.key) continue;
    const std::string key = *message.key;
    apply(std::move(message));
    if (complete) {
      const Slot slot = table_.find(key);
      if (slot != KeyTable::none) table_.set_marked(slot, true);
    }
  }
  reloading_ = false;
  if (complete) sweep_unmarked();
  // All that was acknowledged came before this session: if it does not show, it is gone again.
  settle_acknowledged(false);
  if (!opened_) {
    opened_ = true;
    emit(dkv_effect::Opened{owner_, id_, std::nullopt});
  }
  check_stable();
}

// By key, because judging a conflict may renumber the slots.
void DkvStore::sweep_unmarked() {
  std::vector<std::string> gone;
  for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
    if (!table_.occupied(slot)) continue;
    const KeyTable::Entry entry = table_.entry(slot);
    if (entry.seq > 0 && !table_.marked(slot)) gone.emplace_back(entry.key);
    table_.set_marked(slot, false);
  }
  for (const std::string& key : gone) {
    const Slot slot = table_.find(key);
    if (slot != KeyTable::none) remove(slot);
  }
}

void DkvStore::on_changes(TimeMs now, std::vector<StreamUpdate> changes) {
  (void)now;
  for (StreamUpdate& change : changes) {
    if (!change.is_delete) {
      apply(std::move(change.message));
      continue;
    }
    for (const StreamSequence seq : change.deleted) {
      const Slot slot = table_.find_seq(seq);
      if (slot != KeyTable::none) remove(slot);
    }
  }
  check_stable();
}

void DkvStore::on_connection(TimeMs now, bool connected) {
  connected_ = connected;
  if (connected) {
    failures_ = 0;
    send_at_ = now;
    server_checks_absence_ = true;
    refused_creations_ = 0;
    retry_refused();
  } else {
    // The attempt ends with what is under way.
    if (!attempt_.empty()) attempt_error_ = Error(ErrorKind::disconnected);
    attempt_order_ = 0;
    finish_attempt();
  }
  emit(dkv_effect::ConnectionChanged{owner_, id_, connected});
}

void DkvStore::on_failed(const Error& error) {
  answer(saves_, error);
  answer(attempt_, error);
  if (!opened_) emit(dkv_effect::Opened{owner_, id_, error});
}

// A message was set. Echoes are told by their msgID, or by the seq of the answer.
void DkvStore::apply(StreamMessage message) {
  if (!message.key) return;
  seen_seq_ = reloading_ ? message.seq : std::max(seen_seq_, message.seq);
  const bool tombstone = is_tombstone(message);
  Slot slot = table_.find(*message.key);
  if (slot == KeyTable::none) slot = table_.add(*message.key);
  const KeyTable::Entry entry = table_.entry(slot);
  if (message.seq < entry.seq && !reloading_) return;
  if (message.seq == entry.seq && message.time == entry.time &&
      as_text(message.raw) == as_text(entry.raw)) {
    return;
  }
  Pending* pending = find_pending(slot);
  if (pending == nullptr) {
    const bool was_visible = entry.has_value();
    const OptionalValue previous = opened_ ? remote_value(slot) : std::nullopt;
    table_.assign(slot, message, tombstone);
    const OptionalValue value = opened_ ? remote_value(slot) : std::nullopt;
    place(slot, was_visible);
    if (was_visible || !tombstone) emit_change(*message.key, value, previous);
    return;
  }
  keep_base(*pending, slot);
  table_.assign(slot, message, tombstone);
  Write* write = pending->write.get();
  const bool echo = write != nullptr && change_id_of(message) == write->message_id;
  if (echo) {
    write->state = WriteState::acknowledged;
    write->seq = message.seq;
  }
  remote_moved(*pending, slot);
}

// The server's message of a key is gone.
void DkvStore::remove(Slot slot) {
  Pending* pending = find_pending(slot);
  if (pending == nullptr) {
    const bool was_visible = table_.entry(slot).has_value();
    const OptionalValue previous = remote_value(slot);
    const std::string key(table_.entry(slot).key);
    table_.erase(slot);
    if (!was_visible) return;
    --visible_;
    emit_change(key, std::nullopt, previous);
    return;
  }
  keep_base(*pending, slot);
  table_.clear_message(slot);
  remote_moved(*pending, slot);
}

// Before the table moves on: what both sides had last.
void DkvStore::keep_base(Pending& pending, Slot slot) {
  if (pending.base_kept) return;
  pending.base_kept = true;
  pending.base = remote_value(slot);
  if (pending.told_kept) return;
  pending.told_kept = true;
  pending.told = pending.base;
}

OptionalValue DkvStore::told(const Pending& pending, Slot slot) const {
  return pending.told_kept ? pending.told : remote_value(slot);
}

void DkvStore::tell_local(Pending& pending, const OptionalValue& value,
                          const OptionalValue& previous) {
  emit_change(pending.key, value, previous);
  pending.told_kept = true;
  pending.told = value;
}

// Judged at once, or when the outcome of a write or of a merge is known.
void DkvStore::remote_moved(Pending& pending, Slot slot) {
  if (const Write* write = pending.write.get()) {
    const bool decided =
        write->state == WriteState::acknowledged && table_.entry(slot).seq >= write->seq;
    if (decided) settle(pending, slot);
    return;
  }
  if (pending.merge == 0) conflict(pending, slot);
}

// ---- the outcome of a write ----

void DkvStore::forget_write(Pending& pending) {
  if (pending.write == nullptr) return;
  writes_.erase(pending.write->message_id);
  pending.write.reset();
}

void DkvStore::settle_acknowledged(bool only_repeated) {
  std::vector<Pending*> acknowledged;
  for (const auto& entry : writes_) {
    const Write& write = *entry.second->write;
    if (write.state == WriteState::acknowledged && (write.repeated || !only_repeated)) {
      acknowledged.push_back(entry.second);
    }
  }
  for (Pending* pending : acknowledged) settle(*pending, table_.find(pending->key));
}

// The write is at the server, and the stream has shown it or what came after it.
void DkvStore::settle(Pending& pending, Slot slot) {
  const StreamSequence seq = pending.write->seq;
  const bool newest = table_.entry(slot).seq == seq;
  const OptionalValue written = std::move(pending.write->value);
  const OptionalValue previous = told(pending, slot);
  const bool changed = std::exchange(pending.changed, false);
  forget_write(pending);
  unqueue(pending);
  if (!changed) {
    show_remote(pending, slot, previous);
  } else if (newest) {
    pending.base_kept = false;
    pending.base.reset();
    tell_local(pending, written, previous);
    queue(pending);
  } else {
    pending.base_kept = true;
    pending.base = written;
    conflict(pending, slot);
  }
}

// The local change ends, the key shows the server's value.
void DkvStore::show_remote(Pending& pending, Slot slot, const OptionalValue& previous) {
  const OptionalValue value = remote_value(slot);
  const std::string key(pending.key);
  drop(pending, slot);
  if (value || previous) emit_change(key, value, previous);
}

// The local change ends without having reached the server. What others changed behind it is told
// now.
void DkvStore::take_back(Pending& pending, Slot slot) {
  const OptionalValue previous = told(pending, slot);
  if (same_value(previous, remote_value(slot))) {
    drop(pending, slot);
  } else {
    show_remote(pending, slot, previous);
  }
}

// ---- conflicts: the remote value moved on, nothing of the local change is under way ----

void DkvStore::conflict(Pending& pending, Slot slot) {
  pending.refused = false;
  const OptionalValue remote = remote_value(slot);
  const OptionalValue base = pending.base_kept ? pending.base : remote;
  // Two clients that count one further each have the same value, and still both must count.
  if (merge_ != MergeKind::counter && same_value(pending.local, remote)) {
    show_remote(pending, slot, told(pending, slot));
    return;
  }
  if (!merging() || (merge_ == MergeKind::custom && detached_)) {
    keep_local(pending);
  } else if (merge_ == MergeKind::custom) {
    ask_for_merge(pending, slot);
  } else {
    OptionalValue merged;
    if (merge_built_in(pending.local, remote, base, merged)) {
      take_merged(pending, slot, std::move(merged));
    } else {
      keep_local(pending);
    }
  }
}

// False when a value cannot be decoded.
bool DkvStore::merge_built_in(const OptionalValue& local, const OptionalValue& remote,
                              const OptionalValue& base, OptionalValue& merged) const {
  std::optional<Value> values[3];
  const OptionalValue* encoded[3] = {&local, &remote, &base};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!*encoded[i]) continue;
    auto decoded = decode_payload((*encoded[i])->encoding, (*encoded[i])->raw.view());
    if (!decoded.ok()) return false;
    values[i] = std::move(*decoded);
  }
  const auto pointer = [&](std::size_t i) { return values[i] ? &*values[i] : nullptr; };
  const std::optional<Value> result = merge_values(merge_, {pointer(0), pointer(1), pointer(2)});
  if (result) {
    const PayloadEncoding encoding = local    ? local->encoding
                                     : remote ? remote->encoding
                                              : PayloadEncoding::msgpack;
    merged = SharedValue{encoding, SharedBytes::copy_of(encode_payload(encoding, *result))};
  }
  return true;
}

void DkvStore::take_merged(Pending& pending, Slot slot, OptionalValue merged) {
  const OptionalValue before = pending.local;
  if (same_value(merged, remote_value(slot))) {
    show_remote(pending, slot, before);
    return;
  }
  const bool news = !same_value(before, merged);
  const bool was_visible = visible(slot);
  pending.local = std::move(merged);
  place(slot, was_visible);
  keep_local(pending);
  if (news) tell_local(pending, pending.local, before);
}

// The local value is to be saved on top of the remote one.
void DkvStore::keep_local(Pending& pending) {
  pending.base_kept = false;
  pending.base.reset();
  queue(pending);
}

void DkvStore::ask_for_merge(Pending& pending, Slot slot) {
  unqueue(pending);
  pending.merge = ++last_merge_;
  pending.changed = false;
  pending.asked_seq = table_.entry(slot).seq;
  merges_.emplace(pending.merge, std::string(pending.key));
  emit(dkv_effect::MergeNeeded{owner_, id_, pending.merge, std::string(pending.key),
                               encoded_value(pending.local), encoded_value(remote_value(slot)),
                               encoded_value(pending.base)});
}

void DkvStore::resolve_merge(std::uint32_t merge,
                             std::optional<std::optional<EncodedValue>> merged) {
  const auto asked = merges_.find(merge);
  if (asked == merges_.end()) return;
  const Slot slot = table_.find(asked->second);
  merges_.erase(asked);
  Pending& pending = *find_pending(slot);
  pending.merge = 0;
  const bool changed = std::exchange(pending.changed, false);
  if (changed || pending.asked_seq != table_.entry(slot).seq) {
    conflict(pending, slot);  // the question is another one by now
  } else if (!merged) {
    keep_local(pending);
  } else if (!*merged) {
    take_merged(pending, slot, std::nullopt);
  } else {
    take_merged(pending, slot,
                SharedValue{(*merged)->encoding, SharedBytes::copy_of((*merged)->raw)});
  }
  check_stable();
}

}  // namespace conat
