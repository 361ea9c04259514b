#include "conat/sync/stream_client.hpp"

#include <algorithm>
#include <utility>

#include "conat/stream/persist_server.hpp"
#include "conat/sync/stream_client_impl.hpp"
#include "conat/sync/stream_codec.hpp"

namespace conat {

StreamClients::StreamClients(Sockets& sockets, Random random)
    : impl_(std::make_unique<Impl>(sockets, std::move(random))) {}
StreamClients::~StreamClients() = default;

void StreamClients::set_reconnect_delay(std::int64_t delay_ms) {
  impl_->set_reconnect_delay(delay_ms);
}
Result<StreamClientId> StreamClients::open(TimeMs now, Owner owner, StreamOpenOptions options) {
  return impl_->open(now, owner, std::move(options));
}
void StreamClients::close(TimeMs now, StreamClientId stream) { impl_->close(now, stream); }
CallId StreamClients::set_many(TimeMs now, StreamClientId stream,
                               const std::vector<StreamSet>& items,
                               const StreamCallOptions& options) {
  return impl_->call(now, stream, encode_set_many(items), options);
}
CallId StreamClients::command(TimeMs now, StreamClientId stream, std::string_view name,
                              const Value& arguments, const StreamCallOptions& options) {
  return impl_->call(now, stream, encode_command(name, arguments), options);
}
CallId StreamClients::request(TimeMs now, StreamClientId stream, MessageData data,
                              const StreamCallOptions& options) {
  return impl_->call(now, stream, std::move(data), options);
}
void StreamClients::follow_changes(TimeMs now, StreamClientId stream) {
  impl_->follow_changes(now, stream);
}
void StreamClients::set_held(StreamClientId stream, std::optional<std::uint64_t> count) {
  impl_->set_held(stream, count);
}
void StreamClients::set_start_seq(StreamClientId stream, StreamSequence start_seq) {
  impl_->set_start_seq(stream, start_seq);
}
bool StreamClients::connected(StreamClientId stream) const { return impl_->connected(stream); }
void StreamClients::on_socket_effect(TimeMs now, SocketEffect effect) {
  impl_->on_socket_effect(now, std::move(effect));
}
void StreamClients::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> StreamClients::deadline() const { return impl_->deadline(); }
bool StreamClients::next(StreamClientEffect& effect) { return impl_->next(effect); }

// ---- streams ----

StreamClients::Impl::Stream* StreamClients::Impl::find(StreamClientId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

Result<StreamClientId> StreamClients::Impl::open(TimeMs now, Owner owner,
                                                 StreamOpenOptions options) {
  if (Status allowed = check_storage_path(options.scope, options.path); !allowed.ok()) {
    return std::move(allowed.error());
  }
  const StreamClientId id = ++last_stream_;
  Stream& stream = streams_[id];
  stream.owner = owner;
  stream.options = std::move(options);
  stream.reconnect_delay_ms = reconnect_delay_ms_;
  connect(now, id, stream);
  return id;
}

void StreamClients::Impl::close(TimeMs now, StreamClientId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (request->second.stream == id) {
      sockets_.cancel(request->first);
      request = requests_.erase(request);
    } else {
      ++request;
    }
  }
  for (const Waiting& request : stream->waiting) waiting_bytes_ -= request.data.raw.size();
  release_socket(now, *stream);
  timers_.set(id, std::nullopt);
  streams_.erase(id);
  const auto of_this = [id](const StreamClientEffect& effect) {
    return std::visit([](const auto& item) { return item.stream; }, effect) == id;
  };
  effects_.erase(std::remove_if(effects_.begin(), effects_.end(), of_this), effects_.end());
}

void StreamClients::Impl::set_held(StreamClientId id, std::optional<std::uint64_t> count) {
  if (Stream* stream = find(id)) stream->held = count;
}

void StreamClients::Impl::set_start_seq(StreamClientId id, StreamSequence start_seq) {
  if (Stream* stream = find(id)) stream->options.start_seq = start_seq;
}

bool StreamClients::Impl::connected(StreamClientId id) const {
  const auto found = streams_.find(id);
  return found != streams_.end() && found->second.phase == Phase::live;
}

bool StreamClients::Impl::next(StreamClientEffect& effect) {
  if (effects_.empty()) return false;
  effect = std::move(effects_.front());
  effects_.pop_front();
  return true;
}

// ---- sockets ----

void StreamClients::Impl::connect(TimeMs now, StreamClientId id, Stream& stream) {
  release_socket(now, stream);
  stream.retry_at.reset();
  stream.feed_number = 0;
  const std::string subject = stream.options.service + "." + stream.options.scope;
  ConnectOptions options;
  options.balancer_subject = subject + ".id";
  const auto socket = sockets_.connect(now, Owner{Layer::stream, id}, subject, options);
  if (!socket.ok()) {
    retry_later(now, stream);
  } else {
    stream.phase = Phase::connecting;
    stream.socket = *socket;
    by_socket_[stream.socket] = id;
  }
  rearm(id, stream);
}

void StreamClients::Impl::release_socket(TimeMs now, Stream& stream) {
  if (stream.socket == 0) return;
  by_socket_.erase(stream.socket);
  sockets_.close(now, stream.socket);
  stream.socket = 0;
  stream.greeted = false;
}

void StreamClients::Impl::on_socket_effect(TimeMs now, SocketEffect effect) {
  if (auto* reply = std::get_if<socket_effect::ReplyArrived>(&effect)) {
    on_reply(now, *reply);
    return;
  }
  const auto* state = std::get_if<socket_effect::StateChanged>(&effect);
  const auto* data = std::get_if<socket_effect::Data>(&effect);
  if (state == nullptr && data == nullptr) return;
  const auto found = by_socket_.find(state != nullptr ? state->socket : data->socket);
  if (found == by_socket_.end()) return;
  const StreamClientId id = found->second;
  Stream& stream = *find(id);
  if (state != nullptr) {
    on_state(now, id, stream, state->state);
  } else {
    on_data(now, id, stream, data->data);
  }
}

void StreamClients::Impl::on_state(TimeMs now, StreamClientId id, Stream& stream,
                                   SocketState state) {
  switch (state) {
    case SocketState::connecting:
      return;
    case SocketState::ready:
      start(now, id, stream);
      return;
    case SocketState::disconnected:
      // The socket would come back by itself, but perhaps at another server, which does not know
      // what it was opened for. A new one connects as soon as the client is back; without a delay
      // of its own, since the client's coming back had one.
      if (stream.phase == Phase::live || stream.filling) {
        lose_session(id, stream);
        connect(now, id, stream);
      } else if (stream.greeted) {
        fail_session(now, id, stream, Error(ErrorKind::disconnected));
      }
      return;
    case SocketState::closed:
      fail_session(now, id, stream, Error(ErrorKind::disconnected));
      return;
  }
}

// The socket is not usable now; what was asked in it fails.
void StreamClients::Impl::lose_session(StreamClientId id, Stream& stream) {
  stream.phase = Phase::waiting;
  forget_progress(stream);
  drop_requests(id, Error(ErrorKind::disconnected));
  if (std::exchange(stream.told_connected, false)) {
    effects_.push_back(stream_client_effect::ConnectionChanged{stream.owner, id, false});
  }
  rearm(id, stream);
}

// This socket is of no use any more.
void StreamClients::Impl::fail_session(TimeMs now, StreamClientId id, Stream& stream,
                                       const Error& error) {
  const int code = error.code.number;
  const bool final = (code == 400 || code == 403 || code == 429) && !stream.opened;
  if (final) drop_requests(id, error);
  lose_session(id, stream);
  release_socket(now, stream);
  if (final) {
    for (Waiting& request : std::exchange(stream.waiting, {})) {
      waiting_bytes_ -= request.data.raw.size();
      answer(id, request.owner, request.call, error, true);
    }
    effects_.push_back(stream_client_effect::Failed{stream.owner, id, error});
    timers_.set(id, std::nullopt);
    streams_.erase(id);
    return;
  }
  retry_later(now, stream);
  rearm(id, stream);
}

void StreamClients::Impl::retry_later(TimeMs now, Stream& stream) {
  const bool was_stable =
      stream.live_since != 0 && now - stream.live_since >= limits::stream_stable_ms;
  if (was_stable) stream.failures = 0;
  stream.live_since = 0;
  double delay = static_cast<double>(stream.reconnect_delay_ms);
  const double most = static_cast<double>(limits::stream_reconnect_max_ms);
  for (std::uint32_t i = 0; i < stream.failures && delay < most; ++i) delay *= 1.8;
  delay = std::min(delay, most) * (1 + 0.25 * random_.unit());
  ++stream.failures;
  stream.phase = Phase::waiting;
  stream.retry_at = now + static_cast<std::int64_t>(delay);
}

void StreamClients::Impl::drop_requests(StreamClientId id, const Error& error) {
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (request->second.stream != id) {
      ++request;
      continue;
    }
    sockets_.cancel(request->first);
    const Request dropped = request->second;
    request = requests_.erase(request);
    if (dropped.purpose == Purpose::user) answer(id, dropped.owner, dropped.call, error, true);
  }
}

// ---- the user's requests ----

CallId StreamClients::Impl::call(TimeMs now, StreamClientId id, MessageData data,
                                 const StreamCallOptions& options) {
  const CallId call = ++last_call_;
  Stream* stream = find(id);
  if (stream == nullptr) {
    answer(id, options.owner.value_or(Owner{Layer::sync, 0}), call, Error(ErrorKind::closed), true);
    return call;
  }
  Waiting request{call, options.owner.value_or(stream->owner), std::move(data), options.many,
                  now + std::max<std::int64_t>(options.timeout_ms, 1)};
  if (stream->greeted) {
    send(now, id, *stream, std::move(request));
    return call;
  }
  if (waiting_bytes_ + request.data.raw.size() > limits::client_max_waiting_bytes) {
    answer(id, request.owner, call, Error(ErrorKind::socket_buffer_full), true);
    return call;
  }
  waiting_bytes_ += request.data.raw.size();
  stream->waiting.push_back(std::move(request));
  rearm(id, *stream);
  return call;
}

void StreamClients::Impl::send(TimeMs now, StreamClientId id, Stream& stream, Waiting request) {
  RequestOptions options;
  options.timeout_ms = std::max<std::int64_t>(request.until - now, 1);
  options.many = request.many;
  const auto sent = sockets_.request(now, stream.socket, std::move(request.data), options);
  if (!sent.ok()) {
    answer(id, request.owner, request.call, sent.error(), true);
    return;
  }
  requests_[*sent] = Request{id, Purpose::user, request.call, request.owner};
}

void StreamClients::Impl::send_waiting(TimeMs now, StreamClientId id, Stream& stream) {
  for (Waiting& request : std::exchange(stream.waiting, {})) {
    waiting_bytes_ -= request.data.raw.size();
    send(now, id, stream, std::move(request));
  }
}

void StreamClients::Impl::expire_waiting(TimeMs now, StreamClientId id, Stream& stream) {
  std::deque<Waiting> still;
  for (Waiting& request : stream.waiting) {
    if (request.until > now) {
      still.push_back(std::move(request));
      continue;
    }
    waiting_bytes_ -= request.data.raw.size();
    answer(id, request.owner, request.call, Error(ErrorKind::timeout), true);
  }
  stream.waiting = std::move(still);
}

void StreamClients::Impl::answer(StreamClientId id, Owner owner, CallId call,
                                 Result<MessageData> reply, bool last) {
  effects_.push_back(stream_client_effect::Answer{owner, id, call, std::move(reply), last});
}

void StreamClients::Impl::on_reply(TimeMs now, socket_effect::ReplyArrived& effect) {
  const auto found = requests_.find(effect.call);
  if (found == requests_.end()) return;
  const Request request = found->second;
  if (effect.last) requests_.erase(found);
  if (request.purpose != Purpose::user) {
    Stream& stream = *find(request.stream);
    if (!effect.reply.ok()) {
      fail_session(now, request.stream, stream, effect.reply.error());
    } else if (auto error = answer_error(effect.reply->data)) {
      fail_session(now, request.stream, stream, *error);
    } else {
      on_answer(now, request.stream, stream, request.purpose, effect.reply->data, effect.last);
    }
    return;
  }
  Result<MessageData> reply = Error(ErrorKind::internal);
  if (!effect.reply.ok()) {
    reply = effect.reply.error();
  } else if (auto error = answer_error(effect.reply->data)) {
    reply = std::move(*error);
  } else {
    find(request.stream)->opened = true;
    reply = std::move(effect.reply->data);
  }
  answer(request.stream, request.owner, request.call, std::move(reply), effect.last);
}

// ---- time ----

void StreamClients::Impl::rearm(StreamClientId id, const Stream& stream) {
  std::optional<TimeMs> at = earlier(stream.retry_at, stream.check_at);
  for (const Waiting& request : stream.waiting) at = earlier(at, request.until);
  timers_.set(id, at);
}

void StreamClients::Impl::on_time(TimeMs now) {
  while (const StreamClientId id = timers_.pop_due(now)) {
    Stream& stream = *find(id);
    expire_waiting(now, id, stream);
    if (stream.check_at && *stream.check_at <= now) {
      stream.check_at.reset();
      check(now, id, stream);
    } else if (stream.retry_at && *stream.retry_at <= now) {
      connect(now, id, stream);
    }
    if (Stream* still = find(id)) rearm(id, *still);
  }
}

}  // namespace conat
