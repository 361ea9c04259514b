#include "conat/socket/endpoint.hpp"

#include <algorithm>
#include <utility>

namespace conat::socket_parts {

Endpoint::Endpoint(Context& context, SocketId id, Owner owner, std::string subject,
                   SocketState state, const SocketOptions& options)
    : link_{context, id, owner, {}, false, {}},
      options_(options),
      subject_(std::move(subject)),
      reliable_(link_, options_),
      requests_(link_),
      state_(state) {}

Endpoint::~Endpoint() { link_.context.disarm(link_.id, link_.armed); }

// ---- the user ----

Status Endpoint::write(TimeMs now, MessageData data) {
  if (state_ == SocketState::closed || ending_) return Error(ErrorKind::socket_closed);
  if (!data.headers.empty()) {
    // A data message must not look like something else.
    if (data.headers.has(header::socket_command)) data.headers.erase(header::socket_command);
    if (data.headers.has(header::reply)) data.headers.erase(header::reply);
  }
  return reliable_.write(now, std::move(data));
}

Result<CallId> Endpoint::request(TimeMs now, MessageData data, const RequestOptions& options) {
  if (state_ == SocketState::closed || ending_) return Error(ErrorKind::socket_closed);
  if (data.headers.has(header::socket_command)) data.headers.erase(header::socket_command);
  return requests_.add(now, std::move(data), options);
}

Result<CallId> Endpoint::probe(TimeMs now) {
  if (!link_.can_send()) return Error(ErrorKind::socket_closed);
  RequestOptions options;
  options.timeout_ms = options_.keep_alive_timeout_ms;
  return requests_.add(now, command_message(command::ping), options);
}

void Endpoint::close(TimeMs now) {
  if (state_ == SocketState::closed) return;
  if (!link_.peer.empty() && end_call_ == 0) {
    link_.context.send_surely(now, link_.peer, close_message());
  }
  finish(now);
}

void Endpoint::end(TimeMs now, std::int64_t timeout_ms) {
  if (ending_) return;
  end_reported_ = false;
  if (state_ != SocketState::closed && link_.can_send()) {
    ending_ = true;
    RequestOptions options;
    options.timeout_ms = std::max<std::int64_t>(timeout_ms, 1);
    end_call_ = link_.request(now, close_message(), options);
    if (end_call_ != 0) return;
  }
  if (state_ == SocketState::closed) {
    report_end();
  } else {
    close(now);
  }
}

void Endpoint::report_end() {
  if (end_reported_) return;
  end_reported_ = true;
  link_.context.emit(socket_effect::Ended{link_.owner, link_.id});
}

// ---- states ----

void Endpoint::become(SocketState state) {
  if (state_ == state) return;
  state_ = state;
  if (announced_) {
    link_.context.emit(socket_effect::StateChanged{link_.owner, link_.id, state});
  }
}

void Endpoint::become_ready(TimeMs now) {
  link_.ready = true;
  last_alive_ = now;
  ping_not_before_ = 0;
  become(SocketState::ready);
  reliable_.on_ready(now);
  requests_.on_ready(now);
  ping(now);
  rearm(now);
}

void Endpoint::become_disconnected() {
  link_.ready = false;
  link_.cancel(ping_call_);
  reliable_.on_lost();
  become(SocketState::disconnected);
}

void Endpoint::finish(TimeMs now) {
  if (state_ == SocketState::closed) return;
  link_.ready = false;
  link_.cancel(ping_call_);
  link_.cancel(end_call_);
  reliable_.on_lost();
  reliable_.discard_early();
  requests_.fail_all();
  report_end();
  become(SocketState::closed);
  on_finish(now);
  link_.context.disarm(link_.id, link_.armed);
  link_.context.closed.push_back(link_.id);
}

// ---- from the other side ----

void Endpoint::on_message(TimeMs now, Message message) {
  if (state_ == SocketState::closed) return;
  if (const auto name = message.data.headers.text(header::socket_command)) {
    on_command(now, std::string(*name), message);
    return;
  }
  last_alive_ = now;
  const std::string_view reply = message.reply_subject();
  if (reply.empty()) {
    reliable_.on_data(now, std::move(message.data));
    return;
  }
  std::string reply_subject(reply);
  message.data.headers.erase(header::reply);
  link_.context.emit(socket_effect::Request{link_.owner, link_.id, std::move(reply_subject),
                                            std::move(message.data)});
}

void Endpoint::on_command(TimeMs now, std::string_view name, const Message& message) {
  const std::string_view reply = message.reply_subject();
  if (name == command::ping) {
    if (answers_pings() && !reply.empty()) link_.context.send(now, reply, MessageData::of(Value()));
  } else if (name == command::socket) {
    reliable_.on_command(now, message);
  } else if (name == command::connect) {
    on_connect_command(now, message);
  } else if (name == command::close) {
    if (!reply.empty()) link_.context.send_surely(now, reply, MessageData::of(Value("closed")));
    finish(now);
  }
}

void Endpoint::on_reply(TimeMs now, CallId call, Result<Message>& reply, bool last) {
  if (state_ == SocketState::closed) return;
  if (call == ping_call_) {
    on_ping_reply(now, reply);
  } else if (call == end_call_) {
    end_call_ = 0;
    finish(now);
  } else if (reliable_.owns(call)) {
    if (reliable_.on_reply(now, reply) == Reliable::Verdict::reset) reset(now);
  } else if (!requests_.on_reply(call, reply, last)) {
    on_own_reply(now, call, reply);
  }
  rearm(now);
}

// ---- keep-alive ----

void Endpoint::ping(TimeMs now) {
  if (ping_call_ != 0 || !link_.can_send()) return;
  pinged_at_ = now;
  ping_call_ = link_.request(now, command_message(command::ping), ping_options());
}

void Endpoint::on_ping_reply(TimeMs now, const Result<Message>& reply) {
  ping_call_ = 0;
  if (reply) {
    last_alive_ = now;
  } else if (link_.can_send() && last_alive_ <= pinged_at_) {
    on_ping_failed(now, reply.error());
  }
}

std::optional<TimeMs> Endpoint::ping_due() const {
  if (ping_call_ != 0 || !link_.can_send()) return std::nullopt;
  return std::max(last_alive_ + options_.keep_alive_ms, ping_not_before_);
}

// ---- time ----

void Endpoint::on_time(TimeMs now) {
  link_.armed.reset();
  if (state_ == SocketState::closed) return;
  if (reliable_.on_time(now) == Reliable::Verdict::reset) reset(now);
  requests_.on_time(now);
  if (const auto due = ping_due(); due && *due <= now) ping(now);
  if (state_ != SocketState::closed) on_own_time(now);
  rearm(now);
}

void Endpoint::rearm(TimeMs now) {
  if (state_ == SocketState::closed) return;
  std::optional<TimeMs> next = earlier(reliable_.deadline(), requests_.deadline());
  next = earlier(earlier(next, ping_due()), own_deadline());
  // Never at once again: whatever is due has just been done.
  if (next) link_.arm(std::max(*next, now + 1));
}

}  // namespace conat::socket_parts
