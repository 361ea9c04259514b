#include "conat/sync/key_table.hpp"

#include <cstring>
#include <new>
#include <utility>

namespace conat {
namespace {

constexpr std::size_t kToleratedHoles = 64;

std::uint8_t* put(std::uint8_t* out, ByteView bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

}  // namespace

KeyTable::RecordPointer KeyTable::make(std::string_view key, ByteView raw, ByteView headers) {
  const std::size_t size = sizeof(Record) + key.size() + raw.size() + headers.size();
  RecordPointer record(new (::operator new(size)) Record{});
  record->key_size = static_cast<std::uint32_t>(key.size());
  record->raw_size = static_cast<std::uint32_t>(raw.size());
  record->headers_size = static_cast<std::uint32_t>(headers.size());
  put(put(put(record->data(), as_bytes(key)), raw), headers);
  return record;
}

std::uint32_t KeyTable::hash_seq(StreamSequence seq) {
  const auto mixed = static_cast<std::uint64_t>(seq) * 0x9e3779b97f4a7c15u;
  return static_cast<std::uint32_t>(mixed >> 32);
}

std::uint32_t KeyTable::hash_key(std::string_view key) const {
  return static_cast<std::uint32_t>(hash_text(key, seed_));
}

KeyTable::Slot KeyTable::find(std::string_view key) const {
  return by_key_.find(hash_key(key), [&](Slot slot) { return slots_[slot]->key() == key; });
}

KeyTable::Slot KeyTable::find_seq(StreamSequence seq) const {
  return by_seq_.find(hash_seq(seq), [&](Slot slot) { return slots_[slot]->seq == seq; });
}

KeyTable::Entry KeyTable::entry(Slot slot) const {
  const Record& record = *slots_[slot];
  const std::uint8_t* raw = record.data() + record.key_size;
  return {record.key(),
          record.seq,
          record.time,
          record.encoding,
          record.tombstone,
          {raw, record.raw_size},
          {raw + record.raw_size, record.headers_size}};
}

KeyTable::Slot KeyTable::append(RecordPointer record) {
  compact();
  const Slot slot = slot_count();
  by_key_.insert(record->key_hash, slot);
  if (record->seq > 0) by_seq_.insert(hash_seq(record->seq), slot);
  slots_.push_back(std::move(record));
  return slot;
}

KeyTable::Slot KeyTable::add(std::string_view key) {
  RecordPointer record = make(key, {}, {});
  record->key_hash = hash_key(key);
  return append(std::move(record));
}

void KeyTable::assign(Slot slot, const StreamMessage& message, bool tombstone) {
  const Record& old = *slots_[slot];
  RecordPointer record = make(old.key(), message.raw, message.headers.encoded());
  record->key_hash = old.key_hash;
  record->pending = old.pending;
  record->seq = message.seq;
  record->time = message.time;
  record->encoding = message.encoding;
  record->tombstone = tombstone;
  unlink_seq(slot);
  slots_[slot] = std::move(record);
  by_seq_.insert(hash_seq(message.seq), slot);
}

void KeyTable::clear_message(Slot slot) {
  unlink_seq(slot);
  RecordPointer record = make(slots_[slot]->key(), {}, {});
  record->key_hash = slots_[slot]->key_hash;
  record->pending = slots_[slot]->pending;
  slots_[slot] = std::move(record);
}

void KeyTable::erase(Slot slot) {
  unlink_seq(slot);
  by_key_.erase(slots_[slot]->key_hash, slot);
  slots_[slot].reset();
  ++holes_;
}

KeyTable::Slot KeyTable::move_to_end(Slot slot) {
  if (slot + 1 == slot_count()) return slot;
  const Record& record = *slots_[slot];
  by_key_.erase(record.key_hash, slot);
  if (record.seq > 0) by_seq_.erase(hash_seq(record.seq), slot);
  RecordPointer moved = std::move(slots_[slot]);
  ++holes_;
  return append(std::move(moved));
}

void KeyTable::unlink_seq(Slot slot) {
  Record& record = *slots_[slot];
  if (record.seq > 0) by_seq_.erase(hash_seq(record.seq), slot);
  record.seq = 0;
}

// Closes the holes once there are more of them than keys.
void KeyTable::compact() {
  if (holes_ <= kToleratedHoles || 2 * holes_ < slots_.size()) return;
  std::vector<RecordPointer> kept;
  kept.reserve(slots_.size() - holes_ + 1);
  by_key_ = HashIndex();
  by_seq_ = HashIndex();
  for (RecordPointer& record : slots_) {
    if (!record) continue;
    const auto slot = static_cast<Slot>(kept.size());
    by_key_.insert(record->key_hash, slot);
    if (record->seq > 0) by_seq_.insert(hash_seq(record->seq), slot);
    kept.push_back(std::move(record));
  }
  slots_ = std::move(kept);
  holes_ = 0;
}

}  // namespace conat
