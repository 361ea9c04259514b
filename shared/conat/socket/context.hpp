// What the sockets of one client share: the client, the way out for effects, timers, budgets.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conat/socket/receive_window.hpp"
#include "conat/socket/sockets.hpp"

namespace conat::socket_parts {

class Endpoint;

// The commands of the protocol, as messages.
namespace command {
inline constexpr std::string_view connect = "connect";
inline constexpr std::string_view close = "close";
inline constexpr std::string_view ping = "ping";
inline constexpr std::string_view socket = "socket";
}  // namespace command

// A message with a command; an empty `id` is left out of its headers.
MessageData command_message(std::string_view name, std::string_view id = {}, Value payload = {});

class Context {
 public:
  Context(Client& client_in, Random random_in);
  ~Context();

  // True when messages leave at once.
  bool online() const;
  // Sends now; lost when offline, for what the protocol repeats by itself.
  void send(TimeMs now, std::string_view subject, const MessageData& data);
  // Sends now, or when the client is signed in again.
  void send_surely(TimeMs now, std::string_view subject, const MessageData& data);
  void emit(SocketEffect effect) { effects.push_back(std::move(effect)); }

  // Timers: at most one for each socket, its earliest. An earlier one replaces a later one; a later
  // one is left to the recalculation after the earlier one has fired.
  void arm(SocketId socket, std::optional<TimeMs>& armed, TimeMs at);
  void disarm(SocketId socket, std::optional<TimeMs>& armed);

  Endpoint* find(SocketId socket);
  // 500 ms, growing by 1.3 up to 10 s.
  static std::int64_t backoff(std::uint32_t attempt);

  Client& client;
  Random random;
  std::deque<SocketEffect> effects;
  std::set<std::pair<TimeMs, SocketId>> timers;
  HeldBudget held;
  std::unordered_map<SocketId, std::unique_ptr<Endpoint>> sockets;
  // What has closed, to be destroyed when no call of it is on the stack.
  std::vector<SocketId> closed;
  std::vector<SocketServerId> closed_servers;
  // The user's calls inside sockets.
  std::unordered_map<CallId, SocketId> calls;
  CallId next_call = 1;
  std::uint32_t next_id = 1;  // of sockets and servers
};

}  // namespace conat::socket_parts
