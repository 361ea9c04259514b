#include "conat/sync/core_stream_store.hpp"

#include <algorithm>
#include <utility>

namespace conat {
namespace {

EncodedValue value_of_entry(const MessageLog::Entry& entry) {
  return {entry.encoding, to_bytes(entry.raw)};
}

StreamLogChange change_of(const StreamMessage& message) {
  StreamLogChange change;
  change.seq = message.seq;
  change.time = message.time;
  change.key = message.key;
  change.tombstone = message.key && is_tombstone_headers(message.headers);
  change.value = {message.encoding, message.raw};
  change.headers = message.headers;
  change.message_id = message.message_id;
  return change;
}

// Numbers are not used twice, but for streams that lived in the memory of a server that is gone.
bool same_message(const MessageLog::Entry& entry, const StreamMessage& message) {
  const bool same_key = entry.key.has_value() == message.key.has_value() &&
                        (!entry.key || *entry.key == *message.key);
  return same_key && entry.time == message.time && as_text(entry.raw) == as_text(message.raw);
}

}  // namespace

bool is_tombstone_headers(const Headers& headers) {
  if (headers.empty()) return false;
  const auto flag = headers.get(header::tombstone);
  return flag && flag->bool_or(false);
}

// ---- reading ----

std::optional<StreamSequence> CoreStreamStore::key_seq(std::string_view key) const {
  const auto found = places_.find(key);
  if (found == places_.end() || found->second.order == 0) return std::nullopt;
  return found->second.seq;
}

void CoreStreamStore::for_each_key(
    const std::function<void(std::string_view, StreamSequence)>& visit) const {
  for (const auto& entry : order_) visit(entry.second, places_.find(entry.second)->second.seq);
}

std::optional<EncodedValue> CoreStreamStore::value_of(const Place& place) const {
  if (place.order == 0) return std::nullopt;
  const auto entry = log_.find(place.seq);
  return entry ? std::optional<EncodedValue>(value_of_entry(*entry)) : std::nullopt;
}

// ---- what the stream tells ----

void CoreStreamStore::on_snapshot(bool complete, const std::vector<StreamMessage>& messages,
                                  Changes* told) {
  if (complete) {
    replace_all(messages, told);
  } else {
    for (const StreamMessage& message : messages) set(message, told);
  }
}

void CoreStreamStore::on_updates(const std::vector<StreamUpdate>& updates, Changes* told) {
  for (const StreamUpdate& update : updates) {
    if (update.is_delete) {
      forget(update.deleted, told);
    } else {
      set(update.message, told);
    }
  }
}

void CoreStreamStore::on_history(StreamSequence start_seq,
                                 const std::vector<StreamMessage>& messages, Changes* told) {
  start_seq_ = start_seq;
  std::vector<const StreamMessage*> fresh;
  fresh.reserve(messages.size());
  for (const StreamMessage& message : messages) {
    if (log_.index_of(message.seq) == MessageLog::none) fresh.push_back(&message);
  }
  insert(fresh, told);
}

void CoreStreamStore::forget(const std::vector<StreamSequence>& seqs, Changes* told) {
  for (const StreamSequence seq : seqs) remove(seq, told);
}

// ---- changing ----

void CoreStreamStore::set(const StreamMessage& message, Changes* told) {
  if (message.seq <= seen_seq_) return;
  seen_seq_ = message.seq;
  std::optional<EncodedValue> previous;
  place(message, told == nullptr ? nullptr : &previous);
  log_.append(message);
  if (told == nullptr) return;
  told->push_back(change_of(message));
  told->back().previous = std::move(previous);
}

// The key of a message becomes its own, and the older message goes; false when there is a newer
// one.
bool CoreStreamStore::place(const StreamMessage& message, std::optional<EncodedValue>* previous) {
  if (!message.key) return true;
  const auto [position, added] = places_.try_emplace(*message.key);
  Place& place = position->second;
  if (!added) {
    if (place.seq > message.seq) return false;
    if (previous != nullptr) *previous = value_of(place);
    log_.erase(place.seq);
  }
  place.seq = message.seq;
  if (is_tombstone_headers(message.headers)) {
    unlist(place);
  } else if (place.order == 0) {
    place.order = ++last_order_;
    order_.emplace(place.order, position->first);
  }
  return true;
}

void CoreStreamStore::unlist(Place& place) {
  if (place.order != 0) order_.erase(place.order);
  place.order = 0;
}

void CoreStreamStore::remove(StreamSequence seq, Changes* told) {
  const auto entry = log_.find(seq);
  if (!entry) return;
  StreamLogChange change;
  if (told != nullptr) {
    change.is_delete = true;
    change.seq = seq;
    change.time = entry->time;
    if (entry->key) change.key = std::string(*entry->key);
    change.value = value_of_entry(*entry);
    change.headers = Headers(to_bytes(entry->headers));
  }
  if (entry->key) {
    const auto position = places_.find(*entry->key);
    if (position != places_.end() && position->second.seq == seq) {
      if (told != nullptr) change.previous = value_of(position->second);
      unlist(position->second);
      places_.erase(position);
    }
  }
  log_.erase(seq);
  if (told != nullptr) told->push_back(std::move(change));
}

// Ascending, anywhere, and not there yet.
void CoreStreamStore::insert(const std::vector<const StreamMessage*>& messages, Changes* told) {
  std::vector<const StreamMessage*> wanted;
  wanted.reserve(messages.size());
  for (const StreamMessage* message : messages) {
    std::optional<EncodedValue> previous;
    if (!place(*message, told == nullptr ? nullptr : &previous)) continue;
    wanted.push_back(message);
    if (told == nullptr) continue;
    told->push_back(change_of(*message));
    told->back().previous = std::move(previous);
  }
  log_.insert(wanted);
}

// The stream has exactly these, from start_seq on.
void CoreStreamStore::replace_all(const std::vector<StreamMessage>& messages, Changes* told) {
  std::vector<StreamSequence> gone;
  std::vector<const StreamMessage*> fresh;
  std::size_t index = 0;
  const auto gone_before = [&](StreamSequence seq) {
    for (; index < log_.size() && log_.at(index).seq < seq; ++index) {
      gone.push_back(log_.at(index).seq);
    }
  };
  for (const StreamMessage& message : messages) {
    gone_before(message.seq);
    if (index < log_.size() && log_.at(index).seq == message.seq) {
      const bool same = same_message(log_.at(index), message);
      ++index;
      if (same) continue;
      gone.push_back(message.seq);
    }
    fresh.push_back(&message);
  }
  for (; index < log_.size(); ++index) gone.push_back(log_.at(index).seq);
  // What a newer message of the same key replaces is no delete: insert() takes it out.
  std::unordered_map<std::string_view, StreamSequence> newest;
  for (const StreamMessage* message : fresh) {
    if (message->key) newest[*message->key] = message->seq;
  }
  const auto replaced = [&](StreamSequence seq) {
    const auto entry = log_.find(seq);
    if (!entry || !entry->key) return false;
    const auto position = newest.find(*entry->key);
    return position != newest.end() && position->second > seq;
  };
  gone.erase(std::remove_if(gone.begin(), gone.end(), replaced), gone.end());
  forget(gone, told);
  seen_seq_ = std::max<StreamSequence>(start_seq_, 1) - 1;
  if (!messages.empty()) seen_seq_ = messages.back().seq;
  insert(fresh, told);
}

}  // namespace conat
