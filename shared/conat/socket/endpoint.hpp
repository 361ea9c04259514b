// One end of a socket, either side: what ClientSocket and ServerSocket have in common. States,
// commands from the other side, keep-alive, closing.
//
//   disconnected <-> connecting -> ready -> disconnected ...   any -> closed
//
// Thread safety: none. A closed endpoint stays alive until Sockets has unwound its stack.
#pragma once

#include <optional>
#include <string>

#include "conat/socket/link.hpp"
#include "conat/socket/reliable.hpp"
#include "conat/socket/requests.hpp"

namespace conat::socket_parts {

class Endpoint {
 public:
  Endpoint(Context& context, SocketId id, Owner owner, std::string subject, SocketState state,
           const SocketOptions& options);
  virtual ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // ---- the user ----
  Status write(TimeMs now, MessageData data);
  Result<CallId> request(TimeMs now, MessageData data, const RequestOptions& options);
  Result<CallId> probe(TimeMs now);
  void cancel(CallId call) { requests_.cancel(call); }
  // Tells the other side.
  void close(TimeMs now);
  void end(TimeMs now, std::int64_t timeout_ms);
  virtual void disconnect(TimeMs now) = 0;
  virtual void reconnect(TimeMs now) = 0;
  void set_reconnection(bool reconnection) { reconnection_ = reconnection; }

  // ---- the client ----
  void on_message(TimeMs now, Message message);
  void on_reply(TimeMs now, CallId call, Result<Message>& reply, bool last);
  void on_delivered(CallId call) { requests_.on_delivered(call); }
  virtual void on_online(TimeMs now) = 0;  // signed in
  virtual void on_offline(TimeMs now) = 0;
  void on_time(TimeMs now);
  // Closes without a word to the other side.
  void finish(TimeMs now);

  virtual bool is_client_side() const = 0;
  SocketState state() const { return state_; }
  const std::string& subject() const { return subject_; }
  const std::string& socket_id() const { return socket_id_; }
  const Reliable& reliable() const { return reliable_; }
  TimeMs last_alive() const { return last_alive_; }

 protected:
  // True when the call was the role's own.
  virtual bool on_own_reply(TimeMs now, CallId call, Result<Message>& reply) = 0;
  virtual void on_own_time(TimeMs now) = 0;
  virtual std::optional<TimeMs> own_deadline() const = 0;
  virtual void on_connect_command(TimeMs now, const Message& message) = 0;
  // The keep-alive failed with `error` while the client is online.
  virtual void on_ping_failed(TimeMs now, const Error& error) = 0;
  // The stream from the other side cannot be made whole.
  virtual void reset(TimeMs now) = 0;
  virtual void on_finish(TimeMs now) = 0;
  // The message that tells the other side of the end.
  virtual MessageData close_message() const = 0;
  virtual RequestOptions ping_options() const = 0;
  virtual bool answers_pings() const = 0;

  void become(SocketState state);
  void become_ready(TimeMs now);
  void become_disconnected();
  void rearm(TimeMs now);
  void postpone_ping(TimeMs until) { ping_not_before_ = until; }

  Link link_;
  SocketOptions options_;
  std::string subject_;
  std::string socket_id_;  // the client side's
  bool reconnection_ = true;
  // False while the owner does not know of this endpoint: nothing is told then.
  bool announced_ = true;
  TimeMs last_alive_ = 0;
  Reliable reliable_;
  Requests requests_;

 private:
  void on_command(TimeMs now, std::string_view name, const Message& message);
  void ping(TimeMs now);
  void on_ping_reply(TimeMs now, const Result<Message>& reply);
  std::optional<TimeMs> ping_due() const;
  void report_end();

  SocketState state_;
  CallId ping_call_ = 0;
  TimeMs pinged_at_ = 0;
  TimeMs ping_not_before_ = 0;
  bool ending_ = false;
  bool end_reported_ = true;
  CallId end_call_ = 0;
};

}  // namespace conat::socket_parts
