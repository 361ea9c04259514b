// The user's requests inside one socket: those that wait for `ready`, and those on their way.
//
// Every call gets exactly one final ReplyArrived, unless it was cancelled. Thread safety: none.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "conat/socket/link.hpp"

namespace conat::socket_parts {

class Requests {
 public:
  explicit Requests(Link& link) : link_(link) {}

  // Errors: socket_buffer_full when too many wait.
  Result<CallId> add(TimeMs now, MessageData data, const RequestOptions& options);
  void cancel(CallId call);
  // True when the client's call is one of these; then the reply has been passed on.
  bool on_reply(CallId client_call, Result<Message>& reply, bool last);
  // A request of many replies has reached the other side.
  void on_delivered(CallId client_call);
  void on_ready(TimeMs now);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  // The socket has closed: every call fails.
  void fail_all();

 private:
  struct Waiting {
    CallId call;
    MessageData data;
    RequestOptions options;
    TimeMs until;
  };

  void start(TimeMs now, CallId call, MessageData data, const RequestOptions& options);
  void finish(CallId call, Error error);

  Link& link_;
  std::deque<Waiting> waiting_;
  std::map<CallId, CallId> in_flight_;  // the client's call -> ours
};

}  // namespace conat::socket_parts
