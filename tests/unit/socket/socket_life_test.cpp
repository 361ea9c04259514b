// Keep-alive, reconnection, restarts, many sockets.
#include <string>

#include "socket_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

std::vector<int> counted(int from, int to) {
  std::vector<int> result;
  for (int i = from; i <= to; ++i) result.push_back(i);
  return result;
}

bool was(const std::vector<SocketState>& states, SocketState state) {
  return std::find(states.begin(), states.end(), state) != states.end();
}

}  // namespace

TEST_CASE("a client's socket comes back after a loss with its id and everything written") {
  SocketWorld world;
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  const std::string id(world.sockets[0]->id(client));
  REQUIRE(world.write(0, client, Value(0)));
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }));

  world.world.cut(0);
  for (int i = 1; i <= 10; ++i) REQUIRE(world.write(0, client, Value(i)));
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::disconnected; }));
  for (int i = 11; i <= 20; ++i) REQUIRE(world.write(0, client, Value(i)));
  for (int i = 0; i < 20; ++i) REQUIRE(world.write(1, server, Value(100 + i)));
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }));
  REQUIRE(world.until([&] {
    return world.sockets[0]->unacknowledged(client) == 0 &&
           world.sockets[1]->unacknowledged(server) == 0;
  }));
  CHECK(world.sockets[0]->id(client) == id);
  CHECK(world.numbers(1, server) == counted(0, 20));
  CHECK(world.numbers(0, client) == counted(100, 119));
  CHECK(world.logs[1].connected.size() == 1);
  CHECK(world.logs[1].states[server].empty());
}

TEST_CASE("a server's sockets are ready again after its own client's reconnect") {
  SocketWorld world;
  const SocketServerId listener = world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  world.world.cut(1);
  for (int i = 0; i < 10; ++i) REQUIRE(world.write(1, server, Value(i)));
  REQUIRE(world.until([&] { return world.state(1, server) == SocketState::disconnected; }));
  CHECK(world.sockets[1]->server_state(listener) == SocketState::disconnected);
  for (int i = 10; i < 20; ++i) REQUIRE(world.write(1, server, Value(i)));
  for (int i = 0; i < 10; ++i) REQUIRE(world.write(0, client, Value(100 + i)));
  REQUIRE(world.until([&] { return world.state(1, server) == SocketState::ready; }));
  REQUIRE(world.until([&] {
    return world.sockets[0]->unacknowledged(client) == 0 &&
           world.sockets[1]->unacknowledged(server) == 0;
  }));
  CHECK(world.numbers(0, client) == counted(0, 19));
  CHECK(world.numbers(1, server) == counted(100, 109));
  CHECK(world.sockets[1]->server_state(listener) == SocketState::ready);
}

TEST_CASE("disconnect and reconnect by the user") {
  SocketWorld world;
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  world.sockets[0]->disconnect(world.world.now(), client);
  CHECK(world.state(0, client) == SocketState::disconnected);
  REQUIRE(world.write(0, client, Value(1)));
  world.run(499);
  CHECK(world.state(0, client) == SocketState::disconnected);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }, 100));
  world.sockets[0]->set_reconnection(client, false);
  world.sockets[0]->disconnect(world.world.now(), client);
  world.run(5000);
  CHECK(world.state(0, client) == SocketState::disconnected);
  world.sockets[0]->reconnect(world.world.now(), client);
  world.collect(0);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }, 100));
  CHECK(world.numbers(1, world.accepted(1)) == std::vector<int>{1});
}

TEST_CASE("an idle socket is kept alive, and a dead other side is noticed") {
  SocketWorld world;
  ListenOptions listening;
  listening.keep_alive_ms = 2000;
  listening.keep_alive_timeout_ms = 1000;
  world.listen(1, "s", listening);
  ConnectOptions connecting;
  connecting.keep_alive_ms = 2000;
  connecting.keep_alive_timeout_ms = 1000;
  const SocketId client = world.connect_ready(0, "s", connecting);
  const SocketId server = world.accepted(1);
  const TimeMs first = world.sockets[0]->last_alive(client);
  world.run(60'000);
  CHECK(world.state(0, client) == SocketState::ready);
  CHECK(world.state(1, server) == SocketState::ready);
  CHECK(world.sockets[0]->last_alive(client) > first + 50'000);

  SECTION("the client is gone without a word") {
    world.world.set_unreachable(0, true);
    world.world.cut(0);
    world.run(900);
    CHECK(world.state(1, server) == SocketState::ready);
    REQUIRE(world.until([&] { return world.state(1, server) == SocketState::closed; }, 3000));
    // It comes back to a server that has forgotten it. Nothing was delivered, so it starts anew.
    world.world.set_unreachable(0, false);
    REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }));
    CHECK(world.logs[1].connected.size() == 2);
  }
  SECTION("the server is gone without a word") {
    world.world.set_unreachable(1, true);
    world.world.cut(1);
    REQUIRE(world.until([&] { return world.state(0, client) == SocketState::disconnected; }, 4000));
    world.world.set_unreachable(1, false);
    REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }));
    CHECK(world.logs[1].connected.size() == 1);
  }
}

TEST_CASE("a stream never goes on with a server that has forgotten it") {
  SocketWorld world;
  ListenOptions listening;
  listening.id = "srv";
  listening.keep_alive_ms = 1000;
  listening.keep_alive_timeout_ms = 500;
  const SocketServerId listener = world.listen(1, "s", listening);
  const SocketId client = world.connect_ready(0, "s");
  REQUIRE(world.write(0, client, Value(1)));
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }));
  world.world.set_unreachable(0, true);
  world.world.cut(0);
  const SocketId server = world.accepted(1);
  REQUIRE(world.until([&] { return world.state(1, server) == SocketState::closed; }));
  CHECK(world.sockets[1]->server_state(listener) == SocketState::ready);
  REQUIRE(world.write(0, client, Value(2)));
  world.world.set_unreachable(0, false);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::closed; }));
  CHECK(world.logs[1].connected.size() == 1);
}

TEST_CASE("connecting is retried with growing pauses") {
  SocketWorld world;
  const auto before = world.world.broker(0).counters().messages_received;
  world.connect(0, "nobody");
  world.run(30'000);
  // 0.5 s * 1.3^n: 12 pauses within 30 s.
  const auto tries = world.world.broker(0).counters().messages_received - before;
  CHECK(tries >= 9);
  CHECK(tries <= 14);
}

TEST_CASE("a message that vanished on the way is sent again while the connection lives") {
  SocketWorld world;
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  // The client's transport breaks and comes back without the server noticing: what it wrote
  // meanwhile went nowhere.
  world.world.cut(0);
  world.run(5);
  for (int i = 0; i < 5; ++i) REQUIRE(world.write(1, server, Value(i)));
  REQUIRE(world.until([&] { return world.sockets[1]->unacknowledged(server) == 0; }, 5000));
  CHECK(world.numbers(0, client) == counted(0, 4));
}

TEST_CASE("one server serves thousands of sockets with one subscription") {
  SocketWorld world(3);
  world.listen(1, "s");
  constexpr int kSockets = 300;
  std::vector<SocketId> sockets;
  for (int i = 0; i < kSockets; ++i) sockets.push_back(world.connect(0, "s"));
  REQUIRE(world.until([&] { return world.logs[1].connected.size() == kSockets; }, 60'000));
  CHECK(world.world.client(1).subscription_count() == 3);
  for (int i = 0; i < kSockets; ++i)
    REQUIRE(world.write(0, sockets[static_cast<std::size_t>(i)], Value(i)));
  world.run(1000);
  int delivered = 0;
  for (const auto& connected : world.logs[1].connected) {
    delivered += static_cast<int>(world.numbers(1, connected.socket).size());
  }
  CHECK(delivered == kSockets);
  world.world.cut(0);
  world.run(5000);
  for (const SocketId socket : sockets) {
    CHECK(world.state(0, socket) == SocketState::ready);
    CHECK(was(world.logs[0].states[socket], SocketState::disconnected));
  }
}
