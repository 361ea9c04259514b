// A server's end of a socket. It is ready from the start; while it waits (5 s at most) for the
// client's subscription to be known, everything from that client waits with it, in order.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "conat/socket/endpoint.hpp"

namespace conat::socket_parts {

class Server;

class ServerSocket final : public Endpoint {
 public:
  // `subject` is S.server.s.c. `connect` is the command that asked for this socket.
  ServerSocket(Context& context, SocketId id, Server& server, std::string subject);

  void start(TimeMs now, Message connect);
  // Everything that the client sends.
  void receive(TimeMs now, Message message);
  void on_interest(TimeMs now, CallId call);

  void disconnect(TimeMs now) override;
  void reconnect(TimeMs now) override;
  void on_online(TimeMs now) override;
  void on_offline(TimeMs now) override;
  bool is_client_side() const override { return false; }

 private:
  bool on_own_reply(TimeMs, CallId, Result<Message>&) override { return false; }
  void on_own_time(TimeMs now) override;
  std::optional<TimeMs> own_deadline() const override;
  void on_connect_command(TimeMs now, const Message& message) override;
  void on_ping_failed(TimeMs now, const Error& error) override;
  void reset(TimeMs now) override;
  void on_finish(TimeMs now) override;
  MessageData close_message() const override;
  RequestOptions ping_options() const override;
  bool answers_pings() const override { return state() == SocketState::ready; }

  void establish(TimeMs now);
  std::optional<TimeMs> silent_at() const;

  Server& server_;
  CallId interest_call_ = 0;
  // Until it is established.
  std::deque<Message> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::optional<TimeMs> ready_at_;
};

}  // namespace conat::socket_parts
