// What travels: one side is played by hand, as another implementation would behave.
#include <string>

#include "socket_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

Value command(const char* name) { return Value(Value::Map{{"CN-SocketCmd", Value(name)}}); }
Value sequence(int number) { return Value(Value::Map{{"CN-SocketSeq", Value(number)}}); }

std::string command_of(const Message& message) {
  return std::string(message.data.headers.text(header::socket_command).value_or(""));
}
std::string json(const Message& message) { return encode_json(*message.data.decode()); }

// A server played by node 1 for `s` with the id "srv": it answers as the script says.
struct FakeServer {
  explicit FakeServer(SocketWorld& over) : world(over) {
    world.subscribe_raw(1, "s.server.status");
    world.subscribe_raw(1, "s.server.srv.*");
    world.on_raw = [this](std::size_t node, Message& message) {
      if (node == 1) answer(message);
    };
  }
  void answer(Message& message) {
    const std::string name = command_of(message);
    const std::string reply(message.reply_subject());
    if (message.subject == "s.server.status") {
      respond(reply, Value(Value::Map{{"id", Value("srv")}}));
    } else if (name == "connect") {
      connects.push_back(encode_json(message.data.headers.value()));
      respond(reply, Value("connected"));
    } else if (name == "ping" && answers_pings) {
      ++pings;
      respond(reply, Value());
    } else if (name == "socket") {
      commands.push_back(json(message));
      if (message.data.decode()->find("socket")->find("missing") != nullptr && on_missing) {
        on_missing(reply);
      }
    } else if (name == "close") {
      closes.push_back(encode_json(message.data.headers.value()));
      if (!reply.empty()) respond(reply, Value("closed"));
    }
  }
  void respond(const std::string& reply, Value value, Value headers = {}) {
    world.publish_raw(1, reply, std::move(value), std::move(headers));
  }
  std::string inbox(SocketId socket) const {
    return "s.client." + std::string(world.sockets[0]->id(socket));
  }
  void send(SocketId socket, int number) {
    world.publish_raw(1, inbox(socket), Value(number), sequence(number));
    world.run(20);
  }
  std::string last_command() const { return commands.empty() ? "" : commands.back(); }

  SocketWorld& world;
  bool answers_pings = true;
  int pings = 0;
  std::vector<std::string> connects;
  std::vector<std::string> commands;
  std::vector<std::string> closes;
  std::function<void(const std::string&)> on_missing;
};

Value nodata() { return Value(Value::Map{{"error", Value("nodata")}}); }

}  // namespace

TEST_CASE("a client's socket speaks the protocol to a server played by hand") {
  SocketWorld world;
  FakeServer server(world);
  const SocketId client = world.connect_ready(0, "s");
  const std::string id(world.sockets[0]->id(client));
  REQUIRE(server.connects.size() == 1);
  CHECK(server.connects[0].find("{\"CN-SocketCmd\":\"connect\",\"id\":\"" + id +
                                "\",\"CN-Reply\":\"_INBOX.") == 0);
  world.run(20);
  CHECK(server.pings == 1);  // the first goes out at once
  REQUIRE(world.write(0, client, Value("hello"), Value(Value::Map{{"x", Value(1)}})));
  world.run(20);
  const Message& data = world.logs[1].raw.back();
  CHECK(data.subject == "s.server.srv." + id);
  CHECK(encode_json(data.data.headers.value()) == R"({"x":1,"CN-SocketSeq":1})");
  CHECK(world.sockets[0]->unacknowledged(client) == 1);
  world.publish_raw(1, server.inbox(client),
                    Value(Value::Map{{"socket", Value(Value::Map{{"emitted", Value(1)}})}}),
                    command("socket"));
  world.run(20);
  CHECK(world.sockets[0]->unacknowledged(client) == 0);
  CHECK(world.logs[0].drained.size() == 1);
  // What was never sent cannot be acknowledged.
  world.publish_raw(1, server.inbox(client),
                    Value(Value::Map{{"socket", Value(Value::Map{{"emitted", Value(99)}})}}),
                    command("socket"));
  REQUIRE(world.write(0, client, Value(2)));
  world.run(20);
  CHECK(world.sockets[0]->unacknowledged(client) == 1);

  world.close(0, client);
  world.run(20);
  REQUIRE(server.closes.size() == 1);
  CHECK(server.closes[0] == "{\"CN-SocketCmd\":\"close\",\"id\":\"" + id + "\"}");
}

TEST_CASE("a receiver acknowledges, drops duplicates and asks for what is missing") {
  SocketWorld world;
  FakeServer server(world);
  const SocketId client = world.connect_ready(0, "s");
  server.send(client, 1);
  CHECK(server.last_command() == R"({"socket":{"emitted":1}})");
  server.send(client, 1);
  CHECK(server.commands.size() == 2);
  CHECK(server.last_command() == R"({"socket":{"emitted":1}})");
  CHECK(world.numbers(0, client) == std::vector<int>{1});

  server.on_missing = [&](const std::string& reply) {
    Value::Array items;
    for (const int number : {2, 3}) {
      items.emplace_back(Value::Map{{"encoding", Value(0)},
                                    {"raw", Value(encode_msgpack(Value(number)))},
                                    {"headers", sequence(number)}});
    }
    server.respond(reply, Value(items));
  };
  server.send(client, 5);
  // 4 is missing still, and asked for again.
  CHECK(world.numbers(0, client) == std::vector<int>{1, 2, 3});
  CHECK(std::count(server.commands.begin(), server.commands.end(),
                   R"({"socket":{"missing":[2,3,4]}})") == 1);
  CHECK(std::count(server.commands.begin(), server.commands.end(),
                   R"({"socket":{"missing":[4]}})") >= 1);
  server.send(client, 4);
  CHECK(world.numbers(0, client) == std::vector<int>{1, 2, 3, 4, 5});
  CHECK(server.last_command() == R"({"socket":{"emitted":5}})");
}

TEST_CASE("nodata resets a client's socket; again without progress ends it") {
  SocketWorld world;
  FakeServer server(world);
  const SocketId client = world.connect_ready(0, "s");
  server.on_missing = [&](const std::string& reply) { server.respond(reply, Value(), nodata()); };
  server.send(client, 9);
  CHECK(world.state(0, client) == SocketState::disconnected);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }, 2000));
  // What came early was forged, or is lost: the stream goes on without it.
  server.send(client, 1);
  server.send(client, 2);
  CHECK(world.numbers(0, client) == std::vector<int>{1, 2});
  server.send(client, 7);
  CHECK(world.state(0, client) == SocketState::disconnected);
  REQUIRE(world.until([&] { return world.state(0, client) == SocketState::ready; }, 2000));
  server.send(client, 8);
  CHECK(world.state(0, client) == SocketState::closed);
  CHECK(server.closes.size() == 1);
}

TEST_CASE("a server answers by hand-made commands as the protocol says") {
  SocketWorld world;
  ListenOptions options;
  options.id = "srv";
  world.listen(0, "s", options);
  world.subscribe_raw(1, "s.client.c1");
  world.subscribe_raw(1, "answers");
  const auto& raw = world.logs[1].raw;

  SECTION("status") {
    world.publish_raw(1, "s.server.status", Value(),
                      Value(Value::Map{{"CN-Reply", Value("answers")}}));
    world.run(20);
    REQUIRE(raw.size() == 1);
    CHECK(json(raw[0]) == R"({"id":"srv"})");
  }
  SECTION("data and commands of an unknown client are answered with close") {
    world.publish_raw(1, "s.server.srv.c1", Value("x"), sequence(1));
    world.publish_raw(1, "s.server.srv.c1", Value(), command("ping"));
    world.run(20);
    REQUIRE(raw.size() == 2);
    for (const Message& message : raw) {
      CHECK(message.subject == "s.client.c1");
      CHECK(encode_json(message.data.headers.value()) == R"({"CN-SocketCmd":"close"})");
      CHECK(json(message) == "null");
    }
    // A close is not.
    world.publish_raw(
        1, "s.server.srv.c1", Value(),
        Value(Value::Map{{"CN-SocketCmd", Value("close")}, {"CN-Reply", Value("answers")}}));
    world.run(20);
    REQUIRE(raw.size() == 3);
    CHECK(json(raw[2]) == "\"closed\"");
  }
  SECTION("connect may come without a reply subject, and data right behind it") {
    world.publish_raw(1, "s.server.srv.c1", Value(), command("connect"));
    world.publish_raw(1, "s.server.srv.c1", Value(1), sequence(1));
    world.publish_raw(1, "s.server.srv.c1", Value(2), sequence(2));
    const SocketId socket = world.accepted(0);
    world.run(50);
    CHECK(world.numbers(0, socket) == std::vector<int>{1, 2});
    // Known already: answered, and no second connection.
    world.publish_raw(
        1, "s.server.srv.c1", Value(),
        Value(Value::Map{{"CN-SocketCmd", Value("connect")}, {"CN-Reply", Value("answers")}}));
    world.run(50);
    CHECK(json(raw.back()) == "\"connected\"");
    CHECK(world.logs[0].connected.size() == 1);
  }
  SECTION("the wait for one client's interest delays no other, and ends after 5 s") {
    world.publish_raw(1, "s.server.srv.ghost", Value(), command("connect"));
    world.publish_raw(1, "s.server.srv.ghost", Value(7), sequence(1));
    world.publish_raw(1, "s.server.srv.c1", Value(), command("connect"));
    world.run(50);
    REQUIRE(world.logs[0].connected.size() == 1);
    world.run(4800);
    CHECK(world.logs[0].connected.size() == 1);
    world.run(400);
    REQUIRE(world.logs[0].connected.size() == 2);
    CHECK(world.numbers(0, world.logs[0].connected[1].socket) == std::vector<int>{7});
  }
  SECTION("missing messages are answered whole, or with nodata") {
    world.publish_raw(1, "s.server.srv.c1", Value(), command("connect"));
    const SocketId socket = world.accepted(0);
    for (int i = 1; i <= 3; ++i) {
      REQUIRE(world.write(0, socket, Value(i), Value(Value::Map{{"h", Value(i)}})));
    }
    const auto ask = [&](Value::Array wanted) {
      world.publish_raw(
          1, "s.server.srv.c1",
          Value(Value::Map{{"socket", Value(Value::Map{{"missing", Value(wanted)}})}}),
          Value(Value::Map{{"CN-SocketCmd", Value("socket")}, {"CN-Reply", Value("answers")}}));
      world.run(20);
      return raw.back();
    };
    CHECK(
        json(ask({Value(1), Value(3)})) ==
        R"([{"encoding":0,"raw":{"type":"Buffer","data":[1]},"headers":{"h":1,"CN-SocketSeq":1}},)"
        R"({"encoding":0,"raw":{"type":"Buffer","data":[3]},"headers":{"h":3,"CN-SocketSeq":3}}])");
    CHECK(json(ask({})) == "[]");
    const Message refused = ask({Value(3), Value(4)});
    CHECK(json(refused) == "null");
    CHECK(refused.data.headers.text("error") == "nodata");
    CHECK(ask({Value("x")}).data.headers.empty());
  }
  SECTION("a server's end of a broken stream closes") {
    world.publish_raw(1, "s.server.srv.c1", Value(), command("connect"));
    const SocketId socket = world.accepted(0);
    world.on_raw = [&](std::size_t, Message& message) {
      if (command_of(message) == "socket") {
        world.publish_raw(1, message.reply_subject(), Value(), nodata());
      }
    };
    world.publish_raw(1, "s.server.srv.c1", Value(5), sequence(5));
    REQUIRE(world.until([&] { return world.state(0, socket) == SocketState::closed; }, 500));
    world.run(20);
    CHECK(command_of(raw.back()) == "close");
  }
}

TEST_CASE("nonsense from the other side changes nothing") {
  SocketWorld world;
  ListenOptions options;
  options.id = "srv";
  world.listen(0, "s", options);
  world.subscribe_raw(1, "s.client.c1");
  world.publish_raw(1, "s.server.srv.c1", Value(), command("connect"));
  const SocketId socket = world.accepted(0);
  world.publish_raw(1, "s.server.srv.c1", Value(1), Value(Value::Map{{"CN-SocketSeq", Value(-1)}}));
  world.publish_raw(1, "s.server.srv.c1", Value(1),
                    Value(Value::Map{{"CN-SocketSeq", Value("a")}}));
  world.publish_raw(1, "s.server.srv.c1", Value(1), Value(Value::Map{{"other", Value(1)}}));
  world.publish_raw(1, "s.server.srv.c1", Value(1), Value(Value::Map{{"CN-SocketSeq", Value(0)}}));
  world.publish_raw(1, "s.server.srv.c1", Value(1), command("unheard-of"));
  for (const Value& body :
       {Value(), Value(5), Value(Value::Map{{"socket", Value(3)}}),
        Value(Value::Map{{"socket", Value(Value::Map{{"emitted", Value("x")}})}}),
        Value(Value::Map{{"socket", Value(Value::Map{{"emitted", Value(-4)}})}}),
        Value(Value::Map{{"socket", Value(Value::Map{{"missing", Value(3)}})}})}) {
    world.publish_raw(1, "s.server.srv.c1", body, command("socket"));
  }
  // The largest possible gap.
  world.publish_raw(1, "s.server.srv.c1", Value(9),
                    Value(Value::Map{{"CN-SocketSeq", Value(std::uint64_t{0xffffffffffffffff})}}));
  world.run(100);
  CHECK(world.state(0, socket) == SocketState::ready);
  CHECK(world.numbers(0, socket).empty());
  world.publish_raw(1, "s.server.srv.c1", Value(1), sequence(1));
  world.run(20);
  CHECK(world.numbers(0, socket) == std::vector<int>{1});
}
