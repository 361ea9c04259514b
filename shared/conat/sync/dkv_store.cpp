#include "conat/sync/dkv_store.hpp"

#include <utility>

#include "conat/sync/kept.hpp"

namespace conat {

DkvStore::DkvStore(Owner owner, DkvId id, MergeKind merge, bool autosave, Random random,
                   Effects& effects)
    : owner_(owner),
      id_(id),
      merge_(merge),
      autosave_(autosave),
      random_(std::move(random)),
      effects_(effects),
      table_(random_.next_u64()) {}

DkvStore::~DkvStore() = default;

// ---- reading ----

const DkvStore::Pending* DkvStore::find_pending(Slot slot) const {
  if (!table_.pending(slot)) return nullptr;
  return &pending_.find(table_.entry(slot).key)->second;
}

DkvStore::Pending* DkvStore::find_pending(Slot slot) {
  if (!table_.pending(slot)) return nullptr;
  return &pending_.find(table_.entry(slot).key)->second;
}

bool DkvStore::visible(Slot slot) const {
  const Pending* pending = find_pending(slot);
  return pending == nullptr ? table_.entry(slot).has_value() : pending->local.has_value();
}

OptionalValue DkvStore::remote_value(Slot slot) const {
  const KeyTable::Entry entry = table_.entry(slot);
  if (!entry.has_value()) return std::nullopt;
  return SharedValue{entry.encoding, SharedBytes::copy_of(entry.raw)};
}

Headers DkvStore::remote_headers(Slot slot) const {
  const KeyTable::Entry entry = table_.entry(slot);
  return entry.has_value() ? without_change_id(Headers(to_bytes(entry.headers))) : Headers();
}

std::optional<EncodedValue> DkvStore::get(std::string_view key) const {
  const Slot slot = table_.find(key);
  if (slot == KeyTable::none) return std::nullopt;
  if (const Pending* pending = find_pending(slot)) return encoded_value(pending->local);
  const KeyTable::Entry entry = table_.entry(slot);
  if (!entry.has_value()) return std::nullopt;
  return EncodedValue{entry.encoding, to_bytes(entry.raw)};
}

bool DkvStore::has(std::string_view key) const {
  const Slot slot = table_.find(key);
  return slot != KeyTable::none && visible(slot);
}

void DkvStore::for_each(
    const std::function<bool(std::string_view, PayloadEncoding, ByteView)>& visit) const {
  for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
    if (!table_.occupied(slot)) continue;
    const KeyTable::Entry entry = table_.entry(slot);
    const Pending* pending = find_pending(slot);
    if (pending == nullptr) {
      if (entry.has_value() && !visit(entry.key, entry.encoding, entry.raw)) return;
    } else if (pending->local) {
      if (!visit(entry.key, pending->local->encoding, pending->local->raw.view())) return;
    }
  }
}

std::optional<StreamSequence> DkvStore::seq(std::string_view key) const {
  const Slot slot = table_.find(key);
  if (slot == KeyTable::none || !visible(slot)) return std::nullopt;
  const KeyTable::Entry entry = table_.entry(slot);
  if (!entry.has_value()) return std::nullopt;
  return entry.seq;
}

std::optional<UnixMs> DkvStore::time(std::string_view key) const {
  const Slot slot = table_.find(key);
  if (slot == KeyTable::none || !visible(slot)) return std::nullopt;
  const KeyTable::Entry entry = table_.entry(slot);
  if (!entry.has_value()) return std::nullopt;
  return entry.time;
}

Headers DkvStore::headers(std::string_view key) const {
  const Slot slot = table_.find(key);
  if (slot == KeyTable::none || !visible(slot)) return {};
  if (const Pending* pending = find_pending(slot)) return pending->headers;
  return remote_headers(slot);
}

std::vector<std::string> DkvStore::unsaved_changes() const {
  std::vector<std::string> keys;
  keys.reserve(pending_.size());
  for (const auto& entry : pending_) keys.push_back(entry.first);
  return keys;
}

// ---- local changes ----

Status DkvStore::set(std::string_view key, EncodedValue value, Headers headers) {
  if (key.size() > limits::max_key_bytes) {
    return Error(ErrorKind::too_large,
                 "a key may have at most " + std::to_string(limits::max_key_bytes) + " bytes");
  }
  if (value.raw.size() + headers.encoded().size() > limits::max_value_bytes) {
    return Error(ErrorKind::too_large,
                 "a value may have at most " + std::to_string(limits::max_value_bytes) + " bytes");
  }
  change(key, SharedValue{value.encoding, SharedBytes::copy_of(value.raw)}, std::move(headers));
  check_stable();
  return Nothing{};
}

Status DkvStore::erase(std::string_view key) {
  change(key, std::nullopt, {});
  check_stable();
  return Nothing{};
}

void DkvStore::clear() {
  std::vector<std::string> keys;
  keys.reserve(visible_);
  for_each([&](std::string_view key, PayloadEncoding, ByteView) {
    keys.emplace_back(key);
    return true;
  });
  for (const std::string& key : keys) change(key, std::nullopt, {});
  check_stable();
}

void DkvStore::change(std::string_view key, OptionalValue value, Headers headers) {
  Slot slot = table_.find(key);
  if (slot == KeyTable::none) {
    if (!value) return;
    slot = table_.add(key);
  }
  const bool was_visible = visible(slot);
  Pending* pending = find_pending(slot);
  if (pending == nullptr) {
    if (shows_server_value(value, headers, slot)) return;
    pending = &make_pending(slot);
  } else if (quickly_same(pending->local, value) && same_headers(pending->headers, headers)) {
    return;
  }
  pending->local = std::move(value);
  pending->headers = std::move(headers);
  place(slot, was_visible);
  if (pending->write != nullptr) {
    pending->changed = !quickly_same(pending->local, pending->write->value) ||
                       !same_headers(pending->headers, pending->write->headers);
    return;
  }
  if (pending->merge != 0) {
    pending->changed = true;
    return;
  }
  slot = table_.find(pending->key);
  if (shows_server_value(pending->local, pending->headers, slot)) {
    take_back(*pending, slot);  // nothing of it has been sent
  } else if (!pending->refused) {
    queue(*pending);
  }
}

// Whether the server has this value (absent: no value) already, as far as is known.
bool DkvStore::shows_server_value(const OptionalValue& value, const Headers& headers,
                                  Slot slot) const {
  const KeyTable::Entry entry = table_.entry(slot);
  if (!value || !entry.has_value()) return !value && !entry.has_value();
  return quickly_same(view_of(*value), {entry.encoding, entry.raw}) &&
         same_headers(headers, remote_headers(slot));
}

DkvStore::Pending& DkvStore::make_pending(Slot slot) {
  const auto [position, added] = pending_.try_emplace(std::string(table_.entry(slot).key));
  (void)added;
  position->second.key = position->first;
  table_.set_pending(slot, true);
  stable_ = false;
  return position->second;
}

// Ends the local change: the key shows what the server has. `pending` is gone afterwards, and
// `slot` no longer valid.
void DkvStore::drop(Pending& pending, Slot slot) {
  const bool was_visible = visible(slot);
  unqueue(pending);
  forget_write(pending);
  if (pending.merge != 0) merges_.erase(pending.merge);
  table_.set_pending(slot, false);
  pending_.erase(pending_.find(pending.key));
  const bool has_message = table_.entry(slot).seq > 0;
  place(slot, was_visible);
  if (!has_message) table_.erase(slot);
}

void DkvStore::queue(Pending& pending) {
  if (pending.order != 0) return;
  pending.order = ++last_order_;
  unsent_.emplace(pending.order, &pending);
}

void DkvStore::unqueue(Pending& pending) {
  if (pending.order != 0) unsent_.erase(pending.order);
  pending.order = 0;
}

// Counts a key that appeared or vanished, and gives it its place in the order.
void DkvStore::place(Slot slot, bool was_visible) {
  const bool is_visible = visible(slot);
  if (is_visible && !was_visible) {
    ++visible_;
    table_.move_to_end(slot);
  } else if (!is_visible && was_visible) {
    --visible_;
  }
}

void DkvStore::check_stable() {
  adopt_waiting();
  if (stable_ || !pending_.empty()) return;
  stable_ = true;
  answer(saves_, std::nullopt);
  emit(dkv_effect::Stable{owner_, id_});
}

void DkvStore::detach() {
  detached_ = true;
  saves_.clear();
  attempt_.clear();
  const auto merges = std::exchange(merges_, {});
  for (const auto& entry : merges) {
    const auto position = pending_.find(entry.second);
    if (position == pending_.end()) continue;
    position->second.merge = 0;
    position->second.changed = false;
    keep_local(position->second);
  }
}

// ---- effects ----

void DkvStore::emit_change(std::string_view key, const OptionalValue& value,
                           const OptionalValue& previous) {
  if (detached_ || !opened_) return;
  emit(dkv_effect::Change{owner_, id_, std::string(key), encoded_value(value),
                          encoded_value(previous)});
}

void DkvStore::answer(std::vector<CallId>& calls, const std::optional<Error>& error) {
  for (const CallId call : std::exchange(calls, {})) {
    emit(dkv_effect::Saved{owner_, id_, call, error});
  }
}

}  // namespace conat
