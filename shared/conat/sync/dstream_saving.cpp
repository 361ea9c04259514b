// Sending the local messages of a DStream, and what becomes of them.
#include <algorithm>
#include <limits>
#include <utility>

#include "conat/sync/dstream_store.hpp"
#include "conat/sync/kept.hpp"
#include "conat/sync/save_policy.hpp"

namespace conat {

void DStreamStore::save(TimeMs now, CallId call) {
  if (local_.empty()) {
    emit(dstream_effect::Saved{owner_, id_, call, std::nullopt});
    return;
  }
  if (autosave_) {
    saves_.push_back(call);
    return;
  }
  if (!connected_) {
    emit(dstream_effect::Saved{owner_, id_, call, Error(ErrorKind::disconnected)});
    return;
  }
  attempt_.push_back(call);
  attempt_number_ = last_number_;
  send_at_ = now;
  finish_attempt();
}

// What may be sent: without autosave what belongs to an attempt, also to one that has failed with
// messages whose outcome is unknown.
std::uint64_t DStreamStore::number_limit() const {
  return autosave_ ? std::numeric_limits<std::uint64_t>::max() : attempt_number_;
}

bool DStreamStore::has_work() const {
  if (!connected_ || waiting_.empty() || *waiting_.begin() > number_limit()) return false;
  return batches_.empty() ||
         (batches_.size() < limits::set_many_window && waiting_.size() >= limits::set_many_batch);
}

std::optional<TimeMs> DStreamStore::deadline() const {
  std::optional<TimeMs> due = drop_repeated_at_;
  if (has_work()) due = earlier(due, send_at_);
  return due;
}

void DStreamStore::on_time(TimeMs now) {
  if (!drop_repeated_at_ || *drop_repeated_at_ > now) return;
  if (horizon_) {  // what is behind it may be what is waited for
    drop_repeated_at_ = now + echo_wait_ms;
    return;
  }
  drop_repeated_at_.reset();
  const auto over = [](const Saved& saved) { return saved.repeated; };
  saved_.erase(std::remove_if(saved_.begin(), saved_.end(), over), saved_.end());
  after_change();
}

void DStreamStore::on_connection(TimeMs now, bool connected) {
  connected_ = connected;
  if (connected) {
    failures_ = 0;
    send_at_ = now;
  } else {
    if (!attempt_.empty()) attempt_error_ = Error(ErrorKind::disconnected);
    // Nothing more of the attempt is sent but what has to be found out.
    std::uint64_t last_unknown = 0;
    for (const Local& local : local_) {
      if (local.unknown) last_unknown = local.number;
    }
    if (!autosave_) attempt_number_ = last_unknown;
    for (const CallId call : std::exchange(attempt_, {})) {
      emit(dstream_effect::Saved{owner_, id_, call, attempt_error_});
    }
    attempt_error_.reset();
  }
  emit(dstream_effect::ConnectionChanged{owner_, id_, connected});
}

bool DStreamStore::next_batch(TimeMs now, Batch& batch) {
  batch.items.clear();
  if (!has_work() || now < send_at_) return false;
  const std::uint64_t limit = number_limit();
  OpenBatch open;
  std::size_t bytes = 0;
  while (!waiting_.empty() && *waiting_.begin() <= limit &&
         batch.items.size() < limits::set_many_batch) {
    Local& local = *find(*waiting_.begin());
    bytes += local.value.raw.size() + local.headers.encoded().size() + save_item_overhead_bytes;
    if (bytes > limits::set_many_batch_bytes && !batch.items.empty()) break;
    if (local.sent_at == 0) local.sent_at = now;
    StreamSet item;
    item.encoding = local.value.encoding;
    item.raw = ByteView(local.value.raw);
    item.headers = local.headers;
    if (kept_) item.headers.set(change_id_header, Value(local.message_id));
    item.ttl_ms = local.ttl_ms;
    item.message_id = local.message_id;
    batch.items.push_back(std::move(item));
    open.push_back(local.number);
    waiting_.erase(waiting_.begin());
  }
  batch.id = ++last_batch_;
  batches_.emplace(batch.id, std::move(open));
  return true;
}

void DStreamStore::on_batch_answered(TimeMs now, BatchId batch,
                                     Result<std::vector<Result<SetResult>>> answer) {
  const auto position = batches_.find(batch);
  if (position == batches_.end()) return;
  const OpenBatch numbers = std::move(position->second);
  batches_.erase(position);
  const bool whole = answer.ok() && answer->size() >= numbers.size();
  if (!answer.ok()) attempt_error_ = answer.error();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto local = find(numbers[i]);
    if (local == local_.end()) continue;  // the stream has told it
    if (!answer.ok() || i >= answer->size()) {
      mark_unknown(*local);
      waiting_.insert(local->number);
    } else if ((*answer)[i].ok()) {
      stored(now, local, (*answer)[i]->seq);
    } else {
      failed(now, local, std::move((*answer)[i].error()));
    }
  }
  if (whole) {
    failures_ = 0;
  } else {
    back_off(now);
  }
  drop_saved();
  finish_attempt();
  after_change();
}

void DStreamStore::stored(TimeMs now, std::deque<Local>::iterator local, StreamSequence seq) {
  const bool repeated = local->unknown;
  if (repeated) drop_repeated_at_ = now + echo_wait_ms;
  keep({seq, std::move(local->value), session_, repeated});
  take_local(local);
}

void DStreamStore::failed(TimeMs now, std::deque<Local>::iterator local, Error error) {
  if (is_refusal_for_good(error.code)) {
    emit(dstream_effect::Rejected{owner_, id_, local->value, std::move(error)});
    take_local(local);
    return;
  }
  if (!attempt_error_) attempt_error_ = std::move(error);
  mark_unknown(*local);
  waiting_.insert(local->number);
  back_off(now);
}

void DStreamStore::back_off(TimeMs now) {
  send_at_ = std::max(send_at_, now + save_delay_ms(failures_));
  ++failures_;
}

// Answers save() without autosave, once everything of the attempt has been answered.
void DStreamStore::finish_attempt() {
  if (autosave_ || attempt_.empty() || !batches_.empty()) return;
  const bool more = !waiting_.empty() && *waiting_.begin() <= attempt_number_ && !attempt_error_;
  if (more) return;
  std::uint64_t last_unknown = 0;
  for (const Local& local : local_) {
    if (local.unknown) last_unknown = local.number;
  }
  attempt_number_ = last_unknown;
  answer(attempt_, std::exchange(attempt_error_, std::nullopt));
}

}  // namespace conat
