#include "conat/socket/sockets.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "conat/socket/client_socket.hpp"
#include "conat/socket/context.hpp"
#include "conat/socket/server.hpp"
#include "conat/socket/server_socket.hpp"
#include "conat/subject/subject.hpp"

namespace conat {

using socket_parts::ClientSocket;
using socket_parts::Context;
using socket_parts::Endpoint;
using socket_parts::Server;

// Sockets and servers have ids from one sequence, which name them as owners of the client's calls.
class Sockets::Impl {
 public:
  Impl(Client& client, Random random) : context(client, std::move(random)) {}

  Server* server(SocketServerId id) {
    auto found = servers.find(id);
    return found == servers.end() ? nullptr : &found->second;
  }
  const Endpoint* endpoint(SocketId id) const {
    auto found = context.sockets.find(id);
    return found == context.sockets.end() ? nullptr : found->second.get();
  }
  ClientSocket* client_socket(SocketId id) {
    Endpoint* found = context.find(id);
    const bool fits = found != nullptr && found->is_client_side();
    return fits ? static_cast<ClientSocket*>(found) : nullptr;
  }
  std::vector<SocketId> socket_ids() const {
    std::vector<SocketId> ids;
    for (const auto& [id, socket] : context.sockets) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  // Destroys what has closed, once no call of it is on the stack.
  void sweep() {
    for (const SocketId id : context.closed) context.sockets.erase(id);
    for (const SocketServerId id : context.closed_servers) servers.erase(id);
    context.closed.clear();
    context.closed_servers.clear();
  }

  Status check_listen(std::string_view subject, const std::string& id) const;

  void go_online(TimeMs now);
  void go_offline(TimeMs now);
  void close_all(TimeMs now);

  void route(TimeMs now, client_effect::StateChanged& effect);
  void route(TimeMs now, client_effect::InfoReceived& effect);
  void route(TimeMs now, client_effect::SubscribeDone& effect);
  void route(TimeMs now, client_effect::SubscriptionEnded& effect);
  void route(TimeMs now, client_effect::MessageArrived& effect);
  void route(TimeMs now, client_effect::ReplyArrived& effect);
  void route(TimeMs now, client_effect::RequestDelivered& effect);
  void route(TimeMs now, client_effect::InterestDone& effect);
  // Transport work and answers that nobody here waits for.
  template <class Effect>
  void route(TimeMs, Effect&) {}

  Context context;
  std::map<SocketServerId, Server> servers;
};

// ---- what the client tells ----

void Sockets::Impl::go_online(TimeMs now) {
  for (auto& [id, server] : servers) server.on_online();
  for (const SocketId id : socket_ids()) {
    if (Endpoint* socket = context.find(id)) socket->on_online(now);
  }
}

void Sockets::Impl::go_offline(TimeMs now) {
  for (auto& [id, server] : servers) server.on_offline();
  for (const SocketId id : socket_ids()) {
    if (Endpoint* socket = context.find(id)) socket->on_offline(now);
  }
}

void Sockets::Impl::close_all(TimeMs now) {
  for (const SocketId id : socket_ids()) {
    if (Endpoint* socket = context.find(id)) socket->finish(now);
  }
  for (auto& [id, server] : servers) server.close(now);
}

void Sockets::Impl::route(TimeMs now, client_effect::StateChanged& effect) {
  switch (effect.state) {
    case ClientState::connected:
      if (context.online()) go_online(now);
      break;
    case ClientState::disconnected:
      go_offline(now);
      break;
    case ClientState::closed:
      close_all(now);
      break;
  }
}

void Sockets::Impl::route(TimeMs now, client_effect::InfoReceived& effect) {
  if (effect.signed_in && context.online()) go_online(now);
}

void Sockets::Impl::route(TimeMs now, client_effect::SubscribeDone& effect) {
  if (Server* found = server(effect.owner.id)) {
    found->on_subscribed(now, effect.subscription, effect.error);
  } else if (ClientSocket* socket = client_socket(effect.owner.id)) {
    socket->on_subscribed(now, effect.error);
  }
}

void Sockets::Impl::route(TimeMs now, client_effect::SubscriptionEnded& effect) {
  if (Server* found = server(effect.owner.id)) {
    found->on_subscription_ended(now, effect.error);
  } else if (ClientSocket* socket = client_socket(effect.owner.id)) {
    socket->on_subscription_ended(now);
  }
}

void Sockets::Impl::route(TimeMs now, client_effect::MessageArrived& effect) {
  if (Server* found = server(effect.owner.id)) {
    found->on_message(now, effect.subscription, std::move(effect.message));
  } else if (ClientSocket* socket = client_socket(effect.owner.id)) {
    socket->on_message(now, std::move(effect.message));
  }
}

void Sockets::Impl::route(TimeMs now, client_effect::ReplyArrived& effect) {
  if (Endpoint* socket = context.find(effect.owner.id)) {
    socket->on_reply(now, effect.call, effect.reply, effect.last);
  }
}

void Sockets::Impl::route(TimeMs, client_effect::RequestDelivered& effect) {
  if (Endpoint* socket = context.find(effect.owner.id)) socket->on_delivered(effect.call);
}

void Sockets::Impl::route(TimeMs now, client_effect::InterestDone& effect) {
  Endpoint* socket = context.find(effect.owner.id);
  if (socket == nullptr || socket->is_client_side()) return;
  static_cast<socket_parts::ServerSocket*>(socket)->on_interest(now, effect.call);
}

// ---- servers ----

Status Sockets::Impl::check_listen(std::string_view subject, const std::string& id) const {
  if (context.client.state() == ClientState::closed) return Error(ErrorKind::closed);
  const std::string pattern = std::string(subject) + ".server." + id + ".*";
  const bool one_token = id.find('.') == std::string::npos && id != "*" && id != ">";
  const std::string quoted = "'" + std::string(subject) + "'";
  if (!is_valid_pattern(subject) || !is_valid_pattern(pattern) || !one_token) {
    return Error(ErrorKind::invalid_argument, "invalid socket subject " + quoted);
  }
  for (const auto& [other, server] : servers) {
    if (server.subject() != subject) continue;
    return Error(ErrorKind::invalid_argument,
                 "there can be at most one socket server per client listening on a subject "
                 "(subject=" +
                     quoted + ")");
  }
  if (servers.size() >= limits::max_socket_servers) return Error(ErrorKind::limit_reached);
  return Nothing{};
}

Sockets::Sockets(Client& client, Random random)
    : impl_(std::make_unique<Impl>(client, std::move(random))) {}

Sockets::~Sockets() = default;

Result<SocketServerId> Sockets::listen(TimeMs now, Owner owner, std::string_view subject,
                                       const ListenOptions& options) {
  Context& context = impl_->context;
  const std::string id = options.id.empty() ? context.client.id() : options.id;
  Status checked = impl_->check_listen(subject, id);
  if (!checked) return checked.error();
  const SocketServerId number = context.next_id++;
  auto [entry, added] =
      impl_->servers.try_emplace(number, context, number, owner, std::string(subject), options);
  Status started = entry->second.start(now);
  if (!started) {
    impl_->servers.erase(entry);
    return started.error();
  }
  return number;
}

void Sockets::close_server(TimeMs now, SocketServerId server) {
  if (Server* found = impl_->server(server)) found->close(now);
  impl_->sweep();
}

SocketState Sockets::server_state(SocketServerId server) const {
  const Server* found = impl_->server(server);
  return found == nullptr ? SocketState::closed : found->state();
}

void Sockets::intercept_commands(SocketServerId server, bool on) {
  if (Server* found = impl_->server(server)) found->intercept(on);
}

void Sockets::handle_command(TimeMs now, SocketServerId server, Message message) {
  if (Server* found = impl_->server(server)) found->handle(now, std::move(message));
  impl_->sweep();
}

// ---- sockets ----

Result<SocketId> Sockets::connect(TimeMs now, Owner owner, std::string_view subject,
                                  const ConnectOptions& options) {
  Context& context = impl_->context;
  if (context.client.state() == ClientState::closed) return Error(ErrorKind::closed);
  if (!is_valid_subject(subject) || subject.size() > limits::max_subject_bytes / 2) {
    return Error(ErrorKind::invalid_argument,
                 "subject " + std::string(subject) + " must be a valid subject without wildcards");
  }
  const SocketId id = context.next_id++;
  auto socket = std::make_unique<ClientSocket>(context, id, owner, std::string(subject), options);
  ClientSocket& created = *socket;
  context.sockets.emplace(id, std::move(socket));
  created.reconnect(now);
  impl_->sweep();
  return id;
}

void Sockets::choose_server(TimeMs now, SocketId socket, Result<std::string> id) {
  if (ClientSocket* found = impl_->client_socket(socket)) {
    found->choose_server(now, std::move(id));
  }
  impl_->sweep();
}

Status Sockets::write(TimeMs now, SocketId socket, MessageData data) {
  Endpoint* found = impl_->context.find(socket);
  if (found == nullptr) return Error(ErrorKind::socket_closed);
  return found->write(now, std::move(data));
}

Result<CallId> Sockets::request(TimeMs now, SocketId socket, MessageData data,
                                const RequestOptions& options) {
  Endpoint* found = impl_->context.find(socket);
  if (found == nullptr) return Error(ErrorKind::socket_closed);
  return found->request(now, std::move(data), options);
}

Result<CallId> Sockets::probe(TimeMs now, SocketId socket) {
  Endpoint* found = impl_->context.find(socket);
  if (found == nullptr) return Error(ErrorKind::socket_closed);
  return found->probe(now);
}

void Sockets::cancel(CallId call) {
  auto found = impl_->context.calls.find(call);
  if (found == impl_->context.calls.end()) return;
  if (Endpoint* socket = impl_->context.find(found->second)) socket->cancel(call);
}

void Sockets::respond(TimeMs now, std::string_view reply_subject, const MessageData& data) {
  impl_->context.send_surely(now, reply_subject, data);
}

void Sockets::close(TimeMs now, SocketId socket) {
  if (Endpoint* found = impl_->context.find(socket)) found->close(now);
  impl_->sweep();
}

void Sockets::end(TimeMs now, SocketId socket, std::int64_t timeout_ms) {
  if (Endpoint* found = impl_->context.find(socket)) found->end(now, timeout_ms);
  impl_->sweep();
}

void Sockets::disconnect(TimeMs now, SocketId socket) {
  if (Endpoint* found = impl_->context.find(socket)) found->disconnect(now);
}

void Sockets::reconnect(TimeMs now, SocketId socket) {
  if (Endpoint* found = impl_->context.find(socket)) found->reconnect(now);
}

void Sockets::set_reconnection(SocketId socket, bool reconnection) {
  if (Endpoint* found = impl_->context.find(socket)) found->set_reconnection(reconnection);
}

SocketState Sockets::state(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? SocketState::closed : found->state();
}

std::size_t Sockets::unacknowledged(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? 0 : found->reliable().unacknowledged();
}

std::size_t Sockets::unsent(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? 0 : found->reliable().unsent();
}

std::string_view Sockets::subject(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? std::string_view{} : std::string_view(found->subject());
}

std::string_view Sockets::id(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? std::string_view{} : std::string_view(found->socket_id());
}

TimeMs Sockets::last_alive(SocketId socket) const {
  const Endpoint* found = impl_->endpoint(socket);
  return found == nullptr ? 0 : found->last_alive();
}

// ---- effects and time ----

void Sockets::on_client_effect(TimeMs now, ClientEffect effect) {
  std::visit(
      [&](auto& each) {
        if constexpr (requires { each.owner; }) {
          if (each.owner.layer != Layer::socket) return;
        }
        impl_->route(now, each);
      },
      effect);
  impl_->sweep();
}

void Sockets::on_time(TimeMs now) {
  std::vector<SocketId> due;
  auto& timers = impl_->context.timers;
  while (!timers.empty() && timers.begin()->first <= now) {
    due.push_back(timers.begin()->second);
    timers.erase(timers.begin());
  }
  for (const SocketId id : due) {
    if (Endpoint* socket = impl_->context.find(id)) socket->on_time(now);
  }
  impl_->sweep();
}

std::optional<TimeMs> Sockets::deadline() const {
  const auto& timers = impl_->context.timers;
  if (timers.empty()) return std::nullopt;
  return timers.begin()->first;
}

bool Sockets::next(SocketEffect& effect) {
  auto& effects = impl_->context.effects;
  if (effects.empty()) return false;
  effect = std::move(effects.front());
  effects.pop_front();
  return true;
}

}  // namespace conat
