// The persistence server as its clients see it: through sockets and a real broker.
#include <string>

#include "persist_node.hpp"

using namespace conat;
using namespace conat::test;

namespace {

Value opening(const char* path, bool changefeed = false) {
  return Value(Value::Map{{"storage", Value(Value::Map{{"path", Value(path)}})},
                          {"changefeed", Value(changefeed)}});
}

struct Fixture {
  explicit Fixture(PersistServerOptions options = {}) : node(world, std::move(options)) {}

  SocketId open(std::size_t client, const char* path, bool changefeed = false) {
    ConnectOptions connecting;
    connecting.balancer_subject = "persist.hub.id";
    const SocketId socket = world.connect(client, "persist.hub", connecting);
    REQUIRE(world.write(client, socket, opening(path, changefeed)));
    return socket;
  }
  CallId start(std::size_t client, SocketId socket, const char* command, Value::Map arguments = {},
               Value payload = {}, bool many = false) {
    arguments.emplace_back("cmd", Value(command));
    RequestOptions options;
    options.many = many;
    const auto call = world.sockets[client]->request(
        world.world.now(), socket, MessageData::of(payload, Headers(Value(arguments))), options);
    REQUIRE(call.ok());
    world.collect(client);
    return *call;
  }
  MessageData ask(std::size_t client, SocketId socket, const char* command,
                  Value::Map arguments = {}, Value payload = {}) {
    const CallId call = start(client, socket, command, std::move(arguments), std::move(payload));
    REQUIRE(world.until([&] { return world.logs[client].replies.count(call) > 0; }));
    REQUIRE(world.logs[client].replies[call].size() == 1);
    return world.logs[client].replies[call][0].reply->data;
  }
  // The replies to a getAll, once the last has come.
  std::vector<MessageData> get_all(std::size_t client, SocketId socket) {
    const CallId call = start(client, socket, "getAll", {}, {}, true);
    auto& replies = world.logs[client].replies[call];
    REQUIRE(world.until([&] { return !replies.empty() && replies.back().last; }, 120'000));
    std::vector<MessageData> result;
    for (auto& each : replies) result.push_back(each.reply->data);
    return result;
  }
  // The sequence numbers that a changefeed has told of, its own numbering checked.
  std::vector<int> fed(std::size_t client, SocketId socket) {
    std::vector<int> result;
    std::uint64_t number = 0;
    for (const MessageData& batch : world.logs[client].data[socket]) {
      CHECK(batch.headers.number("seq") == number++);
      const Value::Array changes = *batch.decode()->if_array();
      for (const Value& change : changes) {
        result.push_back(static_cast<int>(change.find("seq")->integer_or(0)));
      }
    }
    return result;
  }

  SocketWorld world{3};
  PersistNode node;
};

}  // namespace

TEST_CASE("a persistence server tells who serves a scope") {
  PersistServerOptions options;
  options.server_id = "b";
  options.server_ids = {"a", "b", "c"};
  Fixture fixture(options);
  const std::string expected = options.server_ids[persist_server_index("hub", 3)];
  fixture.world.subscribe_raw(0, "answers");
  fixture.world.publish_raw(0, "persist.hub.id", Value(),
                            Value(Value::Map{{"CN-Reply", Value("answers")}}));
  fixture.world.run(20);
  REQUIRE(fixture.world.logs[0].raw.size() == 1);
  CHECK(encode_json(*fixture.world.logs[0].raw[0].data.decode()) == "\"" + expected + "\"");
}

TEST_CASE("a stream is opened, written, read and followed through sockets") {
  Fixture fixture;
  const SocketId writer = fixture.open(0, "hub/foo");
  const SocketId reader = fixture.open(1, "hub/foo", true);
  const MessageData answer = fixture.ask(0, writer, "set", {{"key", Value("k")}}, Value("v"));
  CHECK(answer.decode()->find("seq")->integer_or(0) == 1);
  fixture.world.run(100);
  CHECK(fixture.fed(1, reader) == std::vector<int>{1});
  CHECK(encode_json(*fixture.ask(1, reader, "get", {{"key", Value("k")}}).decode()) == "\"v\"");
  CHECK(fixture.node.storage.open_streams() == 1);
  fixture.world.close(0, writer);
  fixture.world.close(1, reader);
  fixture.world.run(20);
  CHECK(fixture.node.storage.open_streams() == 0);
}

TEST_CASE("a refused opening reaches the client") {
  Fixture fixture;
  const SocketId socket = fixture.open(0, "hub/../foo");
  CHECK(fixture.ask(0, socket, "keys").headers.number("code") == 403u);
  REQUIRE(fixture.world.logs[0].data[socket].size() == 1);
  CHECK(fixture.world.logs[0].data[socket][0].headers.text("error") ==
        "Error: permission denied: path 'hub/../foo' is not normalized");
}

TEST_CASE("a large stream is read in batches, each when the one before has arrived") {
  Fixture fixture;
  const SocketId writer = fixture.open(0, "hub/big");
  for (int i = 0; i < 30; ++i) fixture.ask(0, writer, "set", {}, Value(Bytes(500'000, 1)));
  const auto replies = fixture.get_all(0, writer);
  REQUIRE(replies.size() >= 4);
  std::size_t messages = 0;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    CHECK(replies[i].headers.number("seq") == i);
    if (i + 1 < replies.size()) messages += replies[i].decode()->if_array()->size();
    CHECK(replies[i].raw.size() < 6'000'000);
  }
  CHECK(messages == 30);
}

TEST_CASE("a changefeed goes on through losses on both sides, nothing twice or out of order") {
  Fixture fixture;
  const SocketId writer = fixture.open(0, "hub/foo");
  const SocketId reader = fixture.open(1, "hub/foo", true);
  fixture.ask(0, writer, "keys");
  fixture.ask(1, reader, "keys");
  std::vector<int> expected;
  for (int i = 1; i <= 60; ++i) {
    fixture.start(0, writer, "set", {}, Value(i));
    fixture.world.run(40);
    if (i == 20) fixture.world.world.cut(1);
    if (i == 40) fixture.world.world.cut(fixture.node.index());
    if (i == 55) fixture.world.world.cut(0);
  }
  fixture.world.run(10'000);
  const int count =
      static_cast<int>(fixture.ask(0, writer, "inventory").decode()->find("count")->integer_or(0));
  CHECK(count > 50);
  for (int i = 1; i <= count; ++i) expected.push_back(i);
  CHECK(fixture.fed(1, reader) == expected);
  CHECK(fixture.node.storage.open_streams() == 1);
}

TEST_CASE("a lost client closes its stream when the keep-alive gives it up, not before") {
  Fixture fixture;
  const SocketId socket = fixture.open(0, "hub/foo");
  fixture.ask(0, socket, "keys");
  fixture.world.world.set_unreachable(0, true);
  fixture.world.world.cut(0);
  fixture.world.run(25'000);
  CHECK(fixture.node.storage.open_streams() == 1);
  fixture.world.run(60'000);
  CHECK(fixture.node.storage.open_streams() == 0);
}

TEST_CASE("a reader that never acknowledges its changefeed is disconnected") {
  Fixture fixture;
  SocketWorld& world = fixture.world;
  world.subscribe_raw(1, "persist.hub.client.slow");
  const auto send = [&](Value value, Value headers) {
    world.publish_raw(1, "persist.hub.server.0.slow", std::move(value), std::move(headers));
    world.run(50);
  };
  send(Value(), Value(Value::Map{{"CN-SocketCmd", Value("connect")}}));
  send(opening("hub/foo", true), Value(Value::Map{{"CN-SocketSeq", Value(1)}}));
  const SocketId writer = fixture.open(0, "hub/foo");
  const auto told_to_close = [&] {
    const auto& raw = world.logs[1].raw;
    return std::any_of(raw.begin(), raw.end(), [](const Message& message) {
      return message.data.headers.text(header::socket_command) == "close";
    });
  };
  for (int i = 0; i < 8; ++i) fixture.ask(0, writer, "set", {}, Value(Bytes(7'000'000, 1)));
  CHECK_FALSE(told_to_close());
  for (int i = 0; i < 3; ++i) fixture.ask(0, writer, "set", {}, Value(Bytes(7'000'000, 1)));
  world.run(100);
  CHECK(told_to_close());
  // The others are not disturbed.
  fixture.ask(0, writer, "set", {}, Value(1));
}
