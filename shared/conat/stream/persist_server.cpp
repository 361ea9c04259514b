// Sockets and streams: opening, sharing, failing, closing, timers.
#include "conat/stream/persist_server.hpp"

#include <algorithm>
#include <utility>

#include "conat/stream/persist_scope.hpp"
#include "conat/stream/persist_server_impl.hpp"

namespace conat {

using persist_parts::Opening;

PersistServer::PersistServer(PersistServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
PersistServer::~PersistServer() = default;

void PersistServer::on_connected(TimeMs, PersistSocketId socket, std::string_view subject) {
  impl_->on_connected(socket, subject);
}
void PersistServer::on_data(TimeMs now, PersistSocketId socket, const MessageData& data) {
  impl_->on_data(now, socket, data);
}
void PersistServer::on_request(TimeMs now, PersistSocketId socket, std::string_view reply_subject,
                               MessageData data) {
  impl_->on_request(now, socket, reply_subject, std::move(data));
}
void PersistServer::on_closed(TimeMs, PersistSocketId socket) { impl_->on_closed(socket); }
void PersistServer::on_storage(TimeMs now, StorageResult result) {
  impl_->on_storage(now, std::move(result));
}
void PersistServer::on_responded(TimeMs now, std::uint64_t flow, bool delivered) {
  impl_->on_responded(now, flow, delivered);
}
void PersistServer::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> PersistServer::deadline() const { return impl_->deadline(); }
bool PersistServer::next(PersistEffect& effect) { return impl_->next(effect); }

// ---- sockets ----

PersistServer::Impl::Socket* PersistServer::Impl::find_socket(PersistSocketId id) {
  auto found = sockets_.find(id);
  return found == sockets_.end() ? nullptr : &found->second;
}

PersistServer::Impl::OpenedStream* PersistServer::Impl::find_stream(StreamId id) {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

void PersistServer::Impl::on_connected(PersistSocketId id, std::string_view subject) {
  sockets_[id].subject = std::string(subject);
}

void PersistServer::Impl::on_data(TimeMs now, PersistSocketId id, const MessageData& data) {
  Socket* socket = find_socket(id);
  if (socket == nullptr || socket->phase != Phase::fresh) return;
  const Result<Opening> opening = persist_parts::parse_opening(data);
  const Status done = opening ? open(id, *socket, *opening) : Status(opening.error());
  if (!done) {
    fail(id, *socket, done.error());
  } else if (find_stream(socket->stream)->open) {
    opened(now, id, *socket);
  }
}

Status PersistServer::Impl::open(PersistSocketId id, Socket& socket, const Opening& opening) {
  const Result<std::string> scope = persist_parts::scope_of(socket.subject, options_.service);
  if (!scope) return scope.error();
  Status allowed = check_storage_path(*scope, opening.path, socket.subject);
  if (!allowed) return allowed;
  auto shared = by_path_.find(opening.path);
  const Result<StreamId> stream =
      shared != by_path_.end() ? Result<StreamId>(shared->second) : open_stream(*scope, opening);
  if (!stream) return stream.error();
  socket.phase = Phase::opening;
  socket.stream = *stream;
  socket.wants_feed = opening.changefeed;
  find_stream(*stream)->sockets.push_back(id);
  return Nothing{};
}

Result<StreamId> PersistServer::Impl::open_stream(const std::string& scope,
                                                  const Opening& opening) {
  auto in_scope = per_scope_.find(scope);
  if (in_scope != per_scope_.end() && in_scope->second >= options_.max_streams_per_scope) {
    return Error(ErrorKind::limit_reached, "there is a limit of at most " +
                                               std::to_string(options_.max_streams_per_scope) +
                                               " open streams for " + scope);
  }
  if (streams_.size() >= options_.max_streams) {
    return Error(ErrorKind::limit_reached, "there is a limit of at most " +
                                               std::to_string(options_.max_streams) +
                                               " open streams on a server");
  }
  const StreamId id = next_stream_++;
  OpenedStream& stream = streams_[id];
  stream.path = opening.path;
  stream.scope = scope;
  by_path_[opening.path] = id;
  ++per_scope_[scope];
  effects_.push_back(persist_effect::OpenStream{id, opening.path, opening.ephemeral, opening.sync,
                                                opening.compression});
  return id;
}

void PersistServer::Impl::opened(TimeMs, PersistSocketId id, Socket& socket) {
  socket.phase = Phase::open;
  if (socket.wants_feed) start_feed(socket);
  set_timer(Timer::waiting, id, socket.waiting_at, std::nullopt);
  std::deque<Waiting> waiting = std::move(socket.waiting);
  socket.waiting.clear();
  for (Waiting& request : waiting) {
    --socket.requests;
    socket.bytes -= request.data.raw.size();
    run(id, socket, std::move(request.reply), std::move(request.data));
  }
}

void PersistServer::Impl::fail(PersistSocketId id, Socket& socket, const Error& error) {
  socket.phase = Phase::failed;
  socket.error = error;
  socket.stream = 0;
  set_timer(Timer::waiting, id, socket.waiting_at, std::nullopt);
  effects_.push_back(persist_effect::Write{id, persist_parts::error_message(error)});
  for (Waiting& request : socket.waiting) {
    respond(std::move(request.reply), persist_parts::error_message(error));
  }
  socket.waiting.clear();
  socket.requests = 0;
  socket.bytes = 0;
}

void PersistServer::Impl::on_closed(PersistSocketId id) {
  Socket* socket = find_socket(id);
  if (socket == nullptr) return;
  set_timer(Timer::waiting, id, socket->waiting_at, std::nullopt);
  set_timer(Timer::feed, id, socket->feed_at, std::nullopt);
  const StreamId stream_id = socket->stream;
  sockets_.erase(id);
  OpenedStream* stream = find_stream(stream_id);
  if (stream == nullptr) return;
  auto& sharing = stream->sockets;
  sharing.erase(std::remove(sharing.begin(), sharing.end(), id), sharing.end());
  if (!sharing.empty()) return;
  forget_stream(stream_id);
  effects_.push_back(persist_effect::CloseStream{stream_id});
}

// ---- requests that are too early ----

void PersistServer::Impl::on_request(TimeMs now, PersistSocketId id, std::string_view reply,
                                     MessageData data) {
  Socket* socket = find_socket(id);
  if (socket == nullptr || reply.empty()) return;
  switch (socket->phase) {
    case Phase::failed:
      respond(std::string(reply), persist_parts::error_message(*socket->error));
      return;
    case Phase::fresh:
    case Phase::opening:
      wait(now, id, *socket, reply, std::move(data));
      return;
    case Phase::open:
      run(id, *socket, std::string(reply), std::move(data));
      return;
  }
}

void PersistServer::Impl::wait(TimeMs now, PersistSocketId id, Socket& socket,
                               std::string_view reply, MessageData data) {
  if (!has_room(socket, data.raw.size())) {
    respond(std::string(reply), persist_parts::error_message(Error(
                                    ErrorKind::limit_reached, "too many requests are waiting")));
    return;
  }
  const std::optional<Value> timeout = data.headers.get("timeout");
  const std::int64_t asked = timeout ? timeout->integer_or(0) : 0;
  // Beyond an hour nobody waits any more.
  constexpr std::int64_t kLongest = 3'600'000;
  const std::int64_t patience = asked > 0 ? std::min(asked, kLongest) : limits::request_timeout_ms;
  ++socket.requests;
  socket.bytes += data.raw.size();
  const TimeMs until = now + patience;
  socket.waiting.push_back(Waiting{std::string(reply), std::move(data), until});
  if (!socket.waiting_at || until < *socket.waiting_at) {
    set_timer(Timer::waiting, id, socket.waiting_at, until);
  }
}

void PersistServer::Impl::expire_waiting(TimeMs now, PersistSocketId id, Socket& socket) {
  std::deque<Waiting> still;
  std::optional<TimeMs> next;
  for (Waiting& request : socket.waiting) {
    if (request.until > now) {
      next = earlier(next, request.until);
      still.push_back(std::move(request));
      continue;
    }
    --socket.requests;
    socket.bytes -= request.data.raw.size();
    respond(std::move(request.reply),
            persist_parts::error_message(Error(ErrorKind::timeout, "timeout opening the stream")));
  }
  socket.waiting = std::move(still);
  set_timer(Timer::waiting, id, socket.waiting_at, next);
}

// ---- streams ----

void PersistServer::Impl::on_storage(TimeMs now, StorageResult result) {
  OpenedStream* stream = find_stream(result.stream);
  if (stream == nullptr) return;
  if (result.opened) {
    if (result.open_error) {
      fail_stream(result.stream, *result.open_error);
      return;
    }
    stream->open = true;
    const std::vector<PersistSocketId> sockets = stream->sockets;
    for (const PersistSocketId id : sockets) opened(now, id, *find_socket(id));
  }
  // Changes leave before the answers of what caused them.
  announce(now, *stream, result.changes);
  for (StorageResult::Item& item : result.items) {
    auto found = stream->pending.find(item.token);
    if (found == stream->pending.end()) continue;
    Pending pending = std::move(found->second);
    stream->pending.erase(found);
    if (pending.kind == Kind::enforce) stream->enforcing = false;
    answer(now, result.stream, std::move(pending), std::move(item.answer));
  }
  if (!result.needs_enforcement || stream->enforcing || stream->enforce_at) return;
  set_timer(Timer::enforce, result.stream, stream->enforce_at,
            now + limits::persist_enforce_interval_ms);
}

void PersistServer::Impl::fail_stream(StreamId id, const Error& error) {
  const std::vector<PersistSocketId> sockets = find_stream(id)->sockets;
  forget_stream(id);
  effects_.push_back(persist_effect::CloseStream{id});
  for (const PersistSocketId socket : sockets) fail(socket, *find_socket(socket), error);
}

void PersistServer::Impl::forget_stream(StreamId id) {
  OpenedStream& stream = *find_stream(id);
  set_timer(Timer::enforce, id, stream.enforce_at, std::nullopt);
  by_path_.erase(stream.path);
  auto in_scope = per_scope_.find(stream.scope);
  if (--in_scope->second == 0) per_scope_.erase(in_scope);
  streams_.erase(id);
}

// ---- time ----

void PersistServer::Impl::set_timer(Timer timer, std::uint32_t id, std::optional<TimeMs>& slot,
                                    std::optional<TimeMs> at) {
  if (slot) timers_.erase({*slot, timer, id});
  slot = at;
  if (slot) timers_.insert({*slot, timer, id});
}

void PersistServer::Impl::on_time(TimeMs now) {
  while (!timers_.empty() && std::get<0>(*timers_.begin()) <= now) {
    const Timer timer = std::get<1>(*timers_.begin());
    const std::uint32_t id = std::get<2>(*timers_.begin());
    timers_.erase(timers_.begin());
    if (timer == Timer::enforce) {
      OpenedStream& stream = *find_stream(id);
      stream.enforce_at.reset();
      stream.enforcing = true;
      submit(id, StorageEnforce{}, Pending{});
      continue;
    }
    Socket& socket = *find_socket(id);
    if (timer == Timer::waiting) {
      socket.waiting_at.reset();
      expire_waiting(now, id, socket);
    } else {
      socket.feed_at.reset();
      std::vector<MessageData> messages;
      socket.feed->on_time(now, messages);
      write_feed(id, socket, std::move(messages));
    }
  }
}

std::optional<TimeMs> PersistServer::Impl::deadline() const {
  if (timers_.empty()) return std::nullopt;
  return std::get<0>(*timers_.begin());
}

bool PersistServer::Impl::next(PersistEffect& effect) {
  if (effects_.empty()) return false;
  effect = std::move(effects_.front());
  effects_.pop_front();
  return true;
}

}  // namespace conat
