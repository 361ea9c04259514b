// What is kept of a store for the next run of the program, and how it goes on from there.
#include <utility>

#include "conat/sync/dkv_store.hpp"
#include "conat/sync/kept.hpp"

namespace conat {
namespace {

constexpr std::string_view kDkvState = "conat-dkv-state";
constexpr std::string_view kDkvChanges = "conat-dkv-changes";

}  // namespace

Bytes DkvStore::kept_state() const {
  Value::Array items;
  for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
    if (!table_.occupied(slot)) continue;
    const KeyTable::Entry entry = table_.entry(slot);
    if (entry.seq == 0) continue;
    items.push_back(
        kept_message(entry.key, entry.seq, entry.time, entry.encoding, entry.raw, entry.headers));
  }
  return kept_bytes(kDkvState, std::move(items));
}

// An item: key, local value, headers, what both sides had last, that as the server's message (when
// it still is), and the write that is out: id, value, headers, previousSeq.
Bytes DkvStore::kept_changes() const {
  Value::Array items;
  for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
    if (!table_.occupied(slot) || !table_.pending(slot)) continue;
    const Pending& pending = *find_pending(slot);
    const KeyTable::Entry entry = table_.entry(slot);
    Value::Array item;
    item.emplace_back(pending.key);
    item.push_back(kept_value(pending.local));
    item.emplace_back(pending.headers.encoded());
    item.push_back(kept_value(pending.base_kept ? pending.base : remote_value(slot)));
    item.push_back(pending.base_kept || entry.seq == 0
                       ? Value()
                       : kept_message(entry.key, entry.seq, entry.time, entry.encoding, entry.raw,
                                      entry.headers));
    if (const Write* write = pending.write.get()) {
      Value::Array out;
      out.emplace_back(write->message_id);
      out.push_back(kept_value(write->value));
      out.emplace_back(write->headers.encoded());
      out.push_back(write->previous_seq ? Value(static_cast<std::int64_t>(*write->previous_seq))
                                        : Value());
      item.emplace_back(std::move(out));
    } else {
      item.emplace_back();
    }
    items.emplace_back(std::move(item));
  }
  for (const Adopted& adopted : adopted_) items.push_back(adopted.item);
  return kept_bytes(kDkvChanges, std::move(items));
}

bool DkvStore::read_change(const Value& item, Adopted& change) {
  const Value::Array* parts = item.if_array();
  if (parts == nullptr || parts->size() != 6) return false;
  const std::string* key = (*parts)[0].if_text();
  if (key == nullptr || key->size() > limits::max_key_bytes) return false;
  change.key = *key;
  if (!read_kept_value((*parts)[1], change.local)) return false;
  if (!read_kept_headers((*parts)[2], change.headers)) return false;
  if (!read_kept_value((*parts)[3], change.base)) return false;
  if (!(*parts)[4].is_null()) {
    change.base_message = read_kept_message((*parts)[4]);
    if (!change.base_message || change.base_message->key != change.key) return false;
  }
  if (!(*parts)[5].is_null()) {
    const Value::Array* out = (*parts)[5].if_array();
    if (out == nullptr || out->size() != 4) return false;
    const std::string* id = (*out)[0].if_text();
    if (id == nullptr || id->empty() || id->size() > 100) return false;
    Write write;
    write.message_id = *id;
    if (!read_kept_value((*out)[1], write.value)) return false;
    if (!read_kept_headers((*out)[2], write.headers)) return false;
    if (!(*out)[3].is_null()) write.previous_seq = (*out)[3].integer_or(0);
    write.state = WriteState::unknown;
    change.write = std::move(write);
  }
  change.item = item;
  return true;
}

Status DkvStore::restore(ByteView state, ByteView changes, bool open_now) {
  kept_ = true;
  std::vector<StreamMessage> messages;
  std::vector<Adopted> adopted;
  if (!state.empty()) {
    auto items = read_kept(kDkvState, state);
    if (!items.ok()) return items.error();
    for (const Value& item : *items) {
      auto message = read_kept_message(item);
      if (!message || !message->key) return Error(ErrorKind::malformed, "a kept value is damaged");
      messages.push_back(std::move(*message));
    }
  }
  if (!changes.empty()) {
    auto items = read_kept(kDkvChanges, changes);
    if (!items.ok()) return items.error();
    for (const Value& item : *items) {
      Adopted change;
      if (!read_change(item, change)) {
        return Error(ErrorKind::malformed, "a kept change is damaged");
      }
      adopted.push_back(std::move(change));
    }
  }
  // Once the server has told its state, what was kept of it is outdated.
  if (!synced_) {
    for (StreamMessage& message : messages) apply(std::move(message));
  }
  for (Adopted& change : adopted) adopt(std::move(change));
  if (open_now && !opened_) {
    opened_ = true;
    emit(dkv_effect::Opened{owner_, id_, std::nullopt});
  }
  check_stable();
  return Nothing{};
}

// A change of an earlier run, or of another one that has ended, becomes one of this store.
void DkvStore::adopt(Adopted change) {
  Slot slot = table_.find(change.key);
  if (slot != KeyTable::none && table_.pending(slot)) {
    // One's own comes first. Without a merge it is the last write, which wins.
    if (merging()) adopted_.push_back(std::move(change));
    return;
  }
  const StreamSequence known = slot == KeyTable::none ? 0 : table_.entry(slot).seq;
  if (change.base_message && !synced_ && change.base_message->seq > known) {
    apply(std::move(*change.base_message));
  }
  slot = table_.find(change.key);
  if (slot == KeyTable::none) slot = table_.add(change.key);
  if (change.write &&
      change_id_of(Headers(to_bytes(table_.entry(slot).headers))) == change.write->message_id) {
    // It has arrived; what was changed after it has not.
    change.base = change.write->value;
    const bool more = !same_value(change.local, change.write->value) ||
                      !same_headers(change.headers, change.write->headers);
    change.write.reset();
    if (!more) return;
  }
  const bool was_visible = visible(slot);
  Pending& pending = make_pending(slot);
  pending.local = std::move(change.local);
  pending.headers = std::move(change.headers);
  place(slot, was_visible);
  slot = table_.find(pending.key);
  if (!same_value(change.base, remote_value(slot))) {
    pending.base_kept = true;
    pending.base = std::move(change.base);
  }
  if (change.write) {
    pending.write = std::make_unique<Write>(std::move(*change.write));
    pending.changed = !same_value(pending.local, pending.write->value) ||
                      !same_headers(pending.headers, pending.write->headers);
    writes_.emplace(pending.write->message_id, &pending);
    queue(pending);
  } else if (pending.base_kept) {
    conflict(pending, slot);
  } else {
    queue(pending);
  }
}

void DkvStore::adopt_waiting() {
  if (adopted_.empty()) return;
  for (Adopted& change : std::exchange(adopted_, {})) adopt(std::move(change));
}

}  // namespace conat
