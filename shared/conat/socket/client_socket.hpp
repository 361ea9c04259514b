// The client's end of a socket: chooses a server, connects with backoff, comes back after a loss.
//
//   attempt: choose a server -> subscribe S.client.c (once) -> command `connect` -> ready
// Any failure waits and tries again. An end that has a history with a server asks that one first,
// and says so in its `connect` ("resume"): a server of ours that has forgotten it answers with
// `close` instead of starting a new stream in the middle of an old one. Thread safety: none.
#pragma once

#include <optional>
#include <string>

#include "conat/socket/endpoint.hpp"

namespace conat::socket_parts {

class ClientSocket final : public Endpoint {
 public:
  ClientSocket(Context& context, SocketId id, Owner owner, std::string subject,
               const ConnectOptions& options);

  void choose_server(TimeMs now, Result<std::string> id);
  void on_subscribed(TimeMs now, const std::optional<Error>& error);
  void on_subscription_ended(TimeMs now);

  void disconnect(TimeMs now) override;
  void reconnect(TimeMs now) override;
  void on_online(TimeMs now) override;
  void on_offline(TimeMs now) override;
  bool is_client_side() const override { return true; }

 private:
  bool on_own_reply(TimeMs now, CallId call, Result<Message>& reply) override;
  void on_own_time(TimeMs now) override;
  std::optional<TimeMs> own_deadline() const override;
  void on_connect_command(TimeMs, const Message&) override {}
  void on_ping_failed(TimeMs now, const Error& error) override;
  void reset(TimeMs now) override;
  void on_finish(TimeMs now) override;
  MessageData close_message() const override;
  RequestOptions ping_options() const override;
  bool answers_pings() const override { return true; }

  void connect(TimeMs now);
  void attempt(TimeMs now);
  void ask_for_server(TimeMs now);
  void use_server(TimeMs now, const std::string& id);
  void send_connect(TimeMs now);
  void fail_attempt(TimeMs now);
  void cancel_attempt();

  std::string balancer_subject_;
  bool custom_balancer_;
  std::string inbox_;  // S.client.c
  SubscriptionId subscription_ = 0;
  bool subscribed_ = false;
  std::string server_id_;
  CallId choose_call_ = 0;
  CallId connect_call_ = 0;
  bool choosing_ = false;     // the owner has been asked
  bool subscribing_ = false;  // `connect` follows the confirmation
  bool waits_for_client_ = false;
  bool asked_old_server_ = false;
  std::uint32_t attempts_ = 0;
  std::optional<TimeMs> retry_at_;
  // What had been delivered at the last reset: a second one without progress is the end.
  std::optional<std::uint64_t> reset_at_;
};

}  // namespace conat::socket_parts
