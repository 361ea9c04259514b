#include "property/stream/stream_model.hpp"

namespace conat::test {
namespace {

std::string delete_text(const std::vector<StreamSequence>& seqs) {
  std::string text = "delete";
  for (const StreamSequence seq : seqs) text += " " + std::to_string(seq);
  return text;
}

}  // namespace

std::string change_text(const StreamChange& change) {
  if (!change.deleted.empty()) return delete_text(change.deleted);
  return "set " + std::to_string(change.message.seq) + " " + change.message.message_id;
}

std::int64_t StreamModel::bytes() const {
  std::int64_t sum = 0;
  for (const ModelMessage& message : messages) sum += message.size();
  return sum;
}

std::int64_t StreamModel::with_ttl() const {
  return std::count_if(messages.begin(), messages.end(),
                       [](const ModelMessage& message) { return message.ttl > 0; });
}

void StreamModel::announce(const std::vector<StreamSequence>& seqs) {
  if (!seqs.empty()) changes.push_back(delete_text(seqs));
}

void StreamModel::remove_where(const std::vector<StreamSequence>& seqs) {
  const auto gone = [&seqs](const ModelMessage& message) {
    return std::find(seqs.begin(), seqs.end(), message.seq) != seqs.end();
  };
  messages.erase(std::remove_if(messages.begin(), messages.end(), gone), messages.end());
}

void StreamModel::remove_expired(UnixMs now, StreamSequence keep) {
  std::vector<StreamSequence> aged;
  std::vector<StreamSequence> expired;
  for (const ModelMessage& message : messages) {
    if (message.seq == keep) continue;
    if (config.max_age_ms > 0 && message.time + config.max_age_ms <= now) {
      aged.push_back(message.seq);
    } else if (config.allow_msg_ttl && message.ttl > 0 && message.time + message.ttl <= now) {
      expired.push_back(message.seq);
    }
  }
  remove_where(aged);
  announce(aged);
  remove_where(expired);
  announce(expired);
}

// Removes the oldest until the rest, with a new message of `size` (`count` of them: 1 or 0), fits.
void StreamModel::discard(std::int64_t count, std::int64_t size, StreamSequence keep) {
  std::vector<StreamSequence> gone;
  for (;;) {
    std::int64_t total_count = count;
    std::int64_t total_bytes = size;
    const ModelMessage* oldest = nullptr;
    for (const ModelMessage& message : messages) {
      if (message.seq == keep || message.held) continue;
      if (oldest == nullptr) oldest = &message;
      ++total_count;
      total_bytes += message.size();
    }
    const bool fits = (config.max_msgs < 0 || total_count <= config.max_msgs) &&
                      (config.max_bytes < 0 || total_bytes <= config.max_bytes);
    if (fits || oldest == nullptr) break;
    gone.push_back(oldest->seq);
    remove_where({oldest->seq});
  }
  announce(gone);
}

std::string StreamModel::set(UnixMs now, const SetRequest& request) {
  if (!request.message_id.empty()) {
    const auto known = ids_.find(request.message_id);
    if (known != ids_.end() && known->second.second + 120'000 > now) {
      return std::to_string(known->second.first);
    }
  }
  ModelMessage message{
      0, now, request.key, to_string(ByteView(request.raw)), request.headers_json, request.ttl_ms};
  const ModelMessage* old = nullptr;
  for (const ModelMessage& candidate : messages) {
    if (request.key && candidate.key == request.key) old = &candidate;
  }
  if (request.key && request.previous_seq &&
      (old == nullptr || old->seq != *request.previous_seq)) {
    return "wrong last sequence";
  }
  if (config.max_msg_size >= 0 && message.size() > config.max_msg_size) {
    return "max_msg_size of " + std::to_string(config.max_msg_size) + " bytes exceeded";
  }
  std::int64_t recent_count = 0;
  std::int64_t recent_bytes = 0;
  for (const Stored& stored : recent_) {
    if (stored.time <= now - 1000) continue;
    ++recent_count;
    recent_bytes += stored.size;
  }
  if (config.max_msgs_per_second >= 0 && recent_count > config.max_msgs_per_second) {
    return "max_msgs_per_second exceeded";
  }
  if (config.max_bytes_per_second >= 0 && recent_bytes > config.max_bytes_per_second) {
    return "max_bytes_per_second exceeded";
  }
  const StreamSequence keep = old == nullptr ? 0 : old->seq;
  const std::int64_t size = message.size();
  remove_expired(now, keep);
  if (config.discard_new) {
    std::int64_t count = 1;
    std::int64_t total = size;
    for (const ModelMessage& other : messages) {
      if (other.seq == keep || other.held) continue;
      ++count;
      total += other.size();
    }
    if (config.max_msgs >= 0 && count > config.max_msgs) return "max_msgs limit reached";
    if (config.max_bytes >= 0 && total > config.max_bytes) return "max_bytes limit reached";
  } else {
    discard(1, size, keep);
    message.held = (config.max_bytes >= 0 && size > config.max_bytes) || config.max_msgs == 0;
  }
  if (keep != 0) remove_where({keep});
  message.seq = ++last_seq;
  changes.push_back("set " + std::to_string(message.seq) + " " + request.message_id);
  if (!request.message_id.empty()) ids_[request.message_id] = {message.seq, now};
  if (limits_rates()) recent_.push_back({now, size});
  messages.push_back(std::move(message));
  return std::to_string(last_seq);
}

std::vector<StreamSequence> StreamModel::erase(const DeleteRequest& request) {
  std::vector<StreamSequence> seqs;
  for (const ModelMessage& message : messages) {
    const bool goes =
        request.all || (request.last_seq ? message.seq <= *request.last_seq
                                         : request.seq && message.seq == *request.seq);
    if (goes) seqs.push_back(message.seq);
  }
  if (!request.all && !request.last_seq && !request.seq && request.seqs) seqs = *request.seqs;
  remove_where(seqs);
  announce(seqs);
  return seqs;
}

void StreamModel::configure(UnixMs now, const StreamConfig& changed) {
  const bool limited = limits_rates();
  config = changed;
  if (limits_rates() && !limited) reload(now);
  enforce(now);
}

void StreamModel::enforce(UnixMs now) {
  remove_expired(now, 0);
  if (!config.discard_new) discard(0, 0, 0);
}

void StreamModel::commit() {
  for (ModelMessage& message : messages) message.held = false;
}

void StreamModel::reload(UnixMs now) {
  recent_.clear();
  for (const ModelMessage& message : messages) {
    if (message.time > now - 1000) recent_.push_back({message.time, message.size()});
  }
}

}  // namespace conat::test
