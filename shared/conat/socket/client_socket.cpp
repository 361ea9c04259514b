#include "conat/socket/client_socket.hpp"

#include <utility>

#include "conat/subject/subject.hpp"

namespace conat::socket_parts {
namespace {

// A balancer answers with the id, a server with {id}.
std::string server_id_in(const Result<Message>& reply) {
  if (!reply) return {};
  const Result<Value> payload = reply->data.decode();
  if (!payload) return {};
  const Value* id = payload->find("id");
  return std::string((id == nullptr ? *payload : *id).text_or({}));
}

}  // namespace

ClientSocket::ClientSocket(Context& context, SocketId id, Owner owner, std::string subject,
                           const ConnectOptions& options)
    : Endpoint(context, id, owner, std::move(subject), SocketState::disconnected, options),
      balancer_subject_(options.balancer_subject),
      custom_balancer_(options.custom_balancer) {
  reconnection_ = options.reconnection;
  socket_id_ = context.random.id();
  inbox_ = subject_ + ".client." + socket_id_;
  if (balancer_subject_.empty()) balancer_subject_ = subject_ + ".server.status";
}

// ---- connecting ----

void ClientSocket::connect(TimeMs now) {
  become(SocketState::connecting);
  attempts_ = 0;
  asked_old_server_ = false;
  attempt(now);
}

void ClientSocket::attempt(TimeMs now) {
  retry_at_.reset();
  if (!link_.context.online()) {
    waits_for_client_ = true;
    return;
  }
  waits_for_client_ = false;
  if (reliable_.has_history() && !server_id_.empty() && !asked_old_server_) {
    asked_old_server_ = true;
    use_server(now, server_id_);
  } else {
    ask_for_server(now);
  }
}

void ClientSocket::ask_for_server(TimeMs now) {
  if (custom_balancer_) {
    choosing_ = true;
    link_.context.emit(socket_effect::ServerNeeded{link_.owner, link_.id});
    return;
  }
  RequestOptions options;
  options.timeout_ms = options_.command_timeout_ms;
  Result<CallId> call = link_.context.client.request(
      now, Owner{Layer::socket, link_.id}, balancer_subject_, MessageData::of(Value()), options);
  if (call) {
    choose_call_ = *call;
  } else {
    fail_attempt(now);
  }
}

void ClientSocket::choose_server(TimeMs now, Result<std::string> id) {
  if (!choosing_) return;
  choosing_ = false;
  if (id) {
    use_server(now, *id);
  } else {
    fail_attempt(now);
  }
  rearm(now);
}

void ClientSocket::use_server(TimeMs now, const std::string& id) {
  const std::string peer = subject_ + ".server." + id + "." + socket_id_;
  const bool one_token = !id.empty() && id.find('.') == std::string::npos;
  if (!one_token || !is_valid_subject(peer)) {
    fail_attempt(now);
    return;
  }
  server_id_ = id;
  link_.peer = peer;
  if (subscription_ == 0) {
    SubscribeOptions options;
    options.timeout_ms = options_.command_timeout_ms;
    Result<SubscriptionId> subscription =
        link_.context.client.subscribe(now, Owner{Layer::socket, link_.id}, inbox_, options);
    if (!subscription) {
      fail_attempt(now);
      return;
    }
    subscription_ = *subscription;
    subscribed_ = false;
  }
  // Once confirmed the client keeps it through reconnects, restoring it at sign-in before us.
  if (subscribed_) {
    send_connect(now);
  } else {
    subscribing_ = true;
  }
}

void ClientSocket::on_subscribed(TimeMs now, const std::optional<Error>& error) {
  subscribed_ = !error;
  if (error) subscription_ = 0;
  if (!std::exchange(subscribing_, false)) return;
  if (error) {
    fail_attempt(now);
  } else {
    send_connect(now);
  }
  rearm(now);
}

void ClientSocket::on_subscription_ended(TimeMs now) {
  subscription_ = 0;
  subscribed_ = false;
  disconnect(now);
}

void ClientSocket::send_connect(TimeMs now) {
  MessageData message = command_message(command::connect, socket_id_);
  if (reliable_.has_history()) {
    message.headers.set("resume", Value(true));
  } else {
    // The server may begin a new stream: nothing of an older one must get into it.
    reliable_.discard_early();
  }
  RequestOptions options;
  options.timeout_ms = options_.command_timeout_ms;
  options.wait_for_interest = true;
  connect_call_ = link_.request(now, std::move(message), options);
  if (connect_call_ == 0) fail_attempt(now);
}

bool ClientSocket::on_own_reply(TimeMs now, CallId call, Result<Message>& reply) {
  if (call == choose_call_) {
    choose_call_ = 0;
    use_server(now, server_id_in(reply));
    return true;
  }
  if (call != connect_call_) return false;
  connect_call_ = 0;
  const Result<Value> payload = reply ? reply->data.decode() : Result<Value>(reply.error());
  const std::string_view answer = payload ? payload->text_or({}) : std::string_view{};
  if (answer == "connected") {
    become_ready(now);
  } else if (answer == "closed") {
    finish(now);
  } else {
    fail_attempt(now);
  }
  return true;
}

void ClientSocket::fail_attempt(TimeMs now) {
  cancel_attempt();
  retry_at_ = now + Context::backoff(attempts_++);
  link_.arm(*retry_at_);
}

void ClientSocket::cancel_attempt() {
  link_.cancel(choose_call_);
  link_.cancel(connect_call_);
  choosing_ = false;
  subscribing_ = false;
  waits_for_client_ = false;
  retry_at_.reset();
}

// ---- losing and coming back ----

void ClientSocket::disconnect(TimeMs now) {
  if (state() == SocketState::closed) return;
  cancel_attempt();
  become_disconnected();
  if (reconnection_) retry_at_ = now + limits::socket_reconnect_delay_ms;
  rearm(now);
}

void ClientSocket::reconnect(TimeMs now) {
  if (state() != SocketState::disconnected) return;
  retry_at_.reset();
  connect(now);
  rearm(now);
}

void ClientSocket::on_online(TimeMs now) {
  if (!waits_for_client_) return;
  attempt(now);
  rearm(now);
}

void ClientSocket::on_offline(TimeMs now) {
  const bool untouched = waits_for_client_ && state() == SocketState::connecting;
  if (state() == SocketState::disconnected || untouched) return;
  disconnect(now);
}

void ClientSocket::on_ping_failed(TimeMs now, const Error&) { disconnect(now); }

void ClientSocket::reset(TimeMs now) {
  const bool again = reset_at_ && *reset_at_ == reliable_.delivered();
  reset_at_ = reliable_.delivered();
  reliable_.discard_early();
  if (again) {
    close(now);
  } else {
    disconnect(now);
  }
}

void ClientSocket::on_own_time(TimeMs now) {
  if (!retry_at_ || *retry_at_ > now) return;
  if (state() == SocketState::disconnected) {
    connect(now);
  } else {
    attempt(now);
  }
}

std::optional<TimeMs> ClientSocket::own_deadline() const { return retry_at_; }

void ClientSocket::on_finish(TimeMs now) {
  cancel_attempt();
  if (subscription_ != 0) link_.context.client.unsubscribe(now, subscription_);
  subscription_ = 0;
}

MessageData ClientSocket::close_message() const {
  return command_message(command::close, socket_id_);
}

RequestOptions ClientSocket::ping_options() const {
  RequestOptions options;
  options.timeout_ms = options_.keep_alive_timeout_ms;
  return options;
}

}  // namespace conat::socket_parts
