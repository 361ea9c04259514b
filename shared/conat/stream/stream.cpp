#include "conat/stream/stream.hpp"

#include <algorithm>
#include <utility>

namespace conat {
namespace {

constexpr StreamSequence kHighestSequence = std::numeric_limits<StreamSequence>::max();
// Longer lives than this (in ms, about 30,000 years) are cut, so that time + ttl cannot overflow.
constexpr std::int64_t kMaxTtl = 1'000'000'000'000'000;
// What a message takes in an answer besides its own bytes.
constexpr std::size_t kMessageOverhead = 64;
// Ids forgotten by one set, at most; then erased from the store in steps of at least the second.
constexpr std::size_t kIdsPerSet = 64;
constexpr std::size_t kIdsPerErase = 256;
constexpr std::size_t kIdsPerEnforcement = 20'000;

std::size_t id_bytes(bool ephemeral) {
  return ephemeral ? limits::ephemeral_message_ids_bytes : limits::max_message_ids_bytes;
}

void cap_for_memory(StreamConfig& config) {
  if (config.max_bytes < 0 || config.max_bytes > limits::ephemeral_max_bytes) {
    config.max_bytes = limits::ephemeral_max_bytes;
  }
}

}  // namespace

Stream::Stream(Store& store, bool ephemeral)
    : store_(&store), ephemeral_(ephemeral), ids_(id_bytes(ephemeral), ephemeral) {}

Result<Stream> Stream::open(Store& store, UnixMs now, bool ephemeral) {
  Stream stream(store, ephemeral);
  if (Status loaded = stream.load(now); !loaded.ok()) return std::move(loaded.error());
  return stream;
}

Status Stream::load(UnixMs now) {
  auto totals = store_->totals();
  if (!totals.ok()) return std::move(totals.error());
  auto stored_config = store_->read_config();
  if (!stored_config.ok()) return std::move(stored_config.error());
  auto oldest = store_->oldest_time();
  if (!oldest.ok()) return std::move(oldest.error());
  auto expiry = store_->next_expiry();
  if (!expiry.ok()) return std::move(expiry.error());
  auto ids = store_->message_ids(now - limits::message_id_ttl_ms);
  if (!ids.ok()) return std::move(ids.error());

  totals_ = *totals;
  config_ = parse_config(*stored_config);
  if (ephemeral_) cap_for_memory(config_);
  oldest_time_ = oldest->value_or(never);
  next_expiry_ = expiry->value_or(never);
  for (const Store::MessageIdEntry& entry : *ids) {
    ids_.add(entry.message_id, entry.seq, entry.time);
  }
  ids_.mark();
  ids_.set_forgotten_through(ids->empty() ? totals_.last_seq : ids->front().seq - 1);
  return limits_rates() ? load_rates(now) : Status(Nothing{});
}

bool Stream::limits_rates() const {
  return config_.max_msgs_per_second >= 0 || config_.max_bytes_per_second >= 0;
}

// What was stored in the last second, before anybody counted.
Status Stream::load_rates(UnixMs now) {
  auto recent = store_->newer_than(now - RateWindow::length_ms);
  if (!recent.ok()) return std::move(recent.error());
  std::sort(recent->begin(), recent->end(),
            [](const StoredSummary& a, const StoredSummary& b) { return a.time < b.time; });
  rates_.clear();
  for (const StoredSummary& message : *recent) {
    if (message.time <= now) rates_.add(message.time, message.size);
  }
  return Nothing{};
}

// ---- groups ----

Status Stream::begin_group() {
  if (in_group_) return Error(ErrorKind::internal, "a group is open already");
  if (Status begun = store_->begin(); !begun.ok()) return begun;
  in_group_ = true;
  before_ = {totals_, oldest_time_, next_expiry_, ids_erased_through_};
  ids_.mark();
  rates_.mark();
  return Nothing{};
}

Status Stream::commit_group() {
  if (!in_group_) return Error(ErrorKind::internal, "no group is open");
  if (!failure_) {
    if (Status committed = store_->commit(); !committed.ok()) fail(std::move(committed.error()));
  }
  std::optional<Error> failure = std::exchange(failure_, std::nullopt);
  if (failure) undo_group();
  in_group_ = false;
  config_before_.reset();
  held_.clear();
  held_bytes_ = 0;
  discard_from_ = 0;
  ids_.mark();
  rates_.mark();
  if (failure) return std::move(*failure);
  return Nothing{};
}

void Stream::undo_group() {
  store_->rollback();
  totals_ = before_.totals;
  oldest_time_ = before_.oldest_time;
  next_expiry_ = before_.next_expiry;
  ids_erased_through_ = before_.ids_erased_through;
  if (config_before_) config_ = std::move(*config_before_);
  ids_.undo();
  rates_.undo();
  changes_.clear();
}

Status Stream::ready() const {
  if (!in_group_) return Error(ErrorKind::internal, "no group is open");
  if (failure_) return *failure_;
  return Nothing{};
}

Error Stream::fail(Error error) {
  if (!failure_) failure_ = error;
  return error;
}

std::vector<StreamChange> Stream::take_changes() { return std::exchange(changes_, {}); }

void Stream::announce_deleted(std::vector<StreamSequence> seqs) {
  if (seqs.empty()) return;
  changes_.emplace_back();
  changes_.back().deleted = std::move(seqs);
}

// ---- set ----

Result<SetResult> Stream::set(UnixMs now, SetRequest request) {
  if (Status state = ready(); !state.ok()) return std::move(state.error());
  if (!request.message_id.empty()) {
    auto duplicate = find_duplicate(now, request);
    if (!duplicate.ok()) return std::move(duplicate.error());
    if (*duplicate) return **duplicate;
  }
  std::optional<StoredSummary> replaced;
  if (request.key) {
    auto found = store_->find_key(*request.key);
    if (!found.ok()) return fail(std::move(found.error()));
    replaced = *found;
    const StreamSequence current = replaced ? replaced->seq : must_not_exist;
    if (request.previous_seq && current != *request.previous_seq) {
      return Error(ErrorKind::wrong_last_sequence);
    }
  }
  const auto size = static_cast<std::int64_t>(request.raw.size() + request.headers_json.size() +
                                              (request.key ? request.key->size() : 0));
  if (size > limits::max_stored_message_bytes) return Error(ErrorKind::too_large);
  if (config_.max_msg_size >= 0 && size > config_.max_msg_size) {
    return Error(ErrorKind::rejected,
                 "max_msg_size of " + std::to_string(config_.max_msg_size) + " bytes exceeded");
  }
  if (Status rates = check_rates(now); !rates.ok()) return std::move(rates.error());
  bool oversized = false;
  if (Status admitted = admit(now, size, replaced, oversized); !admitted.ok()) {
    return std::move(admitted.error());
  }
  return store_message(now, std::move(request), size, replaced, oversized);
}

// The first answer, when this message id was stored within the last two minutes.
Result<std::optional<SetResult>> Stream::find_duplicate(UnixMs now, const SetRequest& request) {
  if (request.message_id.size() > limits::max_message_id_bytes) {
    return Error(ErrorKind::bad_request, "Error: msgID is too long");
  }
  const auto candidate = ids_.find(request.message_id);
  if (!candidate) return std::optional<SetResult>();
  auto known = store_->message_id(*candidate);
  if (!known.ok()) return fail(std::move(known.error()));
  if (!*known || (*known)->message_id != request.message_id ||
      (*known)->time + limits::message_id_ttl_ms <= now) {
    return std::optional<SetResult>();
  }
  return std::optional(SetResult{(*known)->seq, (*known)->time});
}

Status Stream::check_rates(UnixMs now) {
  if (!limits_rates()) return Nothing{};
  rates_.advance(now);
  if (config_.max_msgs_per_second >= 0 && rates_.messages() > config_.max_msgs_per_second) {
    return Error(ErrorKind::rejected, "max_msgs_per_second exceeded");
  }
  if (config_.max_bytes_per_second >= 0 && rates_.bytes() > config_.max_bytes_per_second) {
    return Error(ErrorKind::rejected, "max_bytes_per_second exceeded");
  }
  return Nothing{};
}

// Makes room for a message of `size` bytes, or rejects it. `oversized`: it exceeds the limits
// alone.
Status Stream::admit(UnixMs now, std::int64_t size, const std::optional<StoredSummary>& replaced,
                     bool& oversized) {
  const StreamSequence keep = replaced ? replaced->seq : 0;
  if (Status removed = remove_expired(now, keep); !removed.ok()) return removed;
  Load load = load_without_held();
  ++load.count;
  load.bytes += size;
  if (replaced && !is_held(keep)) {
    --load.count;
    load.bytes -= replaced->size;
  }
  if (!config_.discard_new) {
    oversized = !fits({1, size});
    return discard_oldest(load, keep);
  }
  if (max_messages() >= 0 && load.count > max_messages()) {
    return Error(ErrorKind::rejected, "max_msgs limit reached");
  }
  if (config_.max_bytes >= 0 && load.bytes > config_.max_bytes) {
    return Error(ErrorKind::rejected, "max_bytes limit reached");
  }
  return Nothing{};
}

Result<SetResult> Stream::store_message(UnixMs now, SetRequest&& request, std::int64_t size,
                                        const std::optional<StoredSummary>& replaced,
                                        bool oversized) {
  if (replaced) {
    if (Status removed = remove(*replaced); !removed.ok()) return std::move(removed.error());
  }
  StoredMessage message;
  message.time = now;
  message.key = std::move(request.key);
  message.encoding = request.encoding;
  message.raw = std::move(request.raw);
  message.headers_json = std::move(request.headers_json);
  message.size = size;
  message.ttl_ms = std::clamp<std::int64_t>(request.ttl_ms, 0, kMaxTtl);
  message.message_id = std::move(request.message_id);
  const auto inserted = store_->insert(message);
  if (!inserted.ok()) return fail(inserted.error());
  message.seq = *inserted;

  ++totals_.count;
  totals_.bytes += size;
  totals_.last_seq = message.seq;
  oldest_time_ = std::min(oldest_time_, now);
  if (message.ttl_ms > 0) {
    ++totals_.with_ttl;
    next_expiry_ = std::min(next_expiry_, now + message.ttl_ms);
  }
  if (oversized) {
    held_.push_back({message.seq, size});
    held_bytes_ += size;
  }
  if (limits_rates()) rates_.add(now, size);
  if (!message.message_id.empty()) {
    ids_.add(message.message_id, message.seq, now);
    if (Status status = forget_ids(now, kIdsPerSet, kIdsPerErase); !status.ok()) {
      return std::move(status.error());
    }
  }
  const SetResult result{message.seq, now};
  changes_.emplace_back();
  changes_.back().message = std::move(message);
  return result;
}

// ---- limits ----

std::int64_t Stream::max_messages() const {
  if (!ephemeral_) return config_.max_msgs;
  return config_.max_msgs < 0 ? limits::ephemeral_max_messages
                              : std::min(config_.max_msgs, limits::ephemeral_max_messages);
}

bool Stream::fits(const Load& load) const {
  return (max_messages() < 0 || load.count <= max_messages()) &&
         (config_.max_bytes < 0 || load.bytes <= config_.max_bytes);
}

Stream::Load Stream::load_without_held() const {
  return {totals_.count - static_cast<std::int64_t>(held_.size()), totals_.bytes - held_bytes_};
}

bool Stream::is_held(StreamSequence seq) const {
  const auto position =
      std::lower_bound(held_.begin(), held_.end(), seq,
                       [](const Held& held, StreamSequence wanted) { return held.seq < wanted; });
  return position != held_.end() && position->seq == seq;
}

void Stream::release_held(StreamSequence first, StreamSequence last) {
  const auto gone = std::remove_if(held_.begin(), held_.end(), [&](const Held& held) {
    if (held.seq < first || held.seq > last) return false;
    held_bytes_ -= held.size;
    return true;
  });
  held_.erase(gone, held_.end());
}

// By age and by ttl; `keep` is about to be replaced, which nobody is told.
Status Stream::remove_expired(UnixMs now, StreamSequence keep) {
  if (config_.max_age_ms > 0 && totals_.count > 0 && oldest_time_ <= now - config_.max_age_ms) {
    const auto expired = store_->older_than(now - config_.max_age_ms);
    if (!expired.ok()) return fail(expired.error());
    if (Status removed = remove_all(*expired, keep); !removed.ok()) return removed;
    const auto oldest = store_->oldest_time();
    if (!oldest.ok()) return fail(oldest.error());
    oldest_time_ = oldest->value_or(never);
  }
  if (config_.allow_msg_ttl && totals_.with_ttl > 0 && next_expiry_ <= now) {
    const auto expired = store_->expired_by_ttl(now);
    if (!expired.ok()) return fail(expired.error());
    if (Status removed = remove_all(*expired, keep); !removed.ok()) return removed;
    const auto expiry = store_->next_expiry();
    if (!expiry.ok()) return fail(expiry.error());
    next_expiry_ = expiry->value_or(never);
  }
  return Nothing{};
}

// Removes the oldest messages until `load` fits; `keep` and held messages are not part of it.
Status Stream::discard_oldest(Load load, StreamSequence keep) {
  if (fits(load)) return Nothing{};
  std::int64_t left = load_without_held().count - (keep != 0 && !is_held(keep) ? 1 : 0);
  if (left <= 0) return Nothing{};
  std::vector<StoredSummary> victims;
  const Status scanned =
      store_->scan_summaries(discard_from_, kHighestSequence, [&](const StoredSummary& message) {
        discard_from_ = message.seq;
        if (message.seq == keep || is_held(message.seq)) return true;
        victims.push_back(message);
        --load.count;
        load.bytes -= message.size;
        return --left > 0 && !fits(load);
      });
  if (!scanned.ok()) return fail(scanned.error());
  return remove_all(victims, keep);
}

Status Stream::remove(const StoredSummary& message) {
  if (Status erased = store_->erase(message.seq); !erased.ok()) return fail(erased.error());
  --totals_.count;
  totals_.bytes -= message.size;
  if (message.ttl_ms > 0) --totals_.with_ttl;
  if (is_held(message.seq)) release_held(message.seq, message.seq);
  return Nothing{};
}

Status Stream::remove_all(const std::vector<StoredSummary>& messages, StreamSequence keep) {
  std::vector<StreamSequence> seqs;
  seqs.reserve(messages.size());
  for (const StoredSummary& message : messages) {
    if (message.seq == keep) continue;
    if (Status removed = remove(message); !removed.ok()) return removed;
    seqs.push_back(message.seq);
  }
  announce_deleted(std::move(seqs));
  return Nothing{};
}

// Forgets message ids past their time, and erases them from the store in larger steps.
Status Stream::forget_ids(UnixMs now, std::size_t max_entries, std::size_t min_step) {
  ids_pending_ += ids_.advance(now, max_entries);
  if (ids_.forgotten_through() == ids_erased_through_ || ids_pending_ < min_step) return Nothing{};
  if (Status erased = store_->forget_message_ids(ids_.forgotten_through()); !erased.ok()) {
    return fail(erased.error());
  }
  ids_erased_through_ = ids_.forgotten_through();
  ids_pending_ = 0;
  return Nothing{};
}

Status Stream::enforce(UnixMs now) {
  if (Status state = ready(); !state.ok()) return state;
  if (Status status = forget_ids(now, kIdsPerEnforcement, 0); !status.ok()) return status;
  if (Status removed = remove_expired(now, 0); !removed.ok()) return removed;
  return config_.discard_new ? Status(Nothing{}) : discard_oldest(load_without_held(), 0);
}

bool Stream::enforcement_due(UnixMs now) const {
  if (ids_.due(now)) return true;
  if (config_.max_age_ms > 0 && totals_.count > 0 && oldest_time_ <= now - config_.max_age_ms) {
    return true;
  }
  if (config_.allow_msg_ttl && totals_.with_ttl > 0 && next_expiry_ <= now) return true;
  return !config_.discard_new && !fits({totals_.count, totals_.bytes});
}

bool Stream::needs_enforcement() const {
  if (config_.max_age_ms > 0 && totals_.count > 0) return true;
  if (config_.allow_msg_ttl && totals_.with_ttl > 0) return true;
  if (!config_.discard_new && !fits({totals_.count, totals_.bytes})) return true;
  return !ids_.empty();
}

// ---- delete and configure ----

Result<std::vector<StreamSequence>> Stream::erase(const DeleteRequest& request) {
  if (Status state = ready(); !state.ok()) return std::move(state.error());
  if (request.all) return erase_through(kHighestSequence);
  if (request.last_seq) return erase_through(*request.last_seq);
  std::vector<StreamSequence> seqs;
  if (request.seq) {
    const auto found = store_->find(*request.seq);
    if (!found.ok()) return fail(found.error());
    if (*found) {
      if (Status removed = remove(**found); !removed.ok()) return std::move(removed.error());
      seqs.push_back(*request.seq);
    }
  } else if (request.seqs) {
    for (const StreamSequence seq : *request.seqs) {
      const auto found = store_->find(seq);
      if (!found.ok()) return fail(found.error());
      if (!*found) continue;
      if (Status removed = remove(**found); !removed.ok()) return std::move(removed.error());
    }
    seqs = *request.seqs;
  }
  announce_deleted(seqs);
  return seqs;
}

Result<std::vector<StreamSequence>> Stream::erase_through(StreamSequence last) {
  std::vector<StreamSequence> seqs;
  Load gone{0, 0};
  std::int64_t with_ttl = 0;
  Status status = store_->scan_summaries(0, last, [&](const StoredSummary& message) {
    seqs.push_back(message.seq);
    ++gone.count;
    gone.bytes += message.size;
    if (message.ttl_ms > 0) ++with_ttl;
    return true;
  });
  if (!status.ok()) return fail(status.error());
  if (seqs.empty()) return seqs;
  status = store_->erase_through(last);
  if (!status.ok()) return fail(status.error());
  totals_.count -= gone.count;
  totals_.bytes -= gone.bytes;
  totals_.with_ttl -= with_ttl;
  release_held(0, last);
  announce_deleted(seqs);
  return seqs;
}

Result<Value> Stream::configure(UnixMs now, const Value& partial) {
  if (Status state = ready(); !state.ok()) return std::move(state.error());
  StreamConfig changed = config_;
  if (Status applied = apply_partial(partial, changed); !applied.ok()) {
    return std::move(applied.error());
  }
  if (ephemeral_) cap_for_memory(changed);
  const StoredConfig fields = changed_fields(config_, changed);
  if (!fields.empty()) {
    for (const auto& [field, value] : fields) {
      if (Status written = store_->write_config(field, value); !written.ok()) {
        return fail(written.error());
      }
    }
    const bool limited_rates = limits_rates();
    if (!config_before_) config_before_ = std::move(config_);
    config_ = std::move(changed);
    if (limits_rates() && !limited_rates) {
      if (Status loaded = load_rates(now); !loaded.ok()) return fail(loaded.error());
    }
  }
  if (Status enforced = enforce(now); !enforced.ok()) return std::move(enforced.error());
  return config_value();
}

// ---- reading ----

Result<std::optional<StoredMessage>> Stream::get(StreamSequence seq) { return store_->read(seq); }

Result<std::optional<StoredMessage>> Stream::get_key(std::string_view key) {
  return store_->read_key(key);
}

Result<std::optional<StreamSequence>> Stream::get_range(StreamSequence from, StreamSequence to,
                                                        std::size_t max_bytes,
                                                        std::vector<StoredMessage>& out) {
  if (to == 0) to = kHighestSequence;
  std::size_t bytes = 0;
  std::optional<StreamSequence> full_after;
  Status status = store_->scan(from, to, [&](StoredMessage&& message) {
    bytes += static_cast<std::size_t>(message.size) + kMessageOverhead;
    if (bytes >= max_bytes) full_after = message.seq;
    out.push_back(std::move(message));
    return !full_after;
  });
  if (!status.ok()) return std::move(status.error());
  std::optional<StreamSequence> next;
  if (!full_after) return next;
  status = store_->scan_summaries(*full_after + 1, to, [&](const StoredSummary& message) {
    next = message.seq;
    return false;
  });
  if (!status.ok()) return std::move(status.error());
  return next;
}

Result<std::vector<std::string>> Stream::keys() { return store_->keys(); }

Result<StreamInventory> Stream::inventory() {
  auto highest = store_->highest_seq();
  if (!highest.ok()) return std::move(highest.error());
  return StreamInventory{totals_.bytes, totals_.count, *highest};
}

Value Stream::config_value() const { return config_to_value(config_); }

Value Stream::limits_value() const { return config_differences(config_); }

}  // namespace conat
