#include "conat/session/client_session.hpp"

#include <catch2/catch.hpp>

#include "conat/base/limits.hpp"
#include "conat/wire/codec.hpp"

using namespace conat;
using Step = ClientSession::Step;

namespace {

WireMessage text(std::string_view payload) { return {false, to_bytes(payload)}; }

Step read(ClientSession& session, TimeMs now, const WireMessage& message, WireMessages& out) {
  return session.read(now, message.binary, message.payload, out);
}

// Up to CONNECT accepted; returns what the client sent.
WireMessages open_session(ClientSession& session, PacketEncoding encoding) {
  WireMessages out;
  CHECK(read(session, 0, encode_engine_open("e", 25'000, 20'000, 8'000'000), out) == Step::none);
  const WireMessages accepted =
      encode_connect(encoding, Value(Value::Map{{"sid", Value("the-sid")}}));
  CHECK(read(session, 10, accepted.at(0), out) == Step::connected);
  return out;
}

}  // namespace

TEST_CASE("CONNECT follows the opening in the chosen encoding, with the auth object") {
  const Value auth(Value::Map{{"token", Value("secret")}});
  SECTION("text") {
    ClientSession session(0, PacketEncoding::text, auth);
    const WireMessages out = open_session(session, PacketEncoding::text);
    REQUIRE(out.size() == 1);
    CHECK(to_string(out[0].payload) == "40{\"token\":\"secret\"}");
    CHECK_FALSE(out[0].binary);
  }
  SECTION("msgpack") {
    ClientSession session(0, PacketEncoding::msgpack, auth);
    const WireMessages out = open_session(session, PacketEncoding::msgpack);
    REQUIRE(out.size() == 1);
    CHECK(out[0].binary);
    const auto packet = decode_msgpack(out[0].payload);
    REQUIRE(packet.ok());
    CHECK(packet->find("type")->integer_or(-1) == 0);
    CHECK(*packet->find("data") == auth);
  }
  SECTION("text, without auth") {
    ClientSession session(0, PacketEncoding::text, Value());
    CHECK(to_string(open_session(session, PacketEncoding::text).at(0).payload) == "40");
    CHECK(session.sid() == "the-sid");
    CHECK(session.connected());
  }
}

TEST_CASE("pings are answered and keep the connection alive, silence ends it") {
  ClientSession session(0, PacketEncoding::text, Value());
  open_session(session, PacketEncoding::text);
  CHECK(session.deadline() == 45'000);
  WireMessages out;
  CHECK(read(session, 25'000, text("2"), out) == Step::none);
  REQUIRE(out.size() == 1);
  CHECK(to_string(out[0].payload) == "3");
  CHECK(session.deadline() == 70'000);
  CHECK_FALSE(session.expired(69'999));
  CHECK(session.expired(70'000));
}

TEST_CASE("an opening that takes too long expires") {
  ClientSession session(100, PacketEncoding::text, Value());
  CHECK(session.deadline() == 100 + limits::client_connect_timeout_ms);
  WireMessages out;
  read(session, 200, encode_engine_open("e", 25'000, 20'000, 8'000'000), out);
  CHECK(session.expired(100 + limits::client_connect_timeout_ms));
}

TEST_CASE("intervals that a server makes up cannot overflow") {
  for (const char* open : {R"(0{"sid":"a","pingInterval":1e300,"pingTimeout":9223372036854775807})",
                           R"(0{"sid":"a","pingInterval":-5,"pingTimeout":null})"}) {
    ClientSession session(0, PacketEncoding::text, Value());
    WireMessages out;
    CHECK(read(session, 0, text(open), out) == Step::none);
    CHECK(read(session, 0, text("40{\"sid\":\"x\"}"), out) == Step::connected);
    CHECK(session.deadline() > 0);
  }
}

TEST_CASE("what comes out of turn breaks the connection") {
  const std::vector<std::string> before_open = {
      "40{\"sid\":\"x\"}", "42[\"a\",1]", "2", "41", "430[]", "44{\"message\":\"x\"}"};
  for (const std::string& message : before_open) {
    ClientSession session(0, PacketEncoding::text, Value());
    WireMessages out;
    INFO(message);
    CHECK(read(session, 0, text(message), out) == Step::broken);
  }
  for (const char* message :
       {"0{\"sid\":\"again\"}", "40{\"sid\":\"again\"}", "1", "9", "42[", "4"}) {
    ClientSession session(0, PacketEncoding::text, Value());
    open_session(session, PacketEncoding::text);
    WireMessages out;
    INFO(message);
    CHECK(read(session, 0, text(message), out) == Step::broken);
  }
}

TEST_CASE("refusal and disconnect by the server are told apart") {
  WireMessages out;
  ClientSession refused(0, PacketEncoding::text, Value());
  read(refused, 0, encode_engine_open("e", 25'000, 20'000, 8'000'000), out);
  CHECK(read(refused, 0, text("44{\"message\":\"no way\"}"), out) == Step::refused);
  CHECK(refused.error_text() == "no way");
  ClientSession disconnected(0, PacketEncoding::text, Value());
  open_session(disconnected, PacketEncoding::text);
  CHECK(read(disconnected, 0, text("41"), out) == Step::disconnected);
}
