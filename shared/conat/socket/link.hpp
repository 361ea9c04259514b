// How one socket reaches its other side.
//
// Thread safety: none.
#pragma once

#include <optional>
#include <string>

#include "conat/socket/context.hpp"

namespace conat::socket_parts {

struct Link {
  Context& context;
  SocketId id;
  Owner owner;       // of the socket, for its effects
  std::string peer;  // the subject to send to; empty while it is not known
  bool ready = false;
  std::optional<TimeMs> armed;

  bool can_send() const { return ready && context.online(); }
  void arm(TimeMs at) { context.arm(id, armed, at); }
  void send(TimeMs now, const MessageData& data) { context.send(now, peer, data); }
  // 0 when the client refuses.
  CallId request(TimeMs now, MessageData data, const RequestOptions& options) {
    Result<CallId> call =
        context.client.request(now, Owner{Layer::socket, id}, peer, std::move(data), options);
    return call ? *call : 0;
  }
  void cancel(CallId& call) {
    if (call != 0) context.client.cancel(call);
    call = 0;
  }
};

}  // namespace conat::socket_parts
