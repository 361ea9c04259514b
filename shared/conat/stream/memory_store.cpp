#include "conat/stream/memory_store.hpp"

#include <algorithm>
#include <limits>

namespace conat {
namespace {

StoredSummary summary_of(const StoredMessage& message) {
  return {message.seq, message.time, message.size, message.ttl_ms};
}

Error outside_group() { return {ErrorKind::internal, "write outside of a group"}; }

constexpr StreamSequence kLastSequence = std::numeric_limits<StreamSequence>::max();

}  // namespace

Status MemoryStore::begin() {
  if (in_group_) return Error(ErrorKind::internal, "a group is open already");
  in_group_ = true;
  last_seq_before_ = last_seq_;
  return Nothing{};
}

Status MemoryStore::commit() {
  if (!in_group_) return outside_group();
  in_group_ = false;
  undo_.clear();
  return Nothing{};
}

void MemoryStore::rollback() {
  if (!in_group_) return;
  in_group_ = false;
  for (; !undo_.empty(); undo_.pop_back()) {
    Undo& step = undo_.back();
    if (auto* inserted = std::get_if<Inserted>(&step)) {
      const auto position = messages_.find(inserted->seq);
      if (!ids_.empty() && ids_.back().seq == inserted->seq) ids_.pop_back();
      unlink(position->second);
      messages_.erase(position);
    } else if (auto* erased = std::get_if<Erased>(&step)) {
      const StreamSequence seq = erased->message.seq;
      link(messages_.emplace(seq, std::move(erased->message)).first->second);
    } else if (auto* configured = std::get_if<Configured>(&step)) {
      if (configured->old_value) {
        config_[configured->field] = std::move(*configured->old_value);
      } else {
        config_.erase(configured->field);
      }
    } else if (auto* forgot = std::get_if<Forgot>(&step)) {
      ids_.push_front(std::move(forgot->entry));
    }
  }
  last_seq_ = last_seq_before_;
}

void MemoryStore::link(const StoredMessage& message) {
  if (message.key) by_key_[*message.key] = message.seq;
  by_time_.emplace_hint(by_time_.end(), message.time, message.seq);
  if (message.ttl_ms > 0) by_expiry_.emplace(message.time + message.ttl_ms, message.seq);
}

void MemoryStore::unlink(const StoredMessage& message) {
  if (message.key) by_key_.erase(*message.key);
  by_time_.erase({message.time, message.seq});
  if (message.ttl_ms > 0) by_expiry_.erase({message.time + message.ttl_ms, message.seq});
}

Result<StoreTotals> MemoryStore::totals() {
  StoreTotals totals;
  totals.count = static_cast<std::int64_t>(messages_.size());
  totals.with_ttl = static_cast<std::int64_t>(by_expiry_.size());
  totals.last_seq = last_seq_;
  for (const auto& entry : messages_) totals.bytes += entry.second.size;
  return totals;
}

Result<StreamSequence> MemoryStore::insert(const StoredMessage& message) {
  if (!in_group_) return outside_group();
  if (message.key && by_key_.count(*message.key) != 0) {
    return Error(ErrorKind::internal, "the key is taken");
  }
  const StreamSequence seq = ++last_seq_;
  StoredMessage& stored = messages_.emplace_hint(messages_.end(), seq, message)->second;
  stored.seq = seq;
  if (!stored.message_id.empty()) {
    ids_.push_back({std::move(stored.message_id), seq, stored.time});
    stored.message_id.clear();
  }
  link(stored);
  undo_.push_back(Inserted{seq});
  return seq;
}

MemoryStore::Messages::iterator MemoryStore::take_out(Messages::iterator position) {
  unlink(position->second);
  undo_.push_back(Erased{std::move(position->second)});
  return messages_.erase(position);
}

Status MemoryStore::erase(StreamSequence seq) {
  if (!in_group_) return outside_group();
  const auto position = messages_.find(seq);
  if (position != messages_.end()) take_out(position);
  return Nothing{};
}

Status MemoryStore::erase_through(StreamSequence last) {
  if (!in_group_) return outside_group();
  for (auto position = messages_.begin(); position != messages_.end() && position->first <= last;) {
    position = take_out(position);
  }
  return Nothing{};
}

Result<std::optional<StoredSummary>> MemoryStore::find(StreamSequence seq) {
  const auto position = messages_.find(seq);
  if (position == messages_.end()) return std::optional<StoredSummary>();
  return std::optional(summary_of(position->second));
}

Result<std::optional<StoredSummary>> MemoryStore::find_key(std::string_view key) {
  const auto position = by_key_.find(key);
  if (position == by_key_.end()) return std::optional<StoredSummary>();
  return find(position->second);
}

Result<std::optional<StoredMessage>> MemoryStore::read(StreamSequence seq) {
  const auto position = messages_.find(seq);
  if (position == messages_.end()) return std::optional<StoredMessage>();
  return std::optional(position->second);
}

Result<std::optional<StoredMessage>> MemoryStore::read_key(std::string_view key) {
  const auto position = by_key_.find(key);
  if (position == by_key_.end()) return std::optional<StoredMessage>();
  return read(position->second);
}

Status MemoryStore::scan(StreamSequence from, StreamSequence to,
                         const std::function<bool(StoredMessage&&)>& visit) {
  for (auto position = messages_.lower_bound(from);
       position != messages_.end() && position->first <= to; ++position) {
    StoredMessage copy = position->second;
    if (!visit(std::move(copy))) break;
  }
  return Nothing{};
}

Status MemoryStore::scan_summaries(StreamSequence from, StreamSequence to,
                                   const std::function<bool(const StoredSummary&)>& visit) {
  for (auto position = messages_.lower_bound(from);
       position != messages_.end() && position->first <= to; ++position) {
    if (!visit(summary_of(position->second))) break;
  }
  return Nothing{};
}

Result<StreamSequence> MemoryStore::highest_seq() {
  return messages_.empty() ? StreamSequence{0} : messages_.rbegin()->first;
}

Result<std::vector<std::string>> MemoryStore::keys() {
  std::vector<std::string> keys;
  keys.reserve(by_key_.size());
  for (const auto& entry : by_key_) keys.emplace_back(entry.first);
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<StoredSummary> MemoryStore::summaries(TimeIndex::const_iterator begin,
                                                  TimeIndex::const_iterator end) const {
  std::vector<StoredSummary> found;
  for (auto entry = begin; entry != end; ++entry) {
    found.push_back(summary_of(messages_.at(entry->second)));
  }
  std::sort(found.begin(), found.end(),
            [](const StoredSummary& a, const StoredSummary& b) { return a.seq < b.seq; });
  return found;
}

Result<std::vector<StoredSummary>> MemoryStore::older_than(UnixMs time) {
  return summaries(by_time_.begin(), by_time_.upper_bound({time, kLastSequence}));
}

Result<std::vector<StoredSummary>> MemoryStore::newer_than(UnixMs time) {
  return summaries(by_time_.upper_bound({time, kLastSequence}), by_time_.end());
}

Result<std::vector<StoredSummary>> MemoryStore::expired_by_ttl(UnixMs now) {
  return summaries(by_expiry_.begin(), by_expiry_.upper_bound({now, kLastSequence}));
}

Result<std::optional<UnixMs>> MemoryStore::oldest_time() {
  if (by_time_.empty()) return std::optional<UnixMs>();
  return std::optional(by_time_.begin()->first);
}

Result<std::optional<UnixMs>> MemoryStore::next_expiry() {
  if (by_expiry_.empty()) return std::optional<UnixMs>();
  return std::optional(by_expiry_.begin()->first);
}

Result<std::vector<Store::MessageIdEntry>> MemoryStore::message_ids(UnixMs since) {
  std::vector<MessageIdEntry> found;
  for (const MessageIdEntry& entry : ids_) {
    if (entry.time > since) found.push_back(entry);
  }
  return found;
}

Result<std::optional<Store::MessageIdEntry>> MemoryStore::message_id(StreamSequence seq) {
  const auto position = std::lower_bound(
      ids_.begin(), ids_.end(), seq,
      [](const MessageIdEntry& entry, StreamSequence wanted) { return entry.seq < wanted; });
  if (position == ids_.end() || position->seq != seq) return std::optional<MessageIdEntry>();
  return std::optional(*position);
}

Status MemoryStore::forget_message_ids(StreamSequence through) {
  if (!in_group_) return outside_group();
  for (; !ids_.empty() && ids_.front().seq <= through; ids_.pop_front()) {
    undo_.push_back(Forgot{std::move(ids_.front())});
  }
  return Nothing{};
}

Result<std::vector<std::pair<std::string, std::string>>> MemoryStore::read_config() {
  return std::vector<std::pair<std::string, std::string>>(config_.begin(), config_.end());
}

Status MemoryStore::write_config(std::string_view field, std::string_view value) {
  if (!in_group_) return outside_group();
  const auto position = config_.find(field);
  if (position == config_.end()) {
    undo_.push_back(Configured{std::string(field), std::nullopt});
    config_.emplace(field, value);
  } else {
    undo_.push_back(Configured{position->first, std::move(position->second)});
    position->second = value;
  }
  return Nothing{};
}

}  // namespace conat
