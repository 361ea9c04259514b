#include <catch2/catch.hpp>

#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("malformed events are answered with an error, and the connection stays", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  const Value null;
  const std::vector<std::pair<const char*, Value::Array>> events = {
      {"publish", {}},
      {"publish", {null}},
      {"publish", {Value(5)}},
      {"publish", {Value("a.b")}},
      {"publish", {Value(Value::Array{})}},
      {"publish", {Value(Value::Array{null})}},
      {"publish", {Value(Value::Array{Value(5), Value("id")})}},
      {"publish", {Value(Value::Array{Value("a"), Value("id")}), Value(1)}},
      {"publish", {Value::Map{{"subject", Value("a")}}}},
      {"subscribe", {}},
      {"subscribe", {null}},
      {"subscribe", {Value(5)}},
      {"subscribe", {Value("a")}},
      {"subscribe", {Value::Map{}}},
      {"subscribe", {Value::Map{{"subject", Value(5)}, {"queue", Value("q")}}}},
      {"unsubscribe", {}},
      {"unsubscribe", {null}},
      {"unsubscribe", {Value::Map{}}},
      {"unsubscribe", {Value::Map{{"subject", null}}}},
      {"wait-for-interest", {}},
      {"wait-for-interest", {null}},
      {"wait-for-interest", {Value("a")}},
      {"wait-for-interest", {Value::Map{{"timeout", Value(0)}}}},
      {"stats", {}},
      {"stats", {null}},
      {"stats", {Value::Map{}}},
      {"stats", {Value::Map{{"recv0", Value(1)}}}},
      {"cluster", {null}},
      {"cluster", {Value(1)}},
  };
  for (const auto& [name, arguments] : events) {
    CAPTURE(name, encode_json(Value(arguments)));
    const Value answer = client->ask(name, arguments);
    REQUIRE(answer.find("error") != nullptr);
    CHECK_FALSE(answer.find("error")->text_or("").empty());
    client->emit(name, arguments);  // without an ack: nothing at all
    CHECK(client->take_packets().empty());
    CHECK(client->open);
  }
  CHECK(world.broker().counters().malformed_events >= 2 * events.size() - 2);
  client->emit("cluster", {});
  CHECK(client->take_packets().empty());
}

TEST_CASE("arrays that hold what is no request are answered item by item", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  const Value good = json(R"({"subject":"a","queue":"q"})");
  const Value answer =
      client->ask("subscribe", {Value(Value::Array{Value(), good, Value(5), good})});
  REQUIRE(answer.if_array() != nullptr);
  const Value::Array& items = *answer.if_array();
  REQUIRE(items.size() == 4);
  CHECK(items[0].find("error") != nullptr);
  CHECK(items[1] == json(R"({"status":"added"})"));
  CHECK(items[2].find("error") != nullptr);
  CHECK(items[3] == json(R"({"status":"already-added"})"));
  const Value removed = client->ask("unsubscribe", {Value(Value::Array{good, Value()})});
  REQUIRE(removed.if_array() != nullptr);
  CHECK(removed.if_array()->at(0).is_null());
  CHECK(removed.if_array()->at(1).find("error") != nullptr);
  CHECK(client->ask("subscriptions", {Value()}) == Value(Value::Array{}));
  CHECK(client->ask("subscribe", {Value(Value::Array{})}) == Value(Value::Array{}));
}

TEST_CASE("names that mean something elsewhere are ordinary subjects", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  for (const char* name : {"__proto__", "constructor", "toString", "hasOwnProperty", "publish",
                           "subscribe", "message", "error"}) {
    CAPTURE(name);
    CHECK(client->subscribe(name, "q") == json(R"({"status":"added"})"));
    CHECK(client->publish(name) == json(R"({"count":1})"));
    CHECK(client->take_deliveries() ==
          std::vector<std::string>{std::string(name) + " " + name + " id"});
  }
}

TEST_CASE("patterns that Socket.IO cannot name are refused", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  for (const char* name : {"connect", "disconnect", "connect_error", "newListener"}) {
    CAPTURE(name);
    CHECK(client->subscribe(name, "q") == json(R"({"error":"Error: invalid subject"})"));
    CHECK(client->publish(name) == json(R"({"count":0})"));
  }
  CHECK(client->subscribe(">", "q") == json(R"({"status":"added"})"));
  CHECK(client->publish("disconnect") == json(R"({"count":0})"));
  CHECK(client->take_deliveries() == std::vector<std::string>{"> disconnect id"});
}

TEST_CASE("invalid subjects are refused everywhere", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  for (const char* subject :
       {"", ".", "a.", ".a", "a..b", "a b", "a\u00a0b", "a\u2028", "\ufeff"}) {
    CAPTURE(subject);
    const Value error = json(R"({"error":"Error: invalid subject"})");
    CHECK(client->publish(subject) == error);
    CHECK(client->subscribe(subject, "q") == error);
    CHECK(client->ask("wait-for-interest", {Value::Map{{"subject", Value(subject)}}}) ==
          json(R"({"error":"invalid subject"})"));
    CHECK(client->ask("unsubscribe", {Value::Map{{"subject", Value(subject)}}}).is_null());
  }
  CHECK(client->subscribe("a.>.b", "q") == json(R"({"error":"Error: invalid subject"})"));
  CHECK(client->subscribe("a\u0085b", "q") == json(R"({"status":"added"})"));
  const std::string longest(limits::max_subject_bytes, 's');
  CHECK(client->subscribe(longest, "q") == json(R"({"status":"added"})"));
  CHECK(client->publish(longest) == json(R"({"count":1})"));
  CHECK(client->publish(longest + "s") == json(R"({"error":"Error: invalid subject"})"));
  CHECK(client->subscribe("q", longest + "q").find("error") != nullptr);
}

TEST_CASE("wait-for-interest is answered by patterns, not by taps, once", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  const auto other = world.client();
  client->connect();
  other->connect();
  const auto wait = [&](std::string_view subject, Value timeout, std::uint64_t ack_id) {
    Value request;
    request.set("subject", subject);
    request.set("timeout", std::move(timeout));
    client->emit("wait-for-interest", {request}, ack_id);
  };
  wait("a.b.c", 1000, 1);
  wait("a.b.d", 1000, 2);
  wait("a.b.c", 1'000'000, 3);  // capped
  wait("x", Value(), 4);
  wait("y", "soon", 5);
  wait("z", -5, 6);
  wait("z", 0.5, 7);
  CHECK(*client->take_ack(6) == Value(false));
  other->subscribe(">", "q");
  CHECK(client->take_packets().empty());
  other->subscribe("a.*.c", "q");
  CHECK(*client->take_ack(1) == Value(true));
  CHECK(*client->take_ack(3) == Value(true));
  CHECK(client->take_packets().empty());
  other->subscribe("a.>", "q");
  CHECK(*client->take_ack(2) == Value(true));
  world.advance(1001);
  CHECK(client->take_packets().empty());
  world.advance(2000);
  CHECK(*client->take_ack(7) == json(R"({"error":"Error: timeout"})"));
  CHECK_FALSE(client->take_ack(4).has_value());
}

TEST_CASE("the default timeout of wait-for-interest is 90 s", "[broker]") {
  World world;
  const auto client = world.client();
  client->connect();
  client->emit("wait-for-interest", {json(R"({"subject":"x"})")}, 4);
  client->emit("wait-for-interest", {json(R"({"subject":"x","timeout":1e9})")}, 5);
  for (int i = 0; i < 3; ++i) {
    world.advance(30'000);
    client->text("3");
  }
  world.advance(900);
  CHECK_FALSE(client->take_ack(4).has_value());
  world.advance(2000);
  CHECK(*client->take_ack(4) == json(R"({"error":"Error: timeout"})"));
  CHECK(*client->take_ack(5) == json(R"({"error":"Error: timeout"})"));
}

TEST_CASE("a connection waits for a bounded number of subjects", "[broker]") {
  World world;
  const auto client = world.client();
  client->connect();
  const Value request = json(R"({"subject":"x"})");
  for (std::size_t i = 0; i < limits::max_interest_waits; ++i) {
    client->emit("wait-for-interest", {request}, 10'000 + i);
  }
  CHECK(client->take_packets().empty());
  CHECK(client->ask("wait-for-interest", {request}).find("code")->integer_or(0) == 429);
  const auto other = world.client();
  other->connect();
  other->subscribe("x", "q");
  CHECK(client->take_packets().size() == limits::max_interest_waits);
  CHECK(client->ask("wait-for-interest", {request}) == Value(true));
}

TEST_CASE("the requests of one event are bounded", "[broker]") {
  BrokerOptions options;
  options.max_subscriptions_per_client = 10;
  World world(options);
  const auto client = world.client(any_encoding());
  client->connect();
  Value::Array requests;
  for (int i = 0; i < 1020; ++i) {
    requests.push_back(
        Value::Map{{"subject", Value("s" + std::to_string(i))}, {"queue", Value("q")}});
  }
  const Value answer = client->ask("subscribe", {Value(requests)});
  REQUIRE(answer.if_array() != nullptr);
  CHECK(answer.if_array()->at(9) == json(R"({"status":"added"})"));
  CHECK(answer.if_array()->at(10).find("code")->integer_or(0) == 429);
  requests.push_back(requests.back());
  CHECK(client->ask("subscribe", {Value(requests)}).find("code")->integer_or(0) == 429);
}

TEST_CASE("the broker's own clients are not masked and not limited", "[broker]") {
  BrokerOptions options;
  options.max_subscriptions_per_client = 2;
  World world(options);
  Handshake handshake;
  handshake.in_process = true;
  const auto client = world.client(PacketEncoding::text, 0, handshake);
  client->take_texts();
  client->text("40");
  CHECK(client->take_texts().size() == 2);
  client->text("430[]");
  for (int i = 0; i < 5; ++i) {
    client->text(R"(421["subscribe",{"subject":"s)" + std::to_string(i) + R"(","queue":"0"}])");
    CHECK(client->take_texts() == std::vector<std::string>{R"(431[{"status":"added"}])"});
  }
}

TEST_CASE("rights that the name does not tell", "[broker]") {
  World world;
  Handshake handshake;
  handshake.identity = Identity{};
  handshake.identity->user = json(R"({"account_id":"a"})");
  SECTION("none") {
    const auto client = world.client(any_encoding(), 0, handshake);
    client->connect();
    CHECK(client->subscribe("sys.x", "q").find("code")->integer_or(0) == 403);
  }
  SECTION("an admin") {
    handshake.identity->rights.is_admin = true;
    const auto client = world.client(any_encoding(), 0, handshake);
    client->connect();
    CHECK(client->subscribe("sys.x", "q") == json(R"({"status":"added"})"));
  }
  SECTION("everything: a configured anonymous user") {
    handshake.identity->rights.everything = true;
    const auto client = world.client(any_encoding(), 0, handshake);
    client->connect();
    CHECK(client->subscribe("anything.>", "q") == json(R"({"status":"added"})"));
    CHECK(client->publish("anything.else") == json(R"({"count":1})"));
  }
}

TEST_CASE("a connection that is lost leaves nothing behind", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  const auto other = world.client();
  client->connect();
  other->connect();
  client->subscribe("a", "q");
  client->subscribe("b.*", "q");
  client->emit("wait-for-interest", {json(R"({"subject":"w"})")}, 1);
  CHECK(world.broker().counters().connections_open == 2);
  client->close();
  CHECK(world.broker().counters().connections_open == 1);
  CHECK(world.broker().counters().subscriptions == 0);
  CHECK(other->publish("a") == json(R"({"count":0})"));
  other->subscribe("w", "q");  // nobody is answered
  // The same place serves another connection under another id.
  const auto next = world.client();
  CHECK(next->id != client->id);
  CHECK(next->connect().publish("b.c") == json(R"({"count":0})"));
  Bytes late = to_bytes("late");
  world.broker().on_bytes(world.now, client->id, late);
  world.broker().on_written(world.now, client->id, 5);
  world.broker().on_closed(world.now, client->id);
  BrokerEffect effect;
  CHECK_FALSE(world.broker().next(effect));
}

TEST_CASE("timers close silent connections", "[broker]") {
  World world;
  const auto silent = world.client();
  const auto stranger = world.client();
  silent->connect();
  world.advance(24'999);
  CHECK(silent->take_texts().empty());
  world.advance(1);
  CHECK(silent->take_texts() == std::vector<std::string>{"2"});
  stranger->text("3");
  world.advance(19'999);
  CHECK(silent->open);
  CHECK(stranger->open);
  world.advance(1);
  CHECK_FALSE(silent->open);
  CHECK_FALSE(stranger->open);
  CHECK(silent->close_reason == "keep-alive");
  CHECK(silent->close_code == WebSocketCloseCode::no_status);
  CHECK(silent->take_texts().empty());  // no Socket.IO disconnect
  CHECK(stranger->close_reason == "no-connect");
  CHECK(world.broker().counters().keep_alive_closes == 1);
  CHECK(world.broker().counters().connections_open == 0);
  CHECK_FALSE(world.broker().deadline().has_value());
}

TEST_CASE("shut_down closes everybody with 1001", "[broker]") {
  World world;
  const auto one = world.client(any_encoding());
  const auto two = world.client();
  one->connect();
  one->subscribe("a", "q");
  one->take_texts();
  two->take_texts();
  world.broker().shut_down(world.now);
  world.settle();
  for (TestClient* client : {one.get(), two.get()}) {
    CHECK_FALSE(client->open);
    CHECK(client->close_code == WebSocketCloseCode::going_away);
    CHECK(client->close_reason == "shutdown");
    CHECK(client->flushed);
    CHECK(client->take_texts().empty());
  }
  CHECK(world.broker().counters().connections_open == 0);
  CHECK(world.broker().counters().subscriptions == 0);
}

TEST_CASE("malformed packets are counted and close", "[broker]") {
  World world;
  const auto client = world.client();
  client->connect();
  client->text("42[\"a\",");
  CHECK_FALSE(client->open);
  CHECK(client->flushed);
  CHECK(client->close_reason == "malformed-packet");
  CHECK(world.broker().counters().malformed_packets == 1);
}
