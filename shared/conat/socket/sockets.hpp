// TCP-like streams over publish/subscribe: all socket servers and sockets of one Client.
//
// The layer above calls down; what happens comes up as SocketEffect values tagged with the Owner
// given at listen() or connect() (a ServerSocket inherits its server's owner). The fabric feeds it
// the ClientEffects whose owner layer is Layer::socket, every StateChanged and every InfoReceived.
//
// Promise: what write() accepted is delivered at the other end exactly once and in order, or the
// socket reports its end (closed). The end may come without everything having been delivered.
// Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "conat/client/client.hpp"

namespace conat {

using SocketServerId = std::uint32_t;  // never 0
using SocketId = std::uint32_t;        // never 0, never reused within one Sockets

enum class SocketState : std::uint8_t { disconnected, connecting, ready, closed };

struct SocketOptions {
  std::int64_t keep_alive_ms = limits::socket_keep_alive_ms;
  std::int64_t keep_alive_timeout_ms = limits::socket_keep_alive_timeout_ms;
  std::int64_t command_timeout_ms = limits::socket_command_timeout_ms;
  // Messages, and their payload bytes, that are written and not yet acknowledged.
  std::size_t max_queue = limits::socket_max_queue;
  std::size_t max_queue_bytes = limits::socket_max_queue_bytes;
};
struct ListenOptions : SocketOptions {
  std::string id;  // empty: the client's id
};
struct ConnectOptions : SocketOptions {
  bool reconnection = true;
  // Where to ask for the server's id: a request with a null payload there is answered with the id
  // as text (a load balancer). Empty: ask `{subject}.server.status`.
  std::string balancer_subject;
  // Ask the owner instead: each ServerNeeded is to be answered with Sockets::choose_server.
  bool custom_balancer = false;
};

namespace socket_effect {
// connecting at listen(), ready when the server's subscriptions are confirmed, disconnected and
// ready again with the client, closed at the end; with an error if the broker refused it.
struct ServerStateChanged {
  Owner owner;
  SocketServerId server;
  SocketState state;
  std::optional<Error> error;
};
// Only with ConnectOptions::custom_balancer.
struct ServerNeeded {
  Owner owner;
  SocketId socket;
};
// Only after intercept_commands: a command from a client, to be passed to handle_command or
// dropped.
struct Command {
  Owner owner;
  SocketServerId server;
  SocketId socket;  // 0 when the server does not know the client
  Message message;
};
struct Connected {  // a new ServerSocket, ready
  Owner owner;
  SocketServerId server;
  SocketId socket;
  std::string subject;  // S.server.s.c
};
struct StateChanged {
  Owner owner;
  SocketId socket;
  SocketState state;
};
struct Data {
  Owner owner;
  SocketId socket;
  MessageData data;  // without CN-SocketSeq
};
// A request inside the socket; answer with Sockets::respond(reply_subject).
struct Request {
  Owner owner;
  SocketId socket;
  std::string reply_subject;
  MessageData data;  // without CN-Reply
};
struct Drained {
  Owner owner;
  SocketId socket;
};
// The answer to Sockets::request, as client_effect::ReplyArrived.
struct ReplyArrived {
  Owner owner;
  SocketId socket;
  CallId call;
  Result<Message> reply;
  bool last;
};
// A request with `many` has reached the other side, as client_effect::RequestDelivered.
struct RequestDelivered {
  Owner owner;
  SocketId socket;
  CallId call;
};
struct Ended {  // the answer to end(): the other side has acknowledged, or the time is over
  Owner owner;
  SocketId socket;
};
}  // namespace socket_effect

using SocketEffect =
    std::variant<socket_effect::ServerStateChanged, socket_effect::ServerNeeded,
                 socket_effect::Command, socket_effect::Connected, socket_effect::StateChanged,
                 socket_effect::Data, socket_effect::Request, socket_effect::Drained,
                 socket_effect::ReplyArrived, socket_effect::RequestDelivered,
                 socket_effect::Ended>;

class Sockets {
 public:
  Sockets(Client& client, Random random);
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  // Errors: closed; invalid_argument for an invalid subject or id, or a second server on a subject.
  Result<SocketServerId> listen(TimeMs now, Owner owner, std::string_view subject,
                                const ListenOptions& options = {});
  // Closes its sockets and tells their clients.
  void close_server(TimeMs now, SocketServerId server);
  SocketState server_state(SocketServerId server) const;
  // From now on every command from a client comes up as socket_effect::Command and takes effect
  // only when it is handed back to handle_command.
  void intercept_commands(SocketServerId server, bool on);
  void handle_command(TimeMs now, SocketServerId server, Message message);

  Result<SocketId> connect(TimeMs now, Owner owner, std::string_view subject,
                           const ConnectOptions& options = {});
  // The answer to ServerNeeded: the server's id. An error is retried with backoff.
  void choose_server(TimeMs now, SocketId socket, Result<std::string> id);

  // Errors: socket_closed (EPIPE), socket_buffer_full (ENOBUFS). While the socket is not ready,
  // messages wait for it.
  Status write(TimeMs now, SocketId socket, MessageData data);
  // Sends a request inside the socket; waits for `ready` first (timeout_ms, or the default request
  // timeout). Client side, and from a ServerSocket too. Errors: as write.
  Result<CallId> request(TimeMs now, SocketId socket, MessageData data,
                         const RequestOptions& options = {});
  void cancel(CallId call);
  // Asks the other side for a sign of life, which it gives when everything that was sent to its
  // connection before has reached it: the way to pace a sender. Answered by ReplyArrived.
  // Errors: socket_closed when the socket is not ready.
  Result<CallId> probe(TimeMs now, SocketId socket);
  // Answers a Request. `done` tells of the publish are not reported.
  void respond(TimeMs now, std::string_view reply_subject, const MessageData& data);
  void close(TimeMs now, SocketId socket);  // tells the other side, does not wait
  void end(TimeMs now, SocketId socket, std::int64_t timeout_ms = 3000);
  void disconnect(TimeMs now, SocketId socket);  // reconnects after 500 ms if so configured
  // Connects a client's socket that is disconnected, at once.
  void reconnect(TimeMs now, SocketId socket);
  void set_reconnection(SocketId socket, bool reconnection);

  // Of a socket that is gone: closed, 0, empty.
  SocketState state(SocketId socket) const;
  // Messages written and not yet acknowledged, those that still wait for `ready` included.
  std::size_t unacknowledged(SocketId socket) const;
  // Messages written while the socket was not ready, and not sent yet.
  std::size_t unsent(SocketId socket) const;
  std::string_view subject(SocketId socket) const;
  // The client side's id, 10 characters for our own.
  std::string_view id(SocketId socket) const;
  // When something was last heard from the other side; of a socket that is gone 0.
  TimeMs last_alive(SocketId socket) const;

  void on_client_effect(TimeMs now, ClientEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(SocketEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
