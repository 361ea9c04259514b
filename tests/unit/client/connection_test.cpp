// Signing in, staying alive, coming back.
#include "unit/client/scripted_server.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

std::vector<ClientState> states(ScriptedServer& server) {
  std::vector<ClientState> result;
  for (const auto& change : server.take_effects<effects::StateChanged>()) {
    result.push_back(change.state);
  }
  return result;
}

}  // namespace

TEST_CASE("the first sign-in sends what the recorded clients send, in that order") {
  ScriptedServer server(PacketEncoding::text);
  CHECK(server.client.state() == ClientState::disconnected);
  server.client.connect(server.now);
  CHECK(server.client.subscription_count() == 0);
  server.connect();
  CHECK(server.client.state() == ClientState::connected);
  CHECK(server.client.socket_id() == "socket-sid");
  CHECK_FALSE(server.client.signed_in());
  server.info();
  CHECK(server.client.signed_in());
  REQUIRE(server.texts.size() == 4);
  CHECK(server.texts[0] == "40");
  CHECK(server.texts[1] == R"(42["stats",{"recv0":{"messages":0,"bytes":0}}])");
  CHECK(server.texts[2] == "430[]");
  const std::string inbox = server.client.inbox();
  CHECK(inbox.substr(0, 7) == "_INBOX.");
  CHECK(inbox.size() == 17);
  CHECK(server.texts[3].find(R"(420["subscribe",{"subject":")" + inbox + R"(.*","queue":")") == 0);
  CHECK(server.client.subscription_count() == 1);
  CHECK_FALSE(server.client.inbox_ready());
  server.answer_added(server.take_event("subscribe"));
  CHECK(server.client.inbox_ready());
  CHECK(server.client.id().size() == 10);
}

TEST_CASE("auth goes with CONNECT, and its replacement with the next one") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ClientOptions options;
  options.auth = Value(Value::Map{{"token", Value("first")}});
  ScriptedServer server(encoding, options);
  server.client.connect(server.now);
  server.sign_in();
  CHECK(server.connect_data()->find("token")->text_or("") == "first");
  server.client.set_auth(Value(Value::Map{{"token", Value("second")}}));
  server.cut();
  server.wait(1000);
  server.connect();
  CHECK(server.connect_data()->find("token")->text_or("") == "second");
}

TEST_CASE("state changes and info are reported once each") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  CHECK(states(server) == std::vector<ClientState>{ClientState::connected});
  const auto info = server.take_effect<effects::InfoReceived>();
  CHECK(info.signed_in);
  CHECK(decode_msgpack(info.info)->find("max_payload")->integer_or(0) == 8'000'000);
  CHECK(server.acks == 1);
  // The server repeats info until it is acknowledged: answered, but no second sign-in.
  server.info();
  CHECK(server.acks == 2);
  CHECK(server.take_effects<effects::InfoReceived>().empty());
  CHECK(server.take_events().empty());
}

TEST_CASE("statistics go out every five seconds, the subscriptions are checked once") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  const TimeMs start = server.now;
  server.sign_in();
  const auto id = server.client.subscribe(server.now, kUser, "news");
  REQUIRE(id.ok());
  server.answer_added(server.take_event("subscribe"));
  server.deliver("news", "news", Value("hello"));
  server.run_until(start + 3000);
  const auto list = server.take_event("subscriptions");
  CHECK(list.first().is_null());
  server.answer(list, Value(Value::Array{Value(server.client.inbox() + ".*"), Value("news")}));
  server.run_until(start + 5000);
  const auto stats = server.take_event("stats");
  CHECK_FALSE(stats.ack_id.has_value());
  CHECK(stats.first().find("recv0")->find("messages")->integer_or(-1) == 1);
  CHECK(stats.first().find("recv0")->find("bytes")->integer_or(-1) == 6);
  server.run_until(start + 20'000);
  const auto later = server.take_events();
  CHECK(later.size() == 3);
  for (const auto& event : later) CHECK(event.name == "stats");
  CHECK(server.client.statistics().received.messages == 1);
}

TEST_CASE("pings are answered; without them the client leaves and comes back") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  server.sign_in();
  server.wait(25'000);
  server.send(encode_engine_ping());
  CHECK(server.pongs == 1);
  server.wait(44'999);
  CHECK(server.open);
  server.wait(1);
  CHECK_FALSE(server.open);
  CHECK(server.client.state() == ClientState::disconnected);
  server.wait(750);
  CHECK(server.opening);
}

TEST_CASE("a transport or a server that never answers is given up") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  server.drain();
  server.wait(limits::client_connect_timeout_ms);
  CHECK(server.closed_by_client);
  server.wait(750);
  CHECK(server.opened == 2);
  server.opening = false;
  server.open = true;
  server.client.on_transport_open(server.now);
  server.wait(limits::client_connect_timeout_ms);
  CHECK_FALSE(server.open);
  CHECK(states(server).empty());
}

TEST_CASE("reconnects back off exponentially with jitter, and at once on wake") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  std::int64_t expected = 500;
  for (int attempt = 0; attempt < 8; ++attempt) {
    server.drain();
    REQUIRE(server.opening);
    server.opening = false;
    const TimeMs lost = server.now;
    server.client.on_transport_closed(server.now);
    server.drain();
    CHECK_FALSE(server.opening);  // never at once
    const TimeMs due = *server.client.deadline();
    CHECK(due - lost >= std::min<std::int64_t>(expected / 2, 15'000));
    CHECK(due - lost <= std::min<std::int64_t>(expected * 3 / 2, 15'000));
    server.run_until(due);
    expected *= 2;
  }
  REQUIRE(server.opening);
  server.opening = false;
  server.client.on_transport_closed(server.now);
  server.drain();
  server.client.wake(server.now);
  server.drain();
  CHECK(server.opening);
  // Signing in resets the delays.
  server.sign_in();
  const TimeMs lost = server.now;
  server.cut();
  CHECK(*server.client.deadline() - lost <= 750);
}

TEST_CASE("an attempt that has got nowhere begins anew when the network comes back") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  server.drain();
  REQUIRE(server.opened == 1);
  server.wait(limits::client_stuck_opening_ms - 1);
  server.client.wake(server.now);
  server.drain();
  CHECK(server.opened == 1);  // it has hardly begun
  server.wait(1);
  server.client.wake(server.now);
  server.drain();
  CHECK(server.closed_by_client);
  CHECK(server.opened == 2);
  server.sign_in();
  server.client.wake(server.now);
  server.drain();
  CHECK(server.open);  // what works is left alone
}

TEST_CASE("without reconnection a lost connection stays lost") {
  ClientOptions options;
  options.reconnection = false;
  ScriptedServer server(PacketEncoding::text, options);
  server.client.connect(server.now);
  server.sign_in();
  server.cut();
  server.wait(100'000);
  CHECK_FALSE(server.opening);
  server.client.connect(server.now);
  server.sign_in();
  CHECK(server.client.signed_in());
}

TEST_CASE("after DISCONNECT the client waits for connect()") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  server.send(encode_disconnect(encoding));
  CHECK(server.closed_by_client);
  CHECK(server.client.state() == ClientState::disconnected);
  server.wait(60'000);
  CHECK_FALSE(server.opening);
  server.client.wake(server.now);
  server.drain();
  CHECK_FALSE(server.opening);
  server.client.connect(server.now);
  server.drain();
  CHECK(server.opening);
}

TEST_CASE("a refused user is tried again with backoff") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.connect();
  const Value user(Value::Map{{"error", Value("bad password")}});
  server.info(8'000'000, user);
  const auto info = server.take_effect<effects::InfoReceived>();
  CHECK_FALSE(info.signed_in);
  CHECK_FALSE(server.client.signed_in());
  SECTION("the server disconnects") {
    server.wait(25);
    server.send(encode_disconnect(encoding));
  }
  SECTION("the server leaves it to the client") { server.wait(1000); }
  CHECK_FALSE(server.open);
  const TimeMs first = *server.client.deadline() - server.now;
  CHECK(first >= 200);
  server.run_until(*server.client.deadline());
  server.connect();
  server.info(8'000'000, user);
  server.send(encode_disconnect(encoding));
  CHECK(*server.client.deadline() - server.now >= 500);  // it grows: no sign-in in between
  server.run_until(*server.client.deadline());
  server.sign_in();
  CHECK(server.client.signed_in());
}

TEST_CASE("CONNECT_ERROR is tried again too") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  server.drain();
  server.opening = false;
  server.open = true;
  server.client.on_transport_open(server.now);
  server.send(encode_engine_open("e", 25'000, 20'000, 8'000'000));
  server.send(encode_connect_error(PacketEncoding::text, "not today", "/"));
  CHECK_FALSE(server.open);
  server.wait(750);
  CHECK(server.opening);
}

TEST_CASE("a server that hangs up on a MessagePack CONNECT is offered text next") {
  ScriptedServer server(PacketEncoding::msgpack);
  server.client.connect(server.now);
  server.drain();
  server.opening = false;
  server.open = true;
  server.client.on_transport_open(server.now);
  server.send(encode_engine_open("e", 25'000, 20'000, 8'000'000));
  CHECK(server.texts.empty());
  server.cut();
  server.wait(750);
  server.encoding = PacketEncoding::text;
  server.sign_in();
  REQUIRE_FALSE(server.texts.empty());
  CHECK(server.texts[0] == "40");
  CHECK(server.client.signed_in());
}

TEST_CASE("disconnect stays, connect comes back, close is final") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  server.client.disconnect(server.now);
  server.drain();
  CHECK_FALSE(server.open);
  server.wait(60'000);
  CHECK_FALSE(server.opening);
  server.client.connect(server.now);
  server.sign_in();
  server.client.close(server.now);
  server.drain();
  CHECK_FALSE(server.open);
  CHECK(server.disconnects == 1);
  CHECK(server.client.state() == ClientState::closed);
  server.client.close(server.now);
  server.client.connect(server.now);
  server.client.disconnect(server.now);
  server.client.wake(server.now);
  server.client.drop_transport(server.now);
  server.drain();
  CHECK_FALSE(server.opening);
  CHECK_FALSE(server.client.deadline().has_value());
  CHECK(states(server) == std::vector<ClientState>{ClientState::connected,
                                                   ClientState::disconnected,
                                                   ClientState::connected, ClientState::closed});
  CHECK(server.client.subscription_count() == 0);
  CHECK(server.client.subscribe(server.now, kUser, "a").error().text == "closed");
  CHECK(server.client.publish_now(server.now, "a", MessageData::of(Value(1))).error().text ==
        "closed");
}

TEST_CASE("a dropped transport comes back by itself") {
  ScriptedServer server(PacketEncoding::msgpack);
  server.client.connect(server.now);
  server.sign_in();
  server.client.drop_transport(server.now);
  server.drain();
  CHECK_FALSE(server.open);
  CHECK_FALSE(server.opening);
  server.wait(750);
  CHECK(server.opening);
}

TEST_CASE("malformed bytes end the connection, whatever they are, and nothing else") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  Random random(99);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  REQUIRE(server.client.subscribe(server.now, kUser, "a.>").ok());
  server.answer_added(server.take_event("subscribe"));
  // Valid messages with a few bytes changed reach deeper than noise does.
  std::vector<WireMessages> valid;
  valid.push_back(encode_event(
      encoding, "a.>",
      {Value(Value::Map{
          {"subject", Value("a.b")},
          {"data", Value(Value::Array{Value("id"), Value(0), Value(1), Value(0), Value(Bytes{1}),
                                      Value(Value::Map{{"h", Value(1)}})})}})},
      std::nullopt));
  valid.push_back(encode_event(
      encoding, "info", {Value(Value::Map{{"max_payload", Value(5)}, {"user", Value()}})}, 3));
  valid.push_back(encode_ack(encoding, 2, {Value(Value::Map{{"count", Value(1)}})}));
  valid.push_back(encode_ack(encoding, 1, {Value(Value::Array{Value("a"), Value()})}));
  valid.push_back(encode_event(encoding, "permission",
                               {Value(Value::Map{{"subject", Value("s")}, {"type", Value("pub")}})},
                               std::nullopt));
  int survived = 0;
  for (int round = 0; round < 3000; ++round) {
    if (!server.open) {
      server.run_until(*server.client.deadline());
      server.connect();
      server.info();
    }
    for (WireMessage message : valid[random.below(static_cast<std::uint32_t>(valid.size()))]) {
      for (std::uint32_t changes = random.below(4); changes > 0; --changes) {
        if (message.payload.empty()) break;
        const auto at = random.below(static_cast<std::uint32_t>(message.payload.size()));
        message.payload[at] = static_cast<std::uint8_t>(random.below(256));
      }
      if (random.below(20) == 0) message.payload.resize(random.below(40));
      if (random.below(40) == 0) message.binary = !message.binary;
      server.client.on_transport_message(server.now, message.binary, message.payload);
      server.drain();
      if (!server.open) break;
    }
    if (server.open) ++survived;
    server.take_events();
    server.take_effects<effects::MessageArrived>();
  }
  CHECK(survived > 100);
  CHECK(survived < 3000);
}
