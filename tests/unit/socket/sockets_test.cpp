// Everyday use of sockets: connecting, writing, requests, closing.
#include <string>

#include "socket_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

std::vector<SocketState> states(std::initializer_list<SocketState> list) { return list; }

void echo(SocketWorld& world) {
  world.on_request = [&world](std::size_t node, socket_effect::Request& request) {
    world.sockets[node]->respond(world.world.now(), request.reply_subject, request.data);
  };
}

std::vector<int> counted(int from, int to) {
  std::vector<int> result;
  for (int i = from; i <= to; ++i) result.push_back(i);
  return result;
}

}  // namespace

TEST_CASE("a client's socket connects and both sides deliver in order") {
  SocketWorld world;
  world.listen(1, "conat.io");
  const SocketId client = world.connect_ready(0, "conat.io");
  const SocketId server = world.accepted(1);
  CHECK(world.logs[0].states[client] == states({SocketState::connecting, SocketState::ready}));
  CHECK(world.state(1, server) == SocketState::ready);
  const std::string id(world.sockets[0]->id(client));
  CHECK(id.size() == 10);
  CHECK(world.sockets[0]->subject(client) == "conat.io");
  CHECK(world.logs[1].connected[0].subject ==
        "conat.io.server." + world.world.client(1).id() + "." + id);
  CHECK(world.sockets[1]->subject(server) == world.logs[1].connected[0].subject);

  REQUIRE(world.write(0, client, Value("hello"), Value(Value::Map{{"x", Value(1)}})));
  for (int i = 0; i < 200; ++i) {
    REQUIRE(world.write(0, client, Value(i)));
    REQUIRE(world.write(1, server, Value(1000 + i)));
  }
  CHECK(world.sockets[0]->unacknowledged(client) == 201);
  CHECK(world.sockets[0]->unsent(client) == 0);
  REQUIRE(world.until([&] {
    return world.sockets[0]->unacknowledged(client) == 0 &&
           world.sockets[1]->unacknowledged(server) == 0;
  }));
  auto& received = world.logs[1].data[server];
  REQUIRE(received.size() == 201);
  CHECK(received[0].decode()->text_or("") == "hello");
  CHECK(encode_json(received[0].headers.value()) == R"({"x":1})");
  CHECK(received[1].headers.empty());
  received.erase(received.begin());
  CHECK(world.numbers(1, server) == counted(0, 199));
  CHECK(world.numbers(0, client) == counted(1000, 1199));
  CHECK(world.logs[0].drained.size() >= 1);
}

TEST_CASE("acknowledgements leave in batches") {
  SocketWorld world;
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  world.run(100);
  const auto before = world.world.broker(0).counters().messages_received;
  for (int i = 0; i < 640; ++i) REQUIRE(world.write(0, client, Value(i)));
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }, 100));
  const auto messages = world.world.broker(0).counters().messages_received - before;
  CHECK(messages >= 650);
  CHECK(messages <= 660);
  // A single message is acknowledged within a few ms.
  const TimeMs start = world.world.now();
  REQUIRE(world.write(0, client, Value(1)));
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }, 100));
  CHECK(world.world.now() - start <= 15);
}

TEST_CASE("what is written before ready is delivered after it") {
  SocketWorld world;
  const SocketId client = world.connect(0, "late.io");
  for (int i = 0; i < 5; ++i) REQUIRE(world.write(0, client, Value(i)));
  CHECK(world.sockets[0]->unsent(client) == 5);
  echo(world);
  const CallId call = world.request(0, client, Value("early"));
  world.run(3000);
  CHECK(world.state(0, client) == SocketState::connecting);
  world.listen(1, "late.io");
  REQUIRE(world.until([&] { return world.logs[0].replies.count(call) > 0; }));
  CHECK(world.logs[0].replies[call][0].reply->data.decode()->text_or("") == "early");
  CHECK(world.numbers(1, world.accepted(1)) == counted(0, 4));
  CHECK(world.sockets[0]->unsent(client) == 0);
}

TEST_CASE("requests go both ways, several at a time") {
  SocketWorld world;
  echo(world);
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  const CallId one = world.request(0, client, Value(1));
  const CallId two = world.request(0, client, Value(2));
  const CallId back = world.request(1, server, Value(3));
  REQUIRE(world.until(
      [&] { return world.logs[0].replies.size() == 2 && world.logs[1].replies.size() == 1; }));
  CHECK(world.logs[0].replies[one][0].reply->data.decode()->integer_or(0) == 1);
  CHECK(world.logs[0].replies[two][0].reply->data.decode()->integer_or(0) == 2);
  CHECK(world.logs[1].replies[back][0].reply->data.decode()->integer_or(0) == 3);
  CHECK(world.logs[1].requests[0].data.headers.empty());
  CHECK(world.logs[1].requests[0].socket == server);
}

TEST_CASE("a request may have many replies, fail by timeout, or be cancelled") {
  SocketWorld world;
  world.on_request = [&](std::size_t node, socket_effect::Request& request) {
    if (request.data.decode()->text_or("") != "many") return;
    for (const Value& value : {Value(1), Value(2), Value()}) {
      world.sockets[node]->respond(world.world.now(), request.reply_subject,
                                   MessageData::of(value));
    }
  };
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  RequestOptions many;
  many.many = true;
  const CallId call = world.request(0, client, Value("many"), many);
  REQUIRE(world.until([&] { return world.logs[0].replies[call].size() == 3; }));
  CHECK_FALSE(world.logs[0].replies[call][1].last);
  CHECK(world.logs[0].replies[call][2].last);
  CHECK(world.logs[0].delivered == std::vector<CallId>{call});

  RequestOptions hasty;
  hasty.timeout_ms = 100;
  const CallId lost = world.request(0, client, Value("silence"), hasty);
  const CallId given_up = world.request(0, client, Value("silence"), hasty);
  world.sockets[0]->cancel(given_up);
  world.run(200);
  REQUIRE(world.logs[0].replies[lost].size() == 1);
  CHECK(world.logs[0].replies[lost][0].reply.error().code.number == 408);
  CHECK(world.logs[0].replies[given_up].empty());

  const SocketId nowhere = world.connect(0, "nobody.listens");
  const CallId waiting = world.request(0, nowhere, Value(1), hasty);
  world.run(99);
  CHECK(world.logs[0].replies[waiting].empty());
  world.run(2);
  CHECK(world.logs[0].replies[waiting][0].reply.error().code.number == 408);
}

TEST_CASE("a probe is answered when everything before it has arrived") {
  SocketWorld world;
  world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  REQUIRE(world.write(1, server, Value(Bytes(100'000, 1))));
  const auto probe = world.sockets[1]->probe(world.world.now(), server);
  REQUIRE(probe.ok());
  REQUIRE(world.until([&] { return world.logs[1].replies.count(*probe) > 0; }));
  CHECK(world.logs[1].replies[*probe][0].reply.ok());
  CHECK(world.logs[0].data[client].size() == 1);
  CHECK(world.logs[0].requests.empty());
}

TEST_CASE("closing either side, or the server, closes the other at once") {
  SocketWorld world;
  const SocketServerId listener = world.listen(1, "s");
  const SocketId one = world.connect_ready(0, "s");
  const SocketId one_there = world.accepted(1);
  const SocketId two = world.connect_ready(0, "s");
  const SocketId two_there = world.accepted(1);
  const SocketId three = world.connect_ready(0, "s");
  const CallId pending = world.request(0, one, Value(1));
  world.close(0, one);
  CHECK(world.state(0, one) == SocketState::closed);
  CHECK(world.logs[0].states[one].back() == SocketState::closed);
  REQUIRE(world.logs[0].replies[pending].size() == 1);
  CHECK(world.logs[0].replies[pending][0].reply.error().code.word == "EPIPE");
  CHECK(world.write(0, one, Value(1)).error().text == "closed");
  CHECK(world.write(0, one, Value(1)).error().code.word == "EPIPE");
  REQUIRE(world.until([&] { return world.state(1, one_there) == SocketState::closed; }, 100));
  CHECK(world.logs[1].states[one_there].back() == SocketState::closed);

  world.close(1, two_there);
  REQUIRE(world.until([&] { return world.state(0, two) == SocketState::closed; }, 100));
  world.sockets[1]->close_server(world.world.now(), listener);
  REQUIRE(world.until([&] { return world.state(0, three) == SocketState::closed; }, 100));
  CHECK(world.sockets[1]->server_state(listener) == SocketState::closed);
  world.close(0, three);
  world.run(100);
  CHECK(world.world.client(0).subscription_count() == 1);
  CHECK(world.world.client(1).subscription_count() == 1);
}

TEST_CASE("end waits for the other side, or for its time") {
  SocketWorld world;
  const SocketServerId listener = world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  REQUIRE(world.write(0, client, Value(7)));
  world.sockets[0]->end(world.world.now(), client, 3000);
  CHECK_FALSE(world.write(0, client, Value(8)));
  REQUIRE(world.until([&] { return !world.logs[0].ended.empty(); }, 100));
  CHECK(world.state(0, client) == SocketState::closed);
  CHECK(world.numbers(1, server) == std::vector<int>{7});

  // From the server's side.
  const SocketId other = world.connect_ready(0, "s");
  world.sockets[1]->end(world.world.now(), world.accepted(1), 3000);
  REQUIRE(world.until([&] { return !world.logs[1].ended.empty(); }, 100));
  CHECK(world.state(0, other) == SocketState::closed);

  // Nobody answers.
  world.sockets[1]->intercept_commands(listener, true);
  const SocketId third = world.connect(0, "s");
  REQUIRE(world.until([&] { return !world.logs[1].commands.empty(); }));
  world.sockets[1]->handle_command(world.world.now(), listener, world.logs[1].commands[0].message);
  REQUIRE(world.until([&] { return world.state(0, third) == SocketState::ready; }));
  world.sockets[0]->end(world.world.now(), third, 500);
  world.run(495);
  CHECK(world.logs[0].ended.size() == 1);
  REQUIRE(world.until([&] { return world.logs[0].ended.size() == 2; }, 20));
  CHECK(world.state(0, third) == SocketState::closed);
}

TEST_CASE("the buffer of unacknowledged messages is bounded by number and by bytes") {
  SocketWorld world;
  world.listen(1, "s");
  ConnectOptions options;
  options.max_queue = 3;
  options.max_queue_bytes = 1000;
  const SocketId client = world.connect(0, "s", options);
  for (int i = 0; i < 3; ++i) REQUIRE(world.write(0, client, Value(i)));
  const Status full = world.write(0, client, Value(3));
  REQUIRE_FALSE(full.ok());
  CHECK(full.error().code.word == "ENOBUFS");
  CHECK(full.error().text == "WRITE FAILED: socket buffer size 3 exceeded");
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }));
  CHECK(world.logs[0].drained == std::vector<SocketId>{client});
  REQUIRE(world.write(0, client, Value(Bytes(5000, 1))));
  CHECK(world.write(0, client, Value(1)).error().code.word == "ENOBUFS");
  REQUIRE(world.until([&] { return world.sockets[0]->unacknowledged(client) == 0; }));
  REQUIRE(world.write(0, client, Value(1)));
}

TEST_CASE("one server listens on a pattern for many subjects, and only one on a subject") {
  SocketWorld world(3);
  ListenOptions options;
  options.id = "0";
  world.listen(1, "persist.*", options);
  const SocketId hub = world.connect_ready(0, "persist.hub");
  const SocketId account = world.connect_ready(2, "persist.account-x");
  REQUIRE(world.logs[1].connected.size() == 2);
  CHECK(world.logs[1].connected[0].subject ==
        "persist.hub.server.0." + std::string(world.sockets[0]->id(hub)));
  REQUIRE(world.write(1, world.logs[1].connected[1].socket, Value(5)));
  world.run(20);
  CHECK(world.numbers(2, account) == std::vector<int>{5});
  CHECK(world.numbers(0, hub).empty());
  CHECK(world.world.client(1).subscription_count() == 3);  // the inbox, status, the server's

  const auto second = world.sockets[1]->listen(world.world.now(), SocketWorld::kOwner, "persist.*");
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().text ==
        "there can be at most one socket server per client listening on a subject "
        "(subject='persist.*')");
  for (const char* bad : {"", "a..b", "a b", "a.>"}) {
    INFO(bad);
    CHECK_FALSE(world.sockets[1]->listen(world.world.now(), SocketWorld::kOwner, bad).ok());
  }
  CHECK(world.sockets[0]->connect(world.world.now(), SocketWorld::kOwner, "a.*").error().text ==
        "subject a.* must be a valid subject without wildcards");
}

TEST_CASE("a balancer, or the owner itself, chooses the server") {
  SocketWorld world(3);
  ListenOptions options;
  options.id = "one";
  world.listen(1, "s", options);
  options.id = "two";
  world.listen(2, "s", options);
  ConnectOptions custom;
  custom.custom_balancer = true;
  const SocketId client = world.connect(0, "s", custom);
  REQUIRE(world.until([&] { return world.logs[0].needed.size() == 1; }));
  world.sockets[0]->choose_server(world.world.now(), client, Error(ErrorKind::timeout));
  REQUIRE(world.until([&] { return world.logs[0].needed.size() == 2; }));
  world.sockets[0]->choose_server(world.world.now(), client, std::string("two"));
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }));
  CHECK(world.logs[2].connected.size() == 1);
  CHECK(world.logs[1].connected.empty());

  ConnectOptions balanced;
  balanced.balancer_subject = "who";
  const SocketId other = world.connect(0, "s", balanced);
  world.run(2000);
  CHECK(world.state(0, other) == SocketState::connecting);
}

TEST_CASE("everything closes with its client") {
  SocketWorld world;
  const SocketServerId listener = world.listen(1, "s");
  const SocketId client = world.connect_ready(0, "s");
  const SocketId server = world.accepted(1);
  const CallId call = world.request(1, server, Value(1));
  world.world.client(1).close(world.world.now());
  world.run(10);
  CHECK(world.sockets[1]->server_state(listener) == SocketState::closed);
  CHECK(world.state(1, server) == SocketState::closed);
  CHECK_FALSE(world.logs[1].replies[call][0].reply.ok());
  CHECK_FALSE(world.sockets[1]->listen(world.world.now(), SocketWorld::kOwner, "t").ok());
  CHECK_FALSE(world.sockets[1]->connect(world.world.now(), SocketWorld::kOwner, "t").ok());
  world.close(0, client);
  world.close(0, client);
  CHECK_FALSE(world.sockets[1]->deadline().has_value());
}

TEST_CASE("a socket server survives its own commands being intercepted") {
  SocketWorld world;
  const SocketServerId listener = world.listen(1, "s");
  world.sockets[1]->intercept_commands(listener, true);
  const SocketId client = world.connect(0, "s");
  REQUIRE(world.until([&] { return !world.logs[1].commands.empty(); }));
  CHECK(world.state(0, client) == SocketState::connecting);
  auto command = world.logs[1].commands[0];
  CHECK(command.socket == 0);
  world.sockets[1]->handle_command(world.world.now(), listener, command.message);
  world.collect(1);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }));
}
