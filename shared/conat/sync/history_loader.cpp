#include "conat/sync/history_loader.hpp"

#include <algorithm>
#include <utility>

#include "conat/sync/stream_codec.hpp"

namespace conat {

std::optional<HistoryLoader::Done> HistoryLoader::load(TimeMs now, CallId call,
                                                       StreamSequence start_seq) {
  if (store_.start_seq() <= std::max<StreamSequence>(start_seq, 1) && loads_.empty()) {
    return Done{call, std::nullopt};
  }
  loads_.push_back({call, std::max<StreamSequence>(start_seq, 0)});
  if (loads_.size() == 1 && streams_.connected(stream_)) begin(now);
  return std::nullopt;
}

void HistoryLoader::on_connected(TimeMs now) {
  if (!loads_.empty() && request_ == 0) begin(now);
}

void HistoryLoader::begin(TimeMs now) {
  next_part_ = 0;
  messages_.clear();
  deleted_.clear();
  Value arguments;
  arguments.set("start_seq", Value(loads_.front().start_seq));
  arguments.set("end_seq", Value(store_.start_seq() - 1));
  arguments.set("timeout", Value(limits::request_timeout_ms));
  StreamCallOptions options;
  options.many = true;
  request_ = streams_.command(now, stream_, "getAll", arguments, options);
}

void HistoryLoader::on_updates(const std::vector<StreamUpdate>& updates) {
  if (request_ == 0) return;
  for (const StreamUpdate& update : updates) {
    deleted_.insert(update.deleted.begin(), update.deleted.end());
  }
}

bool HistoryLoader::on_answer(TimeMs now, const stream_client_effect::Answer& answer,
                              CoreStreamStore::Changes* told, std::vector<Done>& done) {
  if (request_ == 0 || answer.call != request_) return false;
  if (!answer.reply.ok()) {
    repeat_later(now, answer.reply.error(), done);
    return true;
  }
  const MessageData& part = *answer.reply;
  const bool in_order = part.headers.number("seq") == next_part_++;
  const bool end = is_null_payload(part);
  auto messages =
      end ? Result<std::vector<StreamMessage>>(std::vector<StreamMessage>()) : parse_messages(part);
  if (!in_order || end != answer.last || !messages.ok()) {
    repeat_later(now, Error(ErrorKind::malformed, "malformed answer to getAll"), done);
  } else if (end) {
    finish(now, told, done);
  } else {
    for (StreamMessage& message : *messages) messages_.push_back(std::move(message));
  }
  return true;
}

// A broken connection says nothing about the load: it begins again when there is a new one.
void HistoryLoader::repeat_later(TimeMs now, const Error& error, std::vector<Done>& done) {
  request_ = 0;
  messages_.clear();
  const bool again = error.code.number == 503 || error.code.number == 408;
  if (again) {
    if (error.code.number == 408 && streams_.connected(stream_)) begin(now);
    return;
  }
  done.push_back({loads_.front().call, error});
  loads_.pop_front();
  if (!loads_.empty() && streams_.connected(stream_)) begin(now);
}

void HistoryLoader::finish(TimeMs now, CoreStreamStore::Changes* told, std::vector<Done>& done) {
  request_ = 0;
  const auto gone = [&](const StreamMessage& message) { return deleted_.count(message.seq) > 0; };
  messages_.erase(std::remove_if(messages_.begin(), messages_.end(), gone), messages_.end());
  const StreamSequence start_seq = loads_.front().start_seq <= 1 ? 0 : loads_.front().start_seq;
  store_.on_history(start_seq, std::exchange(messages_, {}), told);
  streams_.set_start_seq(stream_, start_seq);
  done.push_back({loads_.front().call, std::nullopt});
  loads_.pop_front();
  // What others wanted may be here by now.
  while (!loads_.empty() &&
         store_.start_seq() <= std::max<StreamSequence>(loads_.front().start_seq, 1)) {
    done.push_back({loads_.front().call, std::nullopt});
    loads_.pop_front();
  }
  if (!loads_.empty()) begin(now);
}

}  // namespace conat
