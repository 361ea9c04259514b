// TCP-like streams over publish/subscribe: all socket servers and sockets of one Client.
//
// The layer above calls down; what happens comes up as SocketEffect values tagged with the Owner
// given at listen() or connect() (a ServerSocket inherits its server's owner). The fabric feeds it
// the ClientEffects whose owner layer is Layer::socket, and every StateChanged.
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
  std::size_t max_queue = limits::socket_max_queue;
};
struct ListenOptions : SocketOptions {
  std::string id;  // empty: the client's id
};
struct ConnectOptions : SocketOptions {
  bool reconnection = true;
  // Where to ask for the server's id: a request with a null payload there is answered with the id
  // as text (a load balancer). Empty: ask `{subject}.server.status`.
  std::string balancer_subject;
};

namespace socket_effect {
struct Connected {  // a new ServerSocket
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
struct Ended {  // the answer to end(): the other side has acknowledged, or the time is over
  Owner owner;
  SocketId socket;
};
}  // namespace socket_effect

using SocketEffect =
    std::variant<socket_effect::Connected, socket_effect::StateChanged, socket_effect::Data,
                 socket_effect::Request, socket_effect::Drained, socket_effect::ReplyArrived,
                 socket_effect::Ended>;

class Sockets {
 public:
  Sockets(Client& client, Random random);
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  Result<SocketServerId> listen(TimeMs now, Owner owner, std::string_view subject,
                                const ListenOptions& options = {});
  void close_server(TimeMs now, SocketServerId server);
  Result<SocketId> connect(TimeMs now, Owner owner, std::string_view subject,
                           const ConnectOptions& options = {});

  // Errors: socket_closed (EPIPE), socket_buffer_full (ENOBUFS).
  Status write(TimeMs now, SocketId socket, MessageData data);
  // Sends a request inside the socket; waits for `ready` first. Client side, and from a
  // ServerSocket too.
  Result<CallId> request(TimeMs now, SocketId socket, MessageData data,
                         const RequestOptions& options = {});
  void cancel(CallId call);
  // Answers a Request. `done` tells of the publish are not reported.
  void respond(TimeMs now, std::string_view reply_subject, const MessageData& data);
  void close(TimeMs now, SocketId socket);  // tells the other side, does not wait
  void end(TimeMs now, SocketId socket, std::int64_t timeout_ms = 3000);
  void disconnect(TimeMs now, SocketId socket);  // reconnects after 500 ms if so configured

  SocketState state(SocketId socket) const;
  // Messages written and not yet acknowledged.
  std::size_t unacknowledged(SocketId socket) const;
  std::string_view subject(SocketId socket) const;

  void on_client_effect(TimeMs now, ClientEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(SocketEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
