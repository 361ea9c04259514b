#include "conat/stream/message_id_window.hpp"

#include "conat/base/limits.hpp"

namespace conat {
namespace {

// FNV-1a with a final mix (so that all bits count in the table's modulus).
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char character : text) {
    hash ^= static_cast<std::uint8_t>(character);
    hash *= 0x100000001b3u;
  }
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93u;
  return hash ^ (hash >> 32);
}

// An entry of the queue and one of the table.
constexpr std::size_t kEntryBytes = 80;
// A store's own record of an id in memory, without its text.
constexpr std::size_t kStoredBytes = 48;

}  // namespace

std::size_t MessageIdWindow::cost(std::string_view id) const {
  return kEntryBytes + (stores_text_ ? kStoredBytes + id.size() : 0);
}

std::optional<StreamSequence> MessageIdWindow::find(std::string_view id) const {
  const auto position = by_hash_.find(hash_of(id));
  if (position == by_hash_.end()) return std::nullopt;
  return position->second;
}

void MessageIdWindow::add(std::string_view id, StreamSequence seq, UnixMs time) {
  Entry entry{hash_of(id), seq, time, cost(id)};
  by_hash_[entry.hash] = seq;  // one that is past its time may still be there
  bytes_ += entry.bytes;
  entries_.push_back(entry);
  ++added_;
}

bool MessageIdWindow::due(UnixMs now) const {
  if (entries_.size() <= added_) return false;  // what this group added may be undone
  return bytes_ > max_bytes_ || entries_.front().time + limits::message_id_ttl_ms <= now;
}

std::size_t MessageIdWindow::advance(UnixMs now, std::size_t max_entries) {
  std::size_t forgotten = 0;
  for (; forgotten < max_entries && due(now); ++forgotten) {
    forgotten_through_ = entries_.front().seq;
    drop(entries_.front());
    entries_.pop_front();
  }
  return forgotten;
}

void MessageIdWindow::drop(const Entry& entry) {
  bytes_ -= entry.bytes;
  const auto position = by_hash_.find(entry.hash);
  if (position != by_hash_.end() && position->second == entry.seq) by_hash_.erase(position);
}

void MessageIdWindow::undo() {
  for (; added_ > 0; --added_) {
    drop(entries_.back());
    entries_.pop_back();
  }
}

}  // namespace conat
