#include "conat/socket/requests.hpp"

#include <algorithm>
#include <utility>

namespace conat::socket_parts {

Result<CallId> Requests::add(TimeMs now, MessageData data, const RequestOptions& options) {
  const bool waits = !link_.can_send();
  if (waits && waiting_.size() >= limits::socket_max_waiting_requests) {
    return Error(ErrorKind::socket_buffer_full, "too many requests wait for the socket");
  }
  const CallId call = link_.context.next_call++;
  link_.context.calls.emplace(call, link_.id);
  if (!waits) {
    start(now, call, std::move(data), options);
    return call;
  }
  const std::int64_t patience =
      options.timeout_ms > 0 ? options.timeout_ms : limits::request_timeout_ms;
  waiting_.push_back(Waiting{call, std::move(data), options, now + patience});
  link_.arm(now + patience);
  return call;
}

void Requests::start(TimeMs now, CallId call, MessageData data, const RequestOptions& options) {
  const CallId client_call = link_.request(now, std::move(data), options);
  if (client_call == 0) {
    finish(call, Error(ErrorKind::closed));
  } else {
    in_flight_.emplace(client_call, call);
  }
}

void Requests::finish(CallId call, Error error) {
  link_.context.calls.erase(call);
  link_.context.emit(
      socket_effect::ReplyArrived{link_.owner, link_.id, call, std::move(error), true});
}

void Requests::cancel(CallId call) {
  link_.context.calls.erase(call);
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                [&](const Waiting& waiting) { return waiting.call == call; }),
                 waiting_.end());
  for (auto entry = in_flight_.begin(); entry != in_flight_.end(); ++entry) {
    if (entry->second != call) continue;
    link_.context.client.cancel(entry->first);
    in_flight_.erase(entry);
    return;
  }
}

bool Requests::on_reply(CallId client_call, Result<Message>& reply, bool last) {
  auto found = in_flight_.find(client_call);
  if (found == in_flight_.end()) return false;
  const CallId call = found->second;
  if (last) {
    in_flight_.erase(found);
    link_.context.calls.erase(call);
  }
  link_.context.emit(
      socket_effect::ReplyArrived{link_.owner, link_.id, call, std::move(reply), last});
  return true;
}

void Requests::on_delivered(CallId client_call) {
  const auto found = in_flight_.find(client_call);
  if (found == in_flight_.end()) return;
  link_.context.emit(socket_effect::RequestDelivered{link_.owner, link_.id, found->second});
}

void Requests::on_ready(TimeMs now) {
  std::deque<Waiting> waiting = std::move(waiting_);
  waiting_.clear();
  for (Waiting& request : waiting) {
    start(now, request.call, std::move(request.data), request.options);
  }
}

void Requests::on_time(TimeMs now) {
  for (auto request = waiting_.begin(); request != waiting_.end();) {
    if (request->until > now) {
      ++request;
      continue;
    }
    const CallId call = request->call;
    request = waiting_.erase(request);
    finish(call, Error(ErrorKind::timeout));
  }
}

std::optional<TimeMs> Requests::deadline() const {
  std::optional<TimeMs> result;
  for (const Waiting& request : waiting_) result = earlier(result, request.until);
  return result;
}

void Requests::fail_all() {
  std::deque<Waiting> waiting = std::move(waiting_);
  waiting_.clear();
  for (const Waiting& request : waiting) finish(request.call, Error(ErrorKind::socket_closed));
  std::map<CallId, CallId> in_flight = std::move(in_flight_);
  in_flight_.clear();
  for (const auto& [client_call, call] : in_flight) {
    link_.context.client.cancel(client_call);
    finish(call, Error(ErrorKind::socket_closed));
  }
}

}  // namespace conat::socket_parts
