// One session: from a ready socket to a receiver that has caught up, and its changes from then on.
#include <algorithm>
#include <utility>

#include "conat/sync/stream_client_impl.hpp"
#include "conat/sync/stream_codec.hpp"

namespace conat {
namespace {

// How often and how far apart the number of messages is compared while changes come in.
constexpr int kChecks = 3;
constexpr std::int64_t kCheckDelay = 100;
// What one message or change takes besides its bytes.
constexpr std::size_t kOverhead = 128;
// A load that is larger than this does not fit into a client.
constexpr std::size_t kMaxLoadBytes = std::size_t{1} << 31;

MessageData opening_message(const StreamOpenOptions& options) {
  Value::Map storage;
  storage.emplace_back("path", options.path);
  if (options.ephemeral) storage.emplace_back("ephemeral", true);
  if (options.sync) storage.emplace_back("sync", true);
  if (!options.compression.is_null()) storage.emplace_back("compression", options.compression);
  Value::Map opening;
  opening.emplace_back("storage", Value(std::move(storage)));
  opening.emplace_back("changefeed", false);
  return MessageData::of(Value(std::move(opening)));
}

std::size_t weight(const StreamMessage& message) {
  return kOverhead + message.raw.size() + message.headers.encoded().size();
}

}  // namespace

void StreamClients::Impl::forget_progress(Stream& stream) {
  stream.unanswered = 0;
  stream.load = Load::none;
  stream.filling = false;
  stream.checking = false;
  stream.checks = 0;
  stream.check_at.reset();
  stream.messages.clear();
  stream.load_bytes = 0;
  stream.held_back.clear();
  stream.held_back_bytes = 0;
}

// The requests of one socket take effect in order, so all but the check go out at once.
void StreamClients::Impl::start(TimeMs now, StreamClientId id, Stream& stream) {
  const StreamFollow follow = stream.options.follow;
  forget_progress(stream);
  stream.greeted = true;
  stream.phase = Phase::starting;
  Status written = sockets_.write(now, stream.socket, opening_message(stream.options));
  if (!written.ok()) return fail_session(now, id, stream, written.error());
  if (follow != StreamFollow::nothing && !ask_for_feed(now, id, stream)) return;
  if (stream.options.config.if_map() != nullptr) {
    ++stream.unanswered;
    Value arguments;
    arguments.set("config", stream.options.config);
    const MessageData request = encode_command("config", arguments);
    if (!ask(now, id, stream, Purpose::config, request, false)) return;
  }
  if (follow == StreamFollow::everything) {
    const bool comparable =
        stream.opened && stream.held && !stream.options.ephemeral && stream.options.start_seq == 0;
    if (!load(now, id, stream, !comparable)) return;
  } else if (follow == StreamFollow::changes) {
    if (!ask_for_changes(now, id, stream)) return;
  }
  send_waiting(now, id, stream);
  proceed(now, id, stream);
}

void StreamClients::Impl::follow_changes(TimeMs now, StreamClientId id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->options.follow != StreamFollow::nothing) return;
  stream->options.follow = StreamFollow::changes;
  if (!stream->greeted) return;  // the session that begins will ask
  stream->phase = Phase::starting;
  if (ask_for_feed(now, id, *stream)) ask_for_changes(now, id, *stream);
}

bool StreamClients::Impl::ask_for_feed(TimeMs now, StreamClientId id, Stream& stream) {
  ++stream.unanswered;
  const MessageData request = encode_command("changefeed", Value());
  return ask(now, id, stream, Purpose::feed, request, false);
}

// What was missed since the last session, or where the stream stands at the first one.
bool StreamClients::Impl::ask_for_changes(TimeMs now, StreamClientId id, Stream& stream) {
  return stream.based ? load(now, id, stream, false) : check(now, id, stream);
}

// False when the session has failed; the others that ask the same.
bool StreamClients::Impl::ask(TimeMs now, StreamClientId id, Stream& stream, Purpose purpose,
                              MessageData data, bool many) {
  RequestOptions options;
  options.timeout_ms = limits::request_timeout_ms;
  options.many = many;
  const auto call = sockets_.request(now, stream.socket, std::move(data), options);
  if (!call.ok()) {
    fail_session(now, id, stream, call.error());
    return false;
  }
  requests_[*call] = Request{id, purpose, 0, stream.owner};
  return true;
}

bool StreamClients::Impl::load(TimeMs now, StreamClientId id, Stream& stream, bool complete) {
  stream.load = Load::running;
  stream.complete = complete;
  stream.load_number = 0;
  stream.messages.clear();
  stream.load_bytes = 0;
  Value arguments;
  arguments.set("start_seq", Value(complete ? stream.options.start_seq : stream.last_seq + 1));
  arguments.set("timeout", Value(limits::request_timeout_ms));
  return ask(now, id, stream, Purpose::load, encode_command("getAll", arguments), true);
}

bool StreamClients::Impl::check(TimeMs now, StreamClientId id, Stream& stream) {
  stream.checking = true;
  return ask(now, id, stream, Purpose::check, encode_command("inventory", Value()), false);
}

void StreamClients::Impl::on_answer(TimeMs now, StreamClientId id, Stream& stream, Purpose purpose,
                                    const MessageData& answer, bool last) {
  switch (purpose) {
    case Purpose::feed:
    case Purpose::config:
      --stream.unanswered;
      proceed(now, id, stream);
      return;
    case Purpose::load:
      on_load_part(now, id, stream, answer, last);
      return;
    case Purpose::check:
      on_inventory(now, id, stream, answer);
      return;
    case Purpose::user:
      return;
  }
}

// The parts of a load are numbered; a lost one must not go unnoticed.
void StreamClients::Impl::on_load_part(TimeMs now, StreamClientId id, Stream& stream,
                                       const MessageData& part, bool last) {
  const bool in_order = part.headers.number("seq") == stream.load_number++;
  const bool end = is_null_payload(part);
  if (!in_order || end != last) {
    const Error error(ErrorKind::malformed, "a part of the messages is missing");
    return fail_session(now, id, stream, error);
  }
  if (end) {
    stream.load = Load::ready;
    return proceed(now, id, stream);
  }
  auto messages = parse_messages(part);
  if (!messages.ok()) return fail_session(now, id, stream, messages.error());
  for (StreamMessage& message : *messages) {
    stream.load_bytes += weight(message);
    stream.messages.push_back(std::move(message));
  }
  if (stream.load_bytes > kMaxLoadBytes) {
    fail_session(now, id, stream, Error(ErrorKind::too_large, "the stream is too large"));
  }
}

// The number of messages tells whether something was deleted meanwhile: all that the server has is
// known here by now, so equal numbers mean equal messages.
void StreamClients::Impl::on_inventory(TimeMs now, StreamClientId id, Stream& stream,
                                       const MessageData& answer) {
  const auto decoded = answer.decode();
  const Value* count = decoded.ok() ? decoded->find("count") : nullptr;
  const Value* seq = decoded.ok() ? decoded->find("seq") : nullptr;
  if (count == nullptr || seq == nullptr) {
    return fail_session(now, id, stream, Error(ErrorKind::malformed, "malformed inventory"));
  }
  if (stream.options.follow == StreamFollow::changes) {
    deliver_held_back(id, stream);
    stream.last_seq = std::max(stream.last_seq, seq->integer_or(0));
    stream.based = true;
    stream.checking = false;
    return proceed(now, id, stream);
  }
  ++stream.checks;
  if (stream.held && static_cast<std::int64_t>(*stream.held) == count->integer_or(-1)) {
    stream.checking = false;
    proceed(now, id, stream);
  } else if (stream.checks < kChecks && !stream.held_back.empty()) {
    // Changes are under way that the number was ahead of, or behind.
    deliver_held_back(id, stream);
    stream.check_at = now + kCheckDelay;
    rearm(id, stream);
  } else {
    stream.checking = false;
    load(now, id, stream, true);
  }
}

// One step further, when what it needs is complete.
void StreamClients::Impl::proceed(TimeMs now, StreamClientId id, Stream& stream) {
  if (stream.phase != Phase::starting || stream.unanswered > 0) return;
  if (stream.load == Load::ready) {
    deliver_load(id, stream);
    const bool caught_up = stream.complete || stream.filling;
    if (stream.options.follow == StreamFollow::everything && !caught_up) {
      check(now, id, stream);
      return;
    }
  }
  if (stream.load == Load::running || stream.checking) return;
  deliver_held_back(id, stream);
  stream.phase = Phase::live;
  if (std::exchange(stream.filling, false)) return;
  stream.live_since = std::max<TimeMs>(now, 1);
  // Without anything to ask it is not known yet whether the server let it in.
  if (stream.options.follow != StreamFollow::nothing) stream.opened = true;
  stream.told_connected = true;
  effects_.push_back(
      stream_client_effect::ConnectionChanged{stream.owner, id, true, stream.options.follow});
}

void StreamClients::Impl::deliver_load(StreamClientId id, Stream& stream) {
  stream.load = Load::none;
  stream.load_bytes = 0;
  std::vector<StreamMessage> messages = std::exchange(stream.messages, {});
  if (stream.options.follow == StreamFollow::changes || stream.filling) {
    std::vector<StreamUpdate> updates;
    updates.reserve(messages.size());
    for (StreamMessage& message : messages) {
      updates.emplace_back();
      updates.back().message = std::move(message);
    }
    return deliver(id, stream, std::move(updates));
  }
  if (stream.complete) stream.last_seq = std::max<StreamSequence>(stream.options.start_seq, 1) - 1;
  if (!messages.empty()) stream.last_seq = std::max(stream.last_seq, messages.back().seq);
  effects_.push_back(
      stream_client_effect::Snapshot{stream.owner, id, stream.complete, std::move(messages)});
}

// What was delivered before is left out: a load and the feed overlap.
void StreamClients::Impl::deliver(StreamClientId id, Stream& stream,
                                  std::vector<StreamUpdate> updates) {
  const auto known = [&](const StreamUpdate& update) {
    if (update.is_delete) return update.deleted.empty();
    if (update.message.seq <= stream.last_seq) return true;
    stream.last_seq = update.message.seq;
    return false;
  };
  updates.erase(std::remove_if(updates.begin(), updates.end(), known), updates.end());
  if (updates.empty()) return;
  effects_.push_back(stream_client_effect::Changes{stream.owner, id, std::move(updates)});
}

void StreamClients::Impl::deliver_held_back(StreamClientId id, Stream& stream) {
  stream.held_back_bytes = 0;
  deliver(id, stream, std::exchange(stream.held_back, {}));
}

// Data of the socket are the changefeed, or why the stream could not be opened.
void StreamClients::Impl::on_data(TimeMs now, StreamClientId id, Stream& stream,
                                  const MessageData& data) {
  if (const auto error = answer_error(data)) return fail_session(now, id, stream, *error);
  auto updates = parse_updates(data);
  if (!updates.ok()) return fail_session(now, id, stream, updates.error());
  if (data.headers.number("seq") != stream.feed_number++) {
    const Error error(ErrorKind::malformed, "a part of the changefeed is missing");
    return fail_session(now, id, stream, error);
  }
  if (stream.options.follow == StreamFollow::nothing) return;
  if (stream.phase == Phase::live) {
    if (!has_gap(stream, *updates)) return deliver(id, stream, std::move(*updates));
    stream.phase = Phase::starting;
    stream.filling = true;
    if (!load(now, id, stream, false)) return;
  }
  // While the socket is lost nothing is kept: the next session asks for all of it.
  if (stream.phase == Phase::starting) hold_back(now, id, stream, std::move(*updates));
}

bool StreamClients::Impl::has_gap(const Stream& stream, const std::vector<StreamUpdate>& updates) {
  StreamSequence last = stream.last_seq;
  for (const StreamUpdate& update : updates) {
    if (update.is_delete || update.message.seq <= last) continue;
    if (update.message.seq > last + 1) return true;
    last = update.message.seq;
  }
  return false;
}

void StreamClients::Impl::hold_back(TimeMs now, StreamClientId id, Stream& stream,
                                    std::vector<StreamUpdate> updates) {
  for (StreamUpdate& update : updates) {
    stream.held_back_bytes += weight(update.message) + 8 * update.deleted.size();
    stream.held_back.push_back(std::move(update));
  }
  if (stream.held_back_bytes > limits::max_queue_bytes) {
    fail_session(now, id, stream, Error(ErrorKind::too_large, "too many changes at the opening"));
  }
}

}  // namespace conat
