#include "conat/socket/server_socket.hpp"

#include <utility>

#include "conat/socket/server.hpp"

namespace conat::socket_parts {
namespace {

// After an error other than silence (the broker refuses to wait for interest, say).
constexpr std::int64_t kPingRetryMs = 5000;

}  // namespace

ServerSocket::ServerSocket(Context& context, SocketId id, Server& server, std::string subject)
    : Endpoint(context, id, server.owner(), std::move(subject), SocketState::ready,
               server.options()),
      server_(server) {
  const SocketSubject parts = split_server_subject(subject_);
  socket_id_ = std::string(parts.socket);
  link_.peer = std::string(parts.base) + ".client." + socket_id_;
  announced_ = false;
}

void ServerSocket::start(TimeMs now, Message connect) {
  last_alive_ = now;
  waiting_.push_back(std::move(connect));
  Result<CallId> call = link_.context.client.wait_for_interest(
      now, Owner{Layer::socket, link_.id}, link_.peer, limits::socket_interest_wait_ms);
  if (call) {
    interest_call_ = *call;
  } else {
    establish(now);
  }
  if (link_.context.online()) become_ready(now);
  rearm(now);
}

void ServerSocket::receive(TimeMs now, Message message) {
  if (announced_) {
    on_message(now, std::move(message));
    return;
  }
  // What does not fit is lost like anything on the way: the client's side repeats it.
  const std::size_t bytes = message.data.raw.size();
  const bool fits = waiting_.size() < limits::socket_max_held_messages &&
                    link_.context.held.used + bytes <= link_.context.held.limit;
  if (!fits) return;
  waiting_bytes_ += bytes;
  link_.context.held.used += bytes;
  waiting_.push_back(std::move(message));
}

void ServerSocket::on_interest(TimeMs now, CallId call) {
  if (call != interest_call_ || announced_) return;
  interest_call_ = 0;
  establish(now);
  rearm(now);
}

// Without interest too: the keep-alive decides then.
void ServerSocket::establish(TimeMs now) {
  announced_ = true;
  link_.context.emit(socket_effect::Connected{link_.owner, server_.id(), link_.id, subject_});
  link_.context.held.used -= std::exchange(waiting_bytes_, 0);
  std::deque<Message> waiting = std::move(waiting_);
  waiting_.clear();
  for (Message& message : waiting) on_message(now, std::move(message));
}

void ServerSocket::on_connect_command(TimeMs now, const Message& message) {
  const std::string_view reply = message.reply_subject();
  if (!reply.empty()) {
    link_.context.send_surely(now, reply, MessageData::of(Value("connected")));
  }
  // It has been away, and may have missed what was sent.
  reliable_.start_resending(now);
}

void ServerSocket::disconnect(TimeMs now) {
  if (state() != SocketState::ready) return;
  become_disconnected();
  ready_at_ = now + limits::socket_reconnect_delay_ms;
  rearm(now);
}

void ServerSocket::reconnect(TimeMs now) {
  if (state() != SocketState::disconnected || !link_.context.online()) return;
  ready_at_.reset();
  become_ready(now);
}

void ServerSocket::on_online(TimeMs now) {
  if (state() == SocketState::closed || link_.ready) return;
  ready_at_.reset();
  become_ready(now);
}

void ServerSocket::on_offline(TimeMs) {
  if (state() == SocketState::closed) return;
  ready_at_.reset();
  become_disconnected();
}

void ServerSocket::on_ping_failed(TimeMs now, const Error& error) {
  if (error.code.number == Error(ErrorKind::timeout).code.number) {
    close(now);
  } else {
    postpone_ping(now + kPingRetryMs);
  }
}

void ServerSocket::reset(TimeMs now) { close(now); }

std::optional<TimeMs> ServerSocket::silent_at() const {
  if (!link_.can_send()) return std::nullopt;
  return last_alive_ + options_.keep_alive_ms * 5 / 2;
}

void ServerSocket::on_own_time(TimeMs now) {
  if (ready_at_ && *ready_at_ <= now) {
    ready_at_.reset();
    if (link_.context.online()) become_ready(now);
  }
  if (const auto silent = silent_at(); silent && *silent <= now) close(now);
}

std::optional<TimeMs> ServerSocket::own_deadline() const { return earlier(ready_at_, silent_at()); }

void ServerSocket::on_finish(TimeMs) {
  link_.cancel(interest_call_);
  link_.context.held.used -= std::exchange(waiting_bytes_, 0);
  waiting_.clear();
  server_.forget(subject_);
}

MessageData ServerSocket::close_message() const { return command_message(command::close); }

RequestOptions ServerSocket::ping_options() const {
  RequestOptions options;
  options.timeout_ms = options_.keep_alive_timeout_ms;
  options.wait_for_interest = true;
  return options;
}

}  // namespace conat::socket_parts
