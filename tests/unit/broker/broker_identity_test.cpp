// Signing in, expiry and renewal, as clients and the shell see them.
#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

Handshake unknown() { return {"127.0.0.1", std::nullopt, false}; }

Identity account(std::string_view id, std::optional<TimeMs> expires_at = std::nullopt) {
  Identity identity;
  identity.user.set("account_id", id);
  identity.expires_at = expires_at;
  return identity;
}

// A client that has sent CONNECT with an auth object and waits.
std::unique_ptr<TestClient> waiting_client(World& world, PacketEncoding encoding) {
  auto client = world.client(encoding, 0, unknown());
  client->take_texts();
  client->messages(encode_connect(encoding, json(R"({"token":"secret"})")));
  return client;
}

std::unique_ptr<TestClient> signed_in(World& world, PacketEncoding encoding, Identity identity) {
  auto client = waiting_client(world, encoding);
  world.answer(std::move(identity));
  for (const Packet& packet : client->take_packets()) {
    if (packet.name == "info") client->messages(encode_ack(encoding, *packet.ack_id, {}));
  }
  client->take_texts();
  return client;
}

// Emits `auth`; the answer comes later.
void renew(TestClient& client, std::string_view token, std::uint64_t ack_id) {
  client.emit("auth", {Value(Value::Map{{"token", Value(token)}})}, ack_id);
}

const Packet* find(const std::vector<Packet>& packets, std::string_view name) {
  for (const Packet& packet : packets) {
    if (packet.name == name) return &packet;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("the broker asks who connects, with CONNECT's auth object", "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = waiting_client(world, encoding);
  REQUIRE(world.questions.size() == 1);
  CHECK(world.questions[0].connection == client->id);
  CHECK(world.questions[0].auth == json(R"({"token":"secret"})"));
  CHECK_FALSE(world.questions[0].renewal);
  CHECK(client->take_packets().size() <= 1);  // Engine.IO's opening at most
  world.answer(account("a", world.now + 60'000));
  const std::vector<Packet> packets = client->take_packets();
  const Packet* info = find(packets, "info");
  REQUIRE(info != nullptr);
  CHECK(info->arguments[0].find("user")->find("account_id")->text_or("") == "a");
  CHECK(info->arguments[0].find("expires")->integer_or(0) == 60'000);
  CHECK(client->subscribe("account.a.x", "q") == json(R"({"status":"added"})"));
  CHECK(client->subscribe("account.b.x", "q").find("code")->integer_or(0) == 403);
}

TEST_CASE("CONNECT without an auth object asks with null", "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = world.client(encoding, 0, unknown());
  client->messages(encode_connect(encoding, Value()));
  REQUIRE(world.questions.size() == 1);
  CHECK(world.questions[0].auth.is_null());
}

TEST_CASE("what comes before the answer closes the connection", "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = waiting_client(world, encoding);
  client->messages(
      encode_event(encoding, "subscribe", {json(R"({"subject":"a","queue":"q"})")}, std::nullopt));
  CHECK_FALSE(client->open);
  CHECK(client->close_reason == "malformed-packet");
  world.answer(account("a"));  // too late, and harmless
  CHECK(world.broker().counters().subscriptions == 0);
  CHECK(world.broker().counters().connections_open == 0);
}

TEST_CASE("a refused user is told why and disconnected", "[broker][identity]") {
  World world;
  const auto client = waiting_client(world, PacketEncoding::text);
  world.answer(refusal("Error: token expired", 401));
  std::vector<std::string> texts = client->take_texts();
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].substr(0, 9) == "40{\"sid\":");
  CHECK(
      texts[1] ==
      R"(42["info",{"max_payload":8000000,"id":"0","user":{"error":"Error: token expired","code":401}}])");
  CHECK(client->publish("_INBOX.x").find("code")->integer_or(0) == 403);
  client->take_texts();
  world.advance(24);
  CHECK(client->open);
  world.advance(1);
  CHECK(client->take_texts() == std::vector<std::string>{"41"});
  CHECK_FALSE(client->open);
  CHECK(client->close_reason == "refused");
  CHECK(world.broker().counters().refused_users == 1);
}

TEST_CASE("nobody who is not signed in in time stays", "[broker][identity]") {
  World world;
  const auto client = waiting_client(world, PacketEncoding::text);
  world.advance(25'000);
  client->text("3");
  world.advance(19'999);
  CHECK(client->open);
  world.advance(1);
  CHECK_FALSE(client->open);
  CHECK(client->close_reason == "no-connect");
  world.answer(account("a"));
}

TEST_CASE("an expired identity closes the connection, without DISCONNECT", "[broker][identity]") {
  World world;
  const auto client = signed_in(world, PacketEncoding::text, account("a", world.now + 5000));
  const auto other = signed_in(world, PacketEncoding::text, account("b"));
  client->subscribe("account.a.x", "q");
  client->take_texts();
  world.advance(4999);
  CHECK(client->open);
  world.advance(1);
  CHECK_FALSE(client->open);
  CHECK(client->close_code == WebSocketCloseCode::policy_violation);
  CHECK(client->close_reason == "expired");
  CHECK(client->take_texts().empty());
  CHECK(other->open);
  CHECK(world.broker().counters().expired_users == 1);
  CHECK(world.broker().counters().subscriptions == 0);
}

TEST_CASE("an identity that is withdrawn closes the connection as one that has expired",
          "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = signed_in(world, encoding, account("a"));
  const auto other = signed_in(world, encoding, account("a"));
  client->subscribe("account.a.x", "q");
  other->subscribe("account.a.x", "r");
  client->take_texts();
  renew(*client, "fresh", 7);  // is not answered any more
  world.broker().withdraw(world.now, client->id);
  world.settle();
  CHECK_FALSE(client->open);
  CHECK(client->close_code == WebSocketCloseCode::policy_violation);
  CHECK(client->close_reason == "withdrawn");
  CHECK(client->take_texts().empty());  // no DISCONNECT
  CHECK(other->open);
  CHECK(other->publish("account.a.x") == json(R"({"count":1})"));
  CHECK(world.broker().counters().subscriptions == 1);
  CHECK(world.broker().counters().closes[static_cast<std::size_t>(CloseReason::withdrawn)] == 1);
  CHECK_FALSE(world.answer(account("a")));
  world.broker().withdraw(world.now, client->id);  // has gone: nothing
  world.settle();
  CHECK(other->open);
}

TEST_CASE("the shell is told which identity is in force", "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = waiting_client(world, encoding);
  CHECK(world.answer(account("a")));
  renew(*client, "fresh", 7);
  CHECK(world.answer(account("a", world.now + 60'000)));
  renew(*client, "other", 8);
  CHECK_FALSE(world.answer(account("b")));
  renew(*client, "wrong", 9);
  CHECK_FALSE(world.answer(refusal("Error: wrong token", 401)));
  const auto refused = waiting_client(world, encoding);
  CHECK_FALSE(world.answer(refusal("Error: wrong token", 401)));
}

TEST_CASE("an identity that is known from the start may expire, too", "[broker][identity]") {
  World world;
  const auto client =
      world.client(PacketEncoding::text, 0, {"", account("a", world.now + 100), false});
  client->connect();
  CHECK(world.questions.empty());
  world.advance(100);
  CHECK_FALSE(client->open);
  CHECK(client->close_code == WebSocketCloseCode::policy_violation);
}

TEST_CASE("an identity is renewed without a new connection", "[broker][identity]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto client = signed_in(world, encoding, account("a", world.now + 5000));
  CHECK(client->subscribe("account.a.x", "q") == json(R"({"status":"added"})"));
  world.advance(4000);
  renew(*client, "fresh", 7);
  REQUIRE(world.questions.size() == 1);
  CHECK(world.questions[0].renewal);
  CHECK(world.questions[0].auth == json(R"({"token":"fresh"})"));
  CHECK_FALSE(client->take_ack(7).has_value());
  // Meanwhile everything goes on.
  CHECK(client->publish("account.a.x") == json(R"({"count":1})"));

  SECTION("by the same user") {
    world.answer(account("a", world.now + 10'000));
    CHECK(client->take_ack(7) == json(R"({"user":{"account_id":"a"},"expires":10000})"));
    world.advance(9999);
    CHECK(client->open);
    CHECK(client->publish("account.a.x") == json(R"({"count":1})"));
    world.advance(1);
    CHECK_FALSE(client->open);
    CHECK(world.broker().counters().renewals == 1);
  }
  SECTION("for ever") {
    world.answer(account("a"));
    CHECK(client->take_ack(7) == json(R"({"user":{"account_id":"a"}})"));
    world.advance(20'000);
    CHECK(client->open);
  }
  SECTION("not by another") {
    world.answer(account("b", world.now + 10'000));
    const std::optional<Value> answer = client->take_ack(7);
    REQUIRE(answer.has_value());
    CHECK(answer->find("code")->integer_or(0) == 403);
    CHECK(answer->find("error")->text_or("") == "Error: authentication as another user");
    world.advance(1000);
    CHECK_FALSE(client->open);
    CHECK(world.broker().counters().failed_renewals == 1);
  }
  SECTION("not by an error") {
    world.answer(refusal("Error: wrong token", 401));
    CHECK(client->take_ack(7) == json(R"({"error":"Error: wrong token","code":401})"));
    CHECK(client->publish("account.a.x") == json(R"({"count":1})"));
    world.advance(1000);
    CHECK_FALSE(client->open);
  }
  SECTION("not when the answer comes too late") {
    world.advance(1000);
    CHECK_FALSE(client->open);
    world.answer(account("a"));
  }
}

TEST_CASE("one renewal at a time, and not endless wrong ones", "[broker][identity]") {
  World world;
  const auto client = signed_in(world, any_encoding(), account("a", world.now + 5000));
  renew(*client, "1", 1);
  renew(*client, "2", 2);
  CHECK(world.questions.size() == 1);
  CHECK(client->take_ack(2)->find("code")->integer_or(0) == 429);
  world.answer(refusal("Error: wrong token", 401));
  for (std::uint64_t i = 3; i < 7; ++i) {
    renew(*client, "x", i);
    world.answer(refusal("Error: wrong token", 401));
    CHECK(client->take_ack(i)->find("code")->integer_or(0) == 401);
  }
  renew(*client, "right", 7);
  CHECK(world.questions.empty());
  CHECK(client->take_ack(7)->find("code")->integer_or(0) == 429);
}

TEST_CASE("other rights take subscriptions away", "[broker][identity]") {
  World world;
  Identity identity = account("a");
  identity.rights.is_admin = true;
  identity.rights.projects = {"p"};
  const PacketEncoding encoding = any_encoding();
  const auto client = signed_in(world, encoding, identity);
  for (const char* pattern : {"sys.>", "account.a.>", "project.p.*"}) {
    CHECK(client->subscribe(pattern, "q") == json(R"({"status":"added"})"));
  }
  identity.rights.is_admin = false;
  renew(*client, "fresh", 7);
  world.answer(identity);
  CHECK(client->take_ack(7) == json(R"({"user":{"account_id":"a"}})"));
  const std::vector<Packet> packets = client->take_packets();
  const Packet* permission = find(packets, "permission");
  REQUIRE(permission != nullptr);
  CHECK(permission->arguments[0] ==
        json(R"({"message":"permission denied subscribing to 'sys.>' from {\"account_id\":\"a\"}",)"
             R"("type":"sub","subject":"sys.>"})"));
  const Value left = client->ask("subscriptions", {Value()});
  CHECK(left == json(R"(["account.a.>","project.p.*"])"));
  CHECK(client->publish("sys.x").find("code")->integer_or(0) == 403);
  CHECK(world.broker().counters().subscriptions == 2);
}

TEST_CASE("auth with nothing to ask about", "[broker][identity]") {
  World world;
  SECTION("without authentication: it is who it was") {
    const auto client = world.client(any_encoding());
    client->connect();
    CHECK(client->ask("auth", {json("{}")}) == json(R"({"user":null})"));
    CHECK(client->ask("auth", {Value()}) == json(R"({"user":null})"));
  }
  SECTION("malformed") {
    const auto client = signed_in(world, any_encoding(), account("a"));
    CHECK(client->ask("auth", {}).find("code")->integer_or(0) == 400);
    CHECK(client->ask("auth", {Value(1)}).find("code")->integer_or(0) == 400);
    client->emit("auth", {json("{}")});  // without an acknowledgement
    CHECK(world.broker().counters().malformed_events == 3);
    CHECK(world.questions.empty());
    CHECK(client->open);
  }
}

TEST_CASE("DISCONNECT, and another CONNECT as somebody else", "[broker][identity]") {
  World world;
  const auto client = signed_in(world, PacketEncoding::text, account("a"));
  client->subscribe("account.a.x", "q");
  SECTION("when nothing is asked") {
    client->text("41");
    CHECK(world.broker().counters().subscriptions == 0);
    client->text("40{\"token\":\"other\"}");
    world.answer(account("b"));
    CHECK(client->subscribe("account.a.x", "q").find("code")->integer_or(0) == 403);
    CHECK(client->subscribe("account.b.x", "q") == json(R"({"status":"added"})"));
  }
  SECTION("while an answer is missing, which would be taken for the next") {
    renew(*client, "fresh", 7);
    client->text("41");
    CHECK_FALSE(client->open);
    world.answer(account("a"));
  }
}
