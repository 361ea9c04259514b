// A server that listens on a subject or pattern: two subscriptions, and the sockets by subject.
//
// Thread safety: none. It outlives its sockets.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "conat/socket/context.hpp"

namespace conat::socket_parts {

// The parts of S.server.s.c; empty when it is none.
struct SocketSubject {
  std::string_view base;    // S
  std::string_view server;  // s
  std::string_view socket;  // c
};
SocketSubject split_server_subject(std::string_view subject);

class Server {
 public:
  Server(Context& context, SocketServerId id, Owner owner, std::string subject,
         const ListenOptions& options);

  // Subscribes. Errors: those of Client::subscribe.
  Status start(TimeMs now);
  void close(TimeMs now, std::optional<Error> error = std::nullopt);

  void on_subscribed(TimeMs now, SubscriptionId subscription, const std::optional<Error>& error);
  void on_subscription_ended(TimeMs now, const Error& error);
  void on_message(TimeMs now, SubscriptionId subscription, Message message);
  // A message of a client, past interception.
  void handle(TimeMs now, Message message);
  // Its sockets are told on their own.
  void on_online();
  void on_offline();
  void intercept(bool on) { intercepts_ = on; }
  void forget(const std::string& socket_subject) { sockets_.erase(socket_subject); }

  SocketServerId id() const { return id_; }
  Owner owner() const { return owner_; }
  SocketState state() const { return state_; }
  const std::string& subject() const { return subject_; }
  const SocketOptions& options() const { return options_; }

 private:
  void become(SocketState state, std::optional<Error> error = std::nullopt);
  void accept(TimeMs now, Message message);
  void answer_unknown(TimeMs now, std::string_view command, const Message& message);
  SocketId find(std::string_view socket_subject) const;

  Context& context_;
  SocketServerId id_;
  Owner owner_;
  std::string subject_;
  ListenOptions options_;
  SocketState state_ = SocketState::connecting;
  SubscriptionId status_subscription_ = 0;
  SubscriptionId subscription_ = 0;
  bool status_confirmed_ = false;
  bool confirmed_ = false;
  bool intercepts_ = false;
  std::map<std::string, SocketId, std::less<>> sockets_;
};

}  // namespace conat::socket_parts
