// Sockets over real clients and the real broker, in virtual time: one Sockets for each client of a
// World, and a log of what happened on them.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conat/socket/sockets.hpp"
#include "loopback/world.hpp"

namespace conat::test {

class SocketWorld {
 public:
  struct Log {
    std::map<SocketId, std::vector<MessageData>> data;
    std::map<SocketId, std::vector<SocketState>> states;
    std::map<CallId, std::vector<socket_effect::ReplyArrived>> replies;
    std::vector<socket_effect::Connected> connected;
    std::vector<socket_effect::Request> requests;
    std::vector<socket_effect::ServerStateChanged> servers;
    std::vector<socket_effect::Command> commands;
    std::vector<socket_effect::ServerNeeded> needed;
    std::vector<SocketId> drained;
    std::vector<SocketId> ended;
    std::vector<CallId> delivered;  // requests for many replies that have reached the other side
    std::vector<Message> raw;       // to the client's own subscriptions, outside of any socket
  };

  explicit SocketWorld(std::size_t clients = 2, WorldOptions options = quiet())
      : world(std::move(options), [this](std::size_t i, ClientEffect& e) { on_effect(i, e); }) {
    world.set_timers({[this] { return deadline(); }, [this](TimeMs now) { on_time(now); }});
    for (std::size_t i = 0; i < clients; ++i) {
      ClientOptions client;
      client.reconnection_delay_ms = 50;
      client.reconnection_delay_max_ms = 200;
      world.client(world.add_client(client)).connect(world.now());
      sockets.push_back(std::make_unique<Sockets>(world.client(i), Random(100 + i)));
      logs.emplace_back();
    }
  }
  static WorldOptions quiet() {
    WorldOptions options;
    options.max_latency_ms = 1;
    return options;
  }

  // ---- calls ----

  SocketServerId listen(std::size_t node, std::string_view subject, ListenOptions options = {}) {
    const auto server = sockets[node]->listen(world.now(), kOwner, subject, options);
    REQUIRE(server.ok());
    collect(node);
    REQUIRE(until([&] { return sockets[node]->server_state(*server) == SocketState::ready; }));
    return *server;
  }
  SocketId connect(std::size_t node, std::string_view subject, ConnectOptions options = {}) {
    const auto socket = sockets[node]->connect(world.now(), kOwner, subject, options);
    REQUIRE(socket.ok());
    collect(node);
    return *socket;
  }
  SocketId connect_ready(std::size_t node, std::string_view subject, ConnectOptions options = {}) {
    const SocketId socket = connect(node, subject, options);
    REQUIRE(until([&] { return state(node, socket) == SocketState::ready; }));
    return socket;
  }
  Status write(std::size_t node, SocketId socket, Value value, Value headers = {}) {
    Status status =
        sockets[node]->write(world.now(), socket, MessageData::of(value, Headers(headers)));
    collect(node);
    return status;
  }
  CallId request(std::size_t node, SocketId socket, Value value, RequestOptions options = {}) {
    const auto call = sockets[node]->request(world.now(), socket, MessageData::of(value), options);
    REQUIRE(call.ok());
    collect(node);
    return *call;
  }
  void close(std::size_t node, SocketId socket) {
    sockets[node]->close(world.now(), socket);
    collect(node);
  }
  // A client without the socket layer, to play one side by hand.
  void subscribe_raw(std::size_t node, std::string_view pattern) {
    REQUIRE(world.client(node).subscribe(world.now(), Owner{Layer::user, 1}, pattern).ok());
    run(20);
  }
  void publish_raw(std::size_t node, std::string_view subject, Value value, Value headers) {
    const MessageData data = MessageData::of(value, Headers(headers));
    REQUIRE(world.client(node).publish_now(world.now(), subject, data).ok());
  }
  SocketState state(std::size_t node, SocketId socket) const {
    return sockets[node]->state(socket);
  }
  std::vector<int> numbers(std::size_t node, SocketId socket) {
    std::vector<int> result;
    for (const MessageData& data : logs[node].data[socket]) {
      result.push_back(static_cast<int>(data.decode()->integer_or(-1)));
    }
    return result;
  }
  // The server's end of the connection that was made last.
  SocketId accepted(std::size_t node) {
    REQUIRE(until([&] { return !logs[node].connected.empty(); }));
    return logs[node].connected.back().socket;
  }

  void run(std::int64_t ms) { world.run_for(ms); }
  bool until(const std::function<bool()>& done, std::int64_t limit_ms = 20'000) {
    return world.run_until(done, limit_ms);
  }

  // Hands what a Sockets tells to the log, and answers requests.
  void collect(std::size_t node) {
    SocketEffect effect;
    while (sockets[node]->next(effect)) {
      std::visit([&](auto& each) { take(node, each); }, effect);
    }
  }

  World world;
  std::vector<std::unique_ptr<Sockets>> sockets;
  std::vector<Log> logs;
  std::function<void(std::size_t, socket_effect::Request&)> on_request;
  std::function<void(std::size_t, socket_effect::Data&)> on_data;
  std::function<void(std::size_t, Message&)> on_raw;
  std::vector<World::Timers> more_timers;  // of what else lives in the world
  static constexpr Owner kOwner{Layer::user, 5};

 private:
  void on_effect(std::size_t node, ClientEffect& effect) {
    auto* arrived = std::get_if<client_effect::MessageArrived>(&effect);
    if (arrived != nullptr && arrived->owner.layer == Layer::user) {
      if (on_raw) on_raw(node, arrived->message);
      logs[node].raw.push_back(std::move(arrived->message));
      return;
    }
    sockets[node]->on_client_effect(world.now(), std::move(effect));
    collect(node);
  }
  std::optional<TimeMs> deadline() const {
    std::optional<TimeMs> result;
    for (const auto& each : sockets) result = earlier(result, each->deadline());
    for (const auto& each : more_timers) result = earlier(result, each.deadline());
    return result;
  }
  void on_time(TimeMs now) {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      sockets[i]->on_time(now);
      collect(i);
    }
    for (const auto& each : more_timers) each.on_time(now);
  }

  void take(std::size_t node, socket_effect::Data& e) {
    if (on_data) on_data(node, e);
    logs[node].data[e.socket].push_back(std::move(e.data));
  }
  void take(std::size_t node, socket_effect::StateChanged& e) {
    logs[node].states[e.socket].push_back(e.state);
  }
  void take(std::size_t node, socket_effect::ReplyArrived& e) {
    logs[node].replies[e.call].push_back(std::move(e));
  }
  void take(std::size_t node, socket_effect::Request& e) {
    if (on_request) on_request(node, e);
    logs[node].requests.push_back(std::move(e));
  }
  void take(std::size_t node, socket_effect::Connected& e) { logs[node].connected.push_back(e); }
  void take(std::size_t node, socket_effect::ServerStateChanged& e) {
    logs[node].servers.push_back(e);
  }
  void take(std::size_t node, socket_effect::Command& e) {
    logs[node].commands.push_back(std::move(e));
  }
  void take(std::size_t node, socket_effect::ServerNeeded& e) { logs[node].needed.push_back(e); }
  void take(std::size_t node, socket_effect::Drained& e) { logs[node].drained.push_back(e.socket); }
  void take(std::size_t node, socket_effect::RequestDelivered& e) {
    logs[node].delivered.push_back(e.call);
  }
  void take(std::size_t node, socket_effect::Ended& e) { logs[node].ended.push_back(e.socket); }
};

}  // namespace conat::test
