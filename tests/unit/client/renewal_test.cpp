// An identity that expires is renewed in time, on the connection that is there.
#include "unit/client/scripted_server.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

ClientOptions renewing() {
  ClientOptions options;
  options.renew_auth = true;
  return options;
}

Value token(const char* text) { return Value(Value::Map{{"token", Value(text)}}); }

// Signs in as a user whose identity lasts `expires_ms`.
void sign_in_for(ScriptedServer& server, std::int64_t expires_ms) {
  server.connect();
  server.emit("info",
              Value(Value::Map{{"max_payload", Value(8'000'000)},
                               {"user", Value(Value::Map{{"account_id", Value("a")}})},
                               {"expires", Value(expires_ms)}}),
              99);
  server.answer_added(server.take_event("subscribe"));
}

Value renewed(std::int64_t expires_ms) {
  return Value(Value::Map{{"user", Value(Value::Map{{"account_id", Value("a")}})},
                          {"expires", Value(expires_ms)}});
}

bool asked(ScriptedServer& server) { return !server.take_effects<effects::AuthNeeded>().empty(); }

// The events but for the statistics that go out all the time.
std::vector<ScriptedServer::Event> take_auth(ScriptedServer& server) {
  std::vector<ScriptedServer::Event> result;
  for (auto& event : server.take_events()) {
    if (event.name == "auth") result.push_back(std::move(event));
  }
  return result;
}

// As a server does it, so that the connection lives.
void live(ScriptedServer& server, TimeMs end) {
  while (server.now < end) {
    server.run_until(std::min(end, server.now + 20'000));
    server.send(encode_engine_ping());
  }
}

}  // namespace

TEST_CASE("after three quarters of its time an identity is renewed, again and again") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding, renewing());
  server.client.connect(server.now);
  sign_in_for(server, 100'000);
  for (int round = 0; round < 3; ++round) {
    const TimeMs start = server.now;
    live(server, start + 74'999);
    CHECK_FALSE(asked(server));
    live(server, start + 85'001);
    CHECK(asked(server));
    CHECK(take_auth(server).empty());
    server.client.renew_auth(server.now, token("fresh"));
    const auto events = take_auth(server);
    REQUIRE(events.size() == 1);
    CHECK(events[0].arguments.size() == 1);
    CHECK(events[0].first() == token("fresh"));
    server.answer(events[0], renewed(100'000));
  }
  // The next connect uses it too.
  server.cut();
  CHECK(server.client.deadline().has_value());
  server.wait(1000);
  server.connect();
  CHECK(*server.connect_data() == token("fresh"));
}

TEST_CASE("clients do not renew at the same moment") {
  std::vector<TimeMs> moments;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    ClientOptions options = renewing();
    Client client(options, Random(seed));
    client.connect(0);
    client.on_transport_open(0);
    const auto feed = [&](const WireMessages& messages) {
      for (const WireMessage& each : messages) {
        client.on_transport_message(0, each.binary, each.payload);
      }
    };
    feed({encode_engine_open("e", 1'000'000, 1'000'000, 8'000'000)});
    feed(encode_connect(PacketEncoding::msgpack, Value(Value::Map{{"sid", Value("s")}})));
    feed(encode_event(PacketEncoding::msgpack, "info",
                      {Value(Value::Map{{"expires", Value(1'000'000)}})}, 1));
    ClientEffect effect;
    TimeMs now = 0;
    bool needed = false;
    while (!needed) {
      while (client.next(effect)) needed |= std::holds_alternative<effects::AuthNeeded>(effect);
      if (needed) break;
      now = *client.deadline();
      client.on_time(now);
    }
    CHECK(now >= 750'000);
    CHECK(now <= 850'000);
    moments.push_back(now);
  }
  std::sort(moments.begin(), moments.end());
  CHECK(std::unique(moments.begin(), moments.end()) - moments.begin() > 45);
}

TEST_CASE("a renewal that fails is tried again, ever later") {
  ScriptedServer server(PacketEncoding::msgpack, renewing());
  server.client.connect(server.now);
  sign_in_for(server, 1'000'000);
  live(server, server.now + 850'001);
  REQUIRE(asked(server));
  SECTION("because the shell has no token") { server.client.renewal_failed(server.now); }
  SECTION("because the server refuses it") {
    server.client.renew_auth(server.now, token("stale"));
    const auto events = take_auth(server);
    REQUIRE(events.size() == 1);
    server.answer_error(events[0], "Error: no such token", Value(403));
  }
  live(server, server.now + 1500);
  CHECK(asked(server));
  server.client.renewal_failed(server.now);
  live(server, server.now + 999);
  CHECK_FALSE(asked(server));
  live(server, server.now + 2001);
  CHECK(asked(server));
  CHECK(server.client.signed_in());
}

TEST_CASE("an unanswered renewal is tried again") {
  ScriptedServer server(PacketEncoding::msgpack, renewing());
  server.client.connect(server.now);
  sign_in_for(server, 100'000);
  live(server, server.now + 85'001);
  REQUIRE(asked(server));
  server.client.renew_auth(server.now, token("a"));
  live(server, server.now + limits::client_renewal_answer_timeout_ms - 1);
  CHECK_FALSE(asked(server));
  live(server, server.now + 1);
  CHECK(asked(server));
}

TEST_CASE("renewal belongs to its connection") {
  ScriptedServer server(PacketEncoding::msgpack, renewing());
  server.client.connect(server.now);
  sign_in_for(server, 10'000);
  server.wait(8501);
  REQUIRE(asked(server));
  server.cut();
  // The shell's answer comes late: it is for the next connect.
  server.client.renew_auth(server.now, token("late"));
  server.client.renewal_failed(server.now);
  CHECK(take_auth(server).empty());
  server.wait(1000);
  server.connect();
  CHECK(*server.connect_data() == token("late"));
  server.info();
  server.answer_added(server.take_event("subscribe"));
  server.wait(20'000);
  CHECK_FALSE(asked(server));  // this server says nothing about an end
}

TEST_CASE("who cannot make fresh authentication data is not asked for any") {
  ScriptedServer server(PacketEncoding::msgpack);
  server.client.connect(server.now);
  sign_in_for(server, 1000);
  server.wait(20'000);
  CHECK_FALSE(asked(server));
}
