// Sending local changes, and what becomes of them.
#include <algorithm>
#include <limits>
#include <utility>

#include "conat/sync/dkv_store.hpp"
#include "conat/sync/kept.hpp"
#include "conat/sync/save_policy.hpp"

namespace conat {
namespace {

constexpr std::uint8_t kNil[] = {0xc0};
// A server that refuses to create a key this often in a row, and shows no other value for it, does
// not know must_not_exist.
constexpr std::uint32_t kRefusedCreations = 8;

const Headers& tombstone_headers() {
  static const Headers headers = [] {
    Headers made;
    made.set(header::tombstone, Value(true));
    return made;
  }();
  return headers;
}

}  // namespace

void DkvStore::save(TimeMs now, CallId call) {
  if (pending_.empty()) {
    emit(dkv_effect::Saved{owner_, id_, call, std::nullopt});
    return;
  }
  if (autosave_) {
    saves_.push_back(call);
    return;
  }
  if (!connected_) {
    emit(dkv_effect::Saved{owner_, id_, call, Error(ErrorKind::disconnected)});
    return;
  }
  retry_refused();
  attempt_.push_back(call);
  attempt_order_ = last_order_;
  send_at_ = now;
  finish_attempt();
}

// What may be sent: without autosave only what belongs to an attempt.
std::uint64_t DkvStore::order_limit() const {
  return autosave_ ? std::numeric_limits<std::uint64_t>::max() : attempt_order_;
}

// A batch that is not full waits for the one under way, which may fill it.
bool DkvStore::has_work() const {
  if (!connected_ || !opened_ || unsent_.empty() || unsent_.begin()->first > order_limit()) {
    return false;
  }
  return batches_.empty() ||
         (batches_.size() < limits::set_many_window && unsent_.size() >= limits::set_many_batch);
}

std::optional<TimeMs> DkvStore::deadline() const {
  std::optional<TimeMs> due = earlier(retry_refused_at_, settle_repeated_at_);
  if (has_work()) due = earlier(due, send_at_);
  return due;
}

void DkvStore::on_time(TimeMs now) {
  if (retry_refused_at_ && *retry_refused_at_ <= now) retry_refused();
  if (settle_repeated_at_ && *settle_repeated_at_ <= now) {
    settle_repeated_at_.reset();
    settle_acknowledged(true);
    check_stable();
  }
}

bool DkvStore::next_batch(TimeMs now, Batch& batch) {
  batch.items.clear();
  if (!has_work() || now < send_at_) return false;
  const std::uint64_t limit = order_limit();
  OpenBatch open;
  std::size_t bytes = 0;
  while (!unsent_.empty() && unsent_.begin()->first <= limit &&
         batch.items.size() < limits::set_many_batch) {
    Pending& pending = *unsent_.begin()->second;
    StreamSet item = make_item(pending, table_.find(pending.key));
    bytes += pending.key.size() + item.raw.size() + item.headers.encoded().size() +
             save_item_overhead_bytes;
    if (bytes > limits::set_many_batch_bytes && !batch.items.empty()) break;
    unqueue(pending);
    pending.write->repeated = pending.write->state == WriteState::unknown;
    pending.write->state = WriteState::under_way;
    open.push_back(item.message_id);
    batch.items.push_back(std::move(item));
  }
  batch.id = ++last_batch_;
  batches_.emplace(batch.id, std::move(open));
  return true;
}

void DkvStore::make_write(Pending& pending, Slot slot) {
  auto write = std::make_unique<Write>();
  write->message_id = random_.id();
  write->value = pending.local;
  write->headers = pending.headers;
  if (merging()) {
    const StreamSequence seq = table_.entry(slot).seq;
    if (seq > 0) {
      write->previous_seq = seq;
    } else if (server_checks_absence_) {
      write->previous_seq = must_not_exist;
    }
  }
  pending.changed = false;
  writes_.emplace(write->message_id, &pending);
  pending.write = std::move(write);
}

// A write whose outcome is unknown is sent again as it was.
StreamSet DkvStore::make_item(Pending& pending, Slot slot) {
  if (pending.write == nullptr) make_write(pending, slot);
  const Write& write = *pending.write;
  StreamSet item;
  item.key = pending.key;
  if (write.value) {
    item.encoding = write.value->encoding;
    item.raw = write.value->raw.view();
    item.headers = write.headers;
  } else {
    item.raw = ByteView(kNil);
    item.headers = tombstone_headers();
    item.ttl_ms = limits::tombstone_ttl_ms;
  }
  if (kept_) item.headers.set(change_id_header, Value(write.message_id));
  item.previous_seq = write.previous_seq;
  item.message_id = write.message_id;
  return item;
}

void DkvStore::on_batch_answered(TimeMs now, BatchId batch,
                                 Result<std::vector<Result<SetResult>>> answer) {
  const auto position = batches_.find(batch);
  if (position == batches_.end()) return;
  const OpenBatch message_ids = std::move(position->second);
  batches_.erase(position);
  if (!answer.ok()) attempt_error_ = answer.error();
  for (std::size_t i = 0; i < message_ids.size(); ++i) {
    const auto found = writes_.find(message_ids[i]);
    if (found == writes_.end()) continue;  // its echo was here first
    Pending& pending = *found->second;
    if (pending.write->state != WriteState::under_way) continue;
    if (!answer.ok() || i >= answer->size()) {
      unknown_outcome(pending);
    } else if ((*answer)[i].ok()) {
      item_stored(now, pending, (*answer)[i]->seq);
    } else {
      item_failed(now, pending, std::move((*answer)[i].error()));
    }
  }
  if (answer.ok() && answer->size() >= message_ids.size()) {
    failures_ = 0;
  } else {
    back_off(now);
  }
  finish_attempt();
  check_stable();
}

void DkvStore::unknown_outcome(Pending& pending) {
  pending.write->state = WriteState::unknown;
  queue(pending);
}

void DkvStore::item_stored(TimeMs now, Pending& pending, StreamSequence seq) {
  Write& write = *pending.write;
  write.state = WriteState::acknowledged;
  write.seq = seq;
  if (write.previous_seq == must_not_exist) refused_creations_ = 0;
  if (seq <= seen_seq_) {
    settle(pending, table_.find(pending.key));
  } else if (write.repeated) {
    settle_repeated_at_ = now + echo_wait_ms;
  }
}

void DkvStore::item_failed(TimeMs now, Pending& pending, Error error) {
  if (!attempt_error_) attempt_error_ = error;
  const bool creates = pending.write->previous_seq == must_not_exist;
  if (error.code.word == "wrong-last-sequence") {
    if (creates && ++refused_creations_ >= kRefusedCreations) server_checks_absence_ = false;
    refused(now, pending);
  } else if (is_refusal_for_good(error.code)) {
    rejected(pending, std::move(error));
  } else if (creates && error.code.empty()) {
    server_checks_absence_ = false;
    forget_write(pending);
    queue(pending);
  } else {
    unknown_outcome(pending);
    back_off(now);
  }
}

// Based on an outdated value: merged when the newer one comes.
void DkvStore::refused(TimeMs now, Pending& pending) {
  forget_write(pending);
  pending.changed = false;
  if (pending.base_kept) {
    conflict(pending, table_.find(pending.key));
    return;
  }
  pending.refused = true;
  if (!retry_refused_at_) retry_refused_at_ = now + limits::save_retry_ms;
}

// The newer value has not come; asking again does no harm.
void DkvStore::retry_refused() {
  retry_refused_at_.reset();
  for (auto& entry : pending_) {
    Pending& pending = entry.second;
    if (!pending.refused) continue;
    pending.refused = false;
    queue(pending);
  }
}

void DkvStore::rejected(Pending& pending, Error error) {
  emit(dkv_effect::Rejected{owner_, id_, std::string(pending.key),
                            encoded_value(pending.write->value), std::move(error)});
  forget_write(pending);
  const Slot slot = table_.find(pending.key);
  if (!std::exchange(pending.changed, false)) {
    take_back(pending, slot);
  } else if (pending.base_kept) {
    conflict(pending, slot);
  } else {
    queue(pending);
  }
}

void DkvStore::back_off(TimeMs now) {
  send_at_ = std::max(send_at_, now + save_delay_ms(failures_));
  ++failures_;
}

// Answers save() without autosave, once everything of the attempt has been answered.
void DkvStore::finish_attempt() {
  if (autosave_ || attempt_.empty() || !batches_.empty()) return;
  if (!unsent_.empty() && unsent_.begin()->first <= attempt_order_) return;
  attempt_order_ = 0;
  answer(attempt_, std::exchange(attempt_error_, std::nullopt));
}

}  // namespace conat
