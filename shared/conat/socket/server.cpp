#include "conat/socket/server.hpp"

#include <utility>
#include <vector>

#include "conat/socket/server_socket.hpp"

namespace conat::socket_parts {

SocketSubject split_server_subject(std::string_view subject) {
  SocketSubject parts;
  const std::size_t last = subject.rfind('.');
  if (last == std::string_view::npos || last == 0) return parts;
  const std::size_t middle = subject.rfind('.', last - 1);
  if (middle == std::string_view::npos || middle == 0) return parts;
  const std::size_t first = subject.rfind('.', middle - 1);
  if (first == std::string_view::npos) return parts;
  parts.base = subject.substr(0, first);
  parts.server = subject.substr(middle + 1, last - middle - 1);
  parts.socket = subject.substr(last + 1);
  return parts;
}

Server::Server(Context& context, SocketServerId id, Owner owner, std::string subject,
               const ListenOptions& options)
    : context_(context), id_(id), owner_(owner), subject_(std::move(subject)), options_(options) {
  if (options_.id.empty()) options_.id = context.client.id();
}

Status Server::start(TimeMs now) {
  const Owner owner{Layer::socket, id_};
  SubscribeOptions options;
  options.timeout_ms = 0;  // until the broker refuses it
  Result<SubscriptionId> status =
      context_.client.subscribe(now, owner, subject_ + ".server.status", options);
  if (!status) return status.error();
  Result<SubscriptionId> main =
      context_.client.subscribe(now, owner, subject_ + ".server." + options_.id + ".*", options);
  if (!main) {
    context_.client.unsubscribe(now, *status);
    return main.error();
  }
  status_subscription_ = *status;
  subscription_ = *main;
  context_.emit(socket_effect::ServerStateChanged{owner_, id_, state_, std::nullopt});
  return Nothing{};
}

void Server::close(TimeMs now, std::optional<Error> error) {
  if (state_ == SocketState::closed) return;
  std::vector<SocketId> sockets;
  for (const auto& [subject, socket] : sockets_) sockets.push_back(socket);
  for (const SocketId socket : sockets) {
    if (Endpoint* endpoint = context_.find(socket)) endpoint->close(now);
  }
  context_.client.unsubscribe(now, status_subscription_);
  context_.client.unsubscribe(now, subscription_);
  become(SocketState::closed, std::move(error));
  context_.closed_servers.push_back(id_);
}

void Server::become(SocketState state, std::optional<Error> error) {
  if (state_ == state) return;
  state_ = state;
  context_.emit(socket_effect::ServerStateChanged{owner_, id_, state, std::move(error)});
}

// ---- the client ----

void Server::on_subscribed(TimeMs now, SubscriptionId subscription,
                           const std::optional<Error>& error) {
  if (error) {
    close(now, error);
    return;
  }
  if (subscription == status_subscription_) status_confirmed_ = true;
  if (subscription == subscription_) confirmed_ = true;
  if (status_confirmed_ && confirmed_) become(SocketState::ready);
}

void Server::on_subscription_ended(TimeMs now, const Error& error) { close(now, error); }

void Server::on_online() {
  if (state_ != SocketState::disconnected) return;
  become(status_confirmed_ && confirmed_ ? SocketState::ready : SocketState::connecting);
}

void Server::on_offline() {
  if (state_ == SocketState::ready) become(SocketState::disconnected);
}

void Server::on_message(TimeMs now, SubscriptionId subscription, Message message) {
  if (subscription == status_subscription_) {
    Value::Map answer;
    answer.emplace_back("id", Value(options_.id));
    const std::string_view reply = message.reply_subject();
    if (!reply.empty()) context_.send(now, reply, MessageData::of(Value(std::move(answer))));
    return;
  }
  if (intercepts_ && message.data.headers.has(header::socket_command)) {
    const SocketId socket = find(message.subject);
    context_.emit(socket_effect::Command{owner_, id_, socket, std::move(message)});
    return;
  }
  handle(now, std::move(message));
}

void Server::handle(TimeMs now, Message message) {
  if (state_ == SocketState::closed) return;
  if (const SocketId known = find(message.subject); known != 0) {
    static_cast<ServerSocket*>(context_.find(known))->receive(now, std::move(message));
    return;
  }
  const auto found = message.data.headers.text(header::socket_command);
  const std::string command(found.value_or(std::string_view{}));
  // A stream cannot go on here that began elsewhere, or in an earlier life.
  const Value resume = message.data.headers.get("resume").value_or(Value());
  if (command == command::connect && !resume.bool_or(false)) {
    accept(now, std::move(message));
  } else {
    answer_unknown(now, command, message);
  }
}

SocketId Server::find(std::string_view socket_subject) const {
  auto found = sockets_.find(socket_subject);
  return found == sockets_.end() ? 0 : found->second;
}

void Server::accept(TimeMs now, Message message) {
  if (split_server_subject(message.subject).base.empty()) return;
  if (sockets_.size() >= limits::max_sockets_per_server) {
    const Error error(ErrorKind::limit_reached);
    Value::Map headers;
    headers.emplace_back("error", Value("Error: too many sockets"));
    headers.emplace_back("code", Value(error.code.number));
    const std::string_view reply = message.reply_subject();
    if (!reply.empty()) {
      context_.send(now, reply, MessageData::of(Value(), Headers(Value(std::move(headers)))));
    }
    return;
  }
  const SocketId id = context_.next_id++;
  auto socket = std::make_unique<ServerSocket>(context_, id, *this, message.subject);
  ServerSocket& created = *socket;
  sockets_.emplace(message.subject, id);
  context_.sockets.emplace(id, std::move(socket));
  created.start(now, std::move(message));
}

void Server::answer_unknown(TimeMs now, std::string_view command, const Message& message) {
  const std::string_view reply = message.reply_subject();
  const bool asks_to_resume = command == command::connect;
  if (command == command::close || asks_to_resume) {
    if (!reply.empty()) context_.send(now, reply, MessageData::of(Value("closed")));
    if (!asks_to_resume) return;
  }
  const SocketSubject parts = split_server_subject(message.subject);
  if (parts.base.empty()) return;
  context_.send(now, std::string(parts.base) + ".client." + std::string(parts.socket),
                command_message(command::close));
}

}  // namespace conat::socket_parts
