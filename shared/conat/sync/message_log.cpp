#include "conat/sync/message_log.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace conat {
namespace {

constexpr std::size_t kHolesKept = 64;

std::uint8_t* copy_into(std::uint8_t* out, ByteView bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

std::size_t lowest_bit(std::size_t number) { return number & (~number + 1); }

}  // namespace

MessageLog::Slot MessageLog::make(const StreamMessage& message) {
  const std::string_view key = message.key ? std::string_view(*message.key) : std::string_view();
  const Bytes& headers = message.headers.encoded();
  const std::size_t size = sizeof(Record) + key.size() + message.raw.size() + headers.size();
  std::unique_ptr<Record, Release> record(new (::operator new(size)) Record{});
  record->time = message.time;
  record->key_size = static_cast<std::uint32_t>(key.size());
  record->raw_size = static_cast<std::uint32_t>(message.raw.size());
  record->headers_size = static_cast<std::uint32_t>(headers.size());
  record->encoding = message.encoding;
  record->keyed = message.key.has_value();
  copy_into(copy_into(copy_into(record->data(), as_bytes(key)), message.raw), headers);
  return {message.seq, std::move(record)};
}

MessageLog::Entry MessageLog::entry_of(const Slot& slot) {
  const Record& record = *slot.record;
  const std::uint8_t* raw = record.data() + record.key_size;
  Entry entry;
  entry.seq = slot.seq;
  entry.time = record.time;
  if (record.keyed) entry.key = as_text({record.data(), record.key_size});
  entry.encoding = record.encoding;
  entry.raw = {raw, record.raw_size};
  entry.headers = {raw + record.raw_size, record.headers_size};
  return entry;
}

// ---- finding ----

std::size_t MessageLog::slot_from(StreamSequence seq) const {
  const auto found =
      std::lower_bound(slots_.begin() + static_cast<std::ptrdiff_t>(first_), slots_.end(), seq,
                       [](const Slot& slot, StreamSequence wanted) { return slot.seq < wanted; });
  return static_cast<std::size_t>(found - slots_.begin());
}

std::size_t MessageLog::live_before(std::size_t slot) const {
  if (!counted_) return slot - first_;
  std::size_t live = 0;
  for (std::size_t i = slot; i > 0; i -= lowest_bit(i)) live += tree_[i];
  return live;
}

std::size_t MessageLog::slot_at(std::size_t index) const {
  if (!counted_) return first_ + index;
  std::size_t step = 1;
  while (2 * step < tree_.size()) step *= 2;
  std::size_t slot = 0;
  for (std::size_t left = index + 1; step > 0; step /= 2) {
    if (slot + step < tree_.size() && tree_[slot + step] < left) {
      slot += step;
      left -= tree_[slot];
    }
  }
  return slot;  // the last place of the tree, which counts from 1, that has too few before it
}

MessageLog::Entry MessageLog::at(std::size_t index) const {
  return entry_of(slots_[slot_at(index)]);
}

std::size_t MessageLog::index_of(StreamSequence seq) const {
  const std::size_t slot = slot_from(seq);
  if (slot == slots_.size() || slots_[slot].seq != seq || !slots_[slot].record) return none;
  return live_before(slot);
}

std::optional<MessageLog::Entry> MessageLog::find(StreamSequence seq) const {
  const std::size_t slot = slot_from(seq);
  if (slot == slots_.size() || slots_[slot].seq != seq || !slots_[slot].record) return std::nullopt;
  return entry_of(slots_[slot]);
}

std::size_t MessageLog::lower_bound(StreamSequence seq) const {
  return live_before(slot_from(seq));
}

// ---- changing ----

// Numbers may start again: holes must not be in their way.
void MessageLog::drop_last_holes() {
  while (!slots_.empty() && !slots_.back().record) {
    if (slots_.size() == first_) {
      --first_;
    } else {
      --holes_;
    }
    slots_.pop_back();
    if (counted_) tree_.pop_back();
  }
}

void MessageLog::append(const StreamMessage& message) {
  drop_last_holes();
  compact();
  bytes_ += message.raw.size();
  slots_.push_back(make(message));
  if (counted_) count_appended();
}

void MessageLog::insert(const std::vector<const StreamMessage*>& messages) {
  if (messages.empty()) return;
  drop_last_holes();
  if (slots_.empty() || messages.front()->seq > slots_.back().seq) {
    for (const StreamMessage* message : messages) append(*message);
    return;
  }
  std::vector<Slot> merged;
  merged.reserve(size() + messages.size());
  auto next = messages.begin();
  for (Slot& slot : slots_) {
    if (!slot.record) continue;
    for (; next != messages.end() && (*next)->seq < slot.seq; ++next)
      merged.push_back(make(**next));
    merged.push_back(std::move(slot));
  }
  for (; next != messages.end(); ++next) merged.push_back(make(**next));
  for (const StreamMessage* message : messages) bytes_ += message->raw.size();
  slots_ = std::move(merged);
  first_ = 0;
  holes_ = 0;
  counted_ = false;
  tree_.clear();
}

bool MessageLog::erase(StreamSequence seq) {
  const std::size_t slot = slot_from(seq);
  if (slot == slots_.size() || slots_[slot].seq != seq || !slots_[slot].record) return false;
  bytes_ -= slots_[slot].record->raw_size;
  slots_[slot].record.reset();
  if (slot != first_) {
    ++holes_;
    if (!counted_) {
      count_slots();
    } else {
      count_erased(slot);
    }
    return true;
  }
  if (counted_) count_erased(slot);
  ++first_;
  for (; first_ < slots_.size() && !slots_[first_].record; ++first_) --holes_;
  return true;
}

void MessageLog::compact() {
  if (first_ + holes_ <= size() + kHolesKept) return;
  slots_.erase(std::remove_if(slots_.begin(), slots_.end(),
                              [](const Slot& slot) { return slot.record == nullptr; }),
               slots_.end());
  first_ = 0;
  holes_ = 0;
  counted_ = false;
  tree_.clear();
}

// ---- counting ----

void MessageLog::count_slots() {
  counted_ = true;
  tree_.assign(slots_.size() + 1, 0);
  for (std::size_t i = 1; i < tree_.size(); ++i) {
    tree_[i] += slots_[i - 1].record ? 1 : 0;
    const std::size_t parent = i + lowest_bit(i);
    if (parent < tree_.size()) tree_[parent] += tree_[i];
  }
}

void MessageLog::count_appended() {
  const std::size_t added = slots_.size();
  std::uint32_t count = 1;
  for (std::size_t i = added - 1; i > added - lowest_bit(added); i -= lowest_bit(i)) {
    count += tree_[i];
  }
  tree_.push_back(count);
}

void MessageLog::count_erased(std::size_t slot) {
  for (std::size_t i = slot + 1; i < tree_.size(); i += lowest_bit(i)) --tree_[i];
}

}  // namespace conat
