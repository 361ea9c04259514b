#include "conat/socket/context.hpp"

#include <algorithm>

#include "conat/socket/endpoint.hpp"

namespace conat::socket_parts {

MessageData command_message(std::string_view name, std::string_view id, Value payload) {
  Value::Map headers;
  headers.emplace_back(std::string(header::socket_command), Value(name));
  if (!id.empty()) headers.emplace_back("id", Value(id));
  return MessageData::of(payload, Headers(Value(std::move(headers))));
}

Context::Context(Client& client_in, Random random_in)
    : client(client_in), random(std::move(random_in)) {
  held.limit = limits::sockets_max_held_bytes;
}

Context::~Context() = default;

bool Context::online() const { return client.signed_in(); }

void Context::send(TimeMs now, std::string_view subject, const MessageData& data) {
  // The only errors are a closed client and an invalid subject of a peer's making: nothing to tell.
  (void)client.publish_now(now, subject, data);
}

void Context::send_surely(TimeMs now, std::string_view subject, const MessageData& data) {
  if (online()) {
    send(now, subject, data);
  } else {
    (void)client.publish(now, Owner{Layer::socket, 0}, subject, data);
  }
}

void Context::arm(SocketId socket, std::optional<TimeMs>& armed, TimeMs at) {
  if (armed && *armed <= at) return;
  disarm(socket, armed);
  timers.emplace(at, socket);
  armed = at;
}

void Context::disarm(SocketId socket, std::optional<TimeMs>& armed) {
  if (!armed) return;
  timers.erase({*armed, socket});
  armed.reset();
}

Endpoint* Context::find(SocketId socket) {
  auto found = sockets.find(socket);
  return found == sockets.end() ? nullptr : found->second.get();
}

std::int64_t Context::backoff(std::uint32_t attempt) {
  double delay = static_cast<double>(limits::socket_backoff_start_ms);
  for (std::uint32_t i = 0; i < attempt && delay < limits::socket_backoff_max_ms; ++i) {
    delay *= limits::socket_backoff_factor;
  }
  return std::min(static_cast<std::int64_t>(delay), limits::socket_backoff_max_ms);
}

}  // namespace conat::socket_parts
