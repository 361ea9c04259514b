#include "conat/sync/dstream_store.hpp"

#include <algorithm>
#include <utility>

namespace conat {
namespace {

// From then on the server may not recognize a msgID any more.
constexpr std::int64_t kRecognizedFor = limits::message_id_ttl_ms - 10'000;

std::string content_of(PayloadEncoding encoding, ByteView raw, const Headers& headers) {
  std::string content(1, static_cast<char>(encoding));
  content += std::to_string(raw.size());
  content += ' ';
  content += as_text(raw);
  if (!headers.empty()) content += encode_json(headers.value());
  return content;
}

}  // namespace

DStreamStore::DStreamStore(Owner owner, DStreamId id, bool autosave, StreamSequence start_seq,
                           Random random, Effects& effects)
    : owner_(owner),
      id_(id),
      autosave_(autosave),
      random_(std::move(random)),
      effects_(effects),
      core_(start_seq) {}

// ---- reading ----

std::size_t DStreamStore::told_count() const {
  return horizon_ ? core_.log().lower_bound(*horizon_ + 1) : core_.log().size();
}

DStreamStore::Entry DStreamStore::entry(std::size_t index) const {
  Entry entry;
  const std::size_t told = told_count();
  if (index < told) {
    const MessageLog::Entry message = core_.log().at(index);
    entry.id = message.seq;
    entry.seq = message.seq;
    entry.time = message.time;
    entry.key = message.key;
    entry.encoding = message.encoding;
    entry.raw = message.raw;
    entry.headers = message.headers;
    return entry;
  }
  index -= told;
  const bool numbered = index < saved_.size();
  const EncodedValue& value = numbered ? saved_[index].value : local_[index - saved_.size()].value;
  if (numbered) {
    entry.id = saved_[index].seq;
    entry.seq = saved_[index].seq;
  } else {
    entry.id = -static_cast<std::int64_t>(local_[index - saved_.size()].number);
  }
  entry.encoding = value.encoding;
  entry.raw = value.raw;
  return entry;
}

// ---- local messages ----

Status DStreamStore::publish(EncodedValue value, Headers headers, std::int64_t ttl_ms) {
  if (value.raw.size() + headers.encoded().size() > limits::max_value_bytes) {
    return Error(ErrorKind::too_large, "a message may have at most " +
                                           std::to_string(limits::max_value_bytes) + " bytes");
  }
  Local local;
  local.number = ++last_number_;
  local.message_id = random_.id();
  local.value = std::move(value);
  local.headers = std::move(headers);
  local.ttl_ms = ttl_ms;
  waiting_.insert(local.number);
  sent_.emplace(local.message_id, local.number);
  local_.push_back(std::move(local));
  stable_ = false;
  return Nothing{};
}

std::deque<DStreamStore::Local>::iterator DStreamStore::find(std::uint64_t number) {
  const auto found = std::lower_bound(
      local_.begin(), local_.end(), number,
      [](const Local& local, std::uint64_t wanted) { return local.number < wanted; });
  return found != local_.end() && found->number == number ? found : local_.end();
}

// It is no longer unsaved.
void DStreamStore::take_local(std::deque<Local>::iterator local) {
  forget_unknown(*local);
  waiting_.erase(local->number);
  sent_.erase(local->message_id);
  local_.erase(local);
}

void DStreamStore::mark_unknown(Local& local) {
  if (!local.unknown) ++unknown_;
  local.unknown = true;
}

void DStreamStore::forget_unknown(Local& local) {
  if (local.unknown) --unknown_;
  local.unknown = false;
}

void DStreamStore::detach() {
  detached_ = true;
  saves_.clear();
  attempt_.clear();
  behind_horizon_.clear();
}

// ---- what the stream tells ----

void DStreamStore::on_snapshot(TimeMs now, bool complete,
                               const std::vector<StreamMessage>& messages) {
  ++session_;
  if (kept_) {
    note_stored(messages);
  } else if (unknown_ > 0 && !horizon_) {
    horizon_ = core_.seen_seq();
  }
  CoreStreamStore::Changes told;
  core_.on_snapshot(complete, messages, opened_ ? &told : nullptr);
  // A stream that began anew has nothing that could be recognized.
  if (horizon_ && core_.seen_seq() < *horizon_) horizon_ = core_.seen_seq();
  tell(std::move(told));
  if (horizon_) find_forgotten(now);
  drop_saved();
  if (!opened_) {
    opened_ = true;
    emit(dstream_effect::Opened{owner_, id_, std::nullopt});
  }
  after_change();
}

void DStreamStore::on_updates(const std::vector<StreamUpdate>& updates) {
  note_echoes(updates);
  CoreStreamStore::Changes told;
  core_.on_updates(updates, opened_ ? &told : nullptr);
  tell(std::move(told));
  drop_saved();
  after_change();
}

void DStreamStore::forget(const std::vector<StreamSequence>& seqs) {
  CoreStreamStore::Changes told;
  core_.forget(seqs, opened_ ? &told : nullptr);
  const auto gone = [&](const Saved& saved) {
    return std::find(seqs.begin(), seqs.end(), saved.seq) != seqs.end();
  };
  saved_.erase(std::remove_if(saved_.begin(), saved_.end(), gone), saved_.end());
  tell(std::move(told));
  after_change();
}

// The stream may tell a message before its acknowledgement arrives.
void DStreamStore::note_echoes(const std::vector<StreamUpdate>& updates) {
  for (const StreamUpdate& update : updates) {
    if (update.is_delete || update.message.message_id.empty()) continue;
    const auto sent = sent_.find(update.message.message_id);
    if (sent == sent_.end()) continue;
    const auto local = find(sent->second);
    // Behind the horizon it is shown as an acknowledged one.
    if (horizon_) {
      keep({update.message.seq, std::move(local->value), session_, false});
    }
    take_local(local);
  }
}

// Messages that were sent so long ago that sending them again might store them twice.
void DStreamStore::find_forgotten(TimeMs now) {
  std::unordered_multimap<std::string, StreamSequence> hidden;
  bool collected = false;
  for (std::size_t i = 0; i < local_.size();) {
    Local& local = local_[i];
    if (!local.unknown || now - local.sent_at < kRecognizedFor) {
      ++i;
      continue;
    }
    for (std::size_t at = told_count(); !collected && at < core_.log().size(); ++at) {
      const MessageLog::Entry entry = core_.log().at(at);
      hidden.emplace(content_of(entry.encoding, entry.raw, Headers(to_bytes(entry.headers))),
                     entry.seq);
    }
    collected = true;
    const auto found =
        hidden.find(content_of(local.value.encoding, local.value.raw, local.headers));
    if (found == hidden.end()) {
      ++i;
      continue;
    }
    keep({found->second, std::move(local.value), session_, false});
    hidden.erase(found);
    take_local(local_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void DStreamStore::keep(Saved saved) {
  const auto place =
      std::lower_bound(saved_.begin(), saved_.end(), saved.seq,
                       [](const Saved& item, StreamSequence wanted) { return item.seq < wanted; });
  if (place != saved_.end() && place->seq == saved.seq) return;
  saved_.insert(place, std::move(saved));
}

// What is in the log, or was acknowledged before this session and is in no log any more.
void DStreamStore::drop_saved() {
  if (horizon_) return;
  const auto over = [&](const Saved& saved) {
    return saved.seq <= core_.seen_seq() || saved.session < session_;
  };
  saved_.erase(std::remove_if(saved_.begin(), saved_.end(), over), saved_.end());
}

void DStreamStore::tell(CoreStreamStore::Changes changes) {
  for (StreamLogChange& change : changes) {
    if (horizon_) {
      behind_horizon_.push_back(std::move(change));
    } else {
      emit(dstream_effect::Change{owner_, id_, std::move(change)});
    }
  }
}

void DStreamStore::end_horizon() {
  if (!horizon_ || unknown_ > 0) return;
  horizon_.reset();
  drop_saved();
  tell(std::exchange(behind_horizon_, {}));
}

void DStreamStore::after_change() {
  end_horizon();
  if (autosave_ && local_.empty()) answer(saves_, std::nullopt);
  check_stable();
}

void DStreamStore::check_stable() {
  if (stable_ || !is_stable()) return;
  stable_ = true;
  emit(dstream_effect::Stable{owner_, id_});
}

void DStreamStore::on_failed(const Error& error) {
  answer(saves_, error);
  answer(attempt_, error);
  if (!opened_) emit(dstream_effect::Opened{owner_, id_, error});
}

void DStreamStore::answer(std::vector<CallId>& calls, const std::optional<Error>& error) {
  for (const CallId call : std::exchange(calls, {})) {
    emit(dstream_effect::Saved{owner_, id_, call, error});
  }
}

}  // namespace conat
