#include <catch2/catch.hpp>

#include "conat/wire/packet.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;

namespace {

constexpr PacketEncoding kText = PacketEncoding::text;
constexpr PacketEncoding kMsgpack = PacketEncoding::msgpack;

}  // namespace

TEST_CASE("packets look as recorded", "[write]") {
  CHECK(shown(encode_engine_open("E6Py0IH_a6GWzzLQAAAA", 25000, 20000, 8000000)) ==
        Shown{R"(0{"sid":"E6Py0IH_a6GWzzLQAAAA","upgrades":[],"pingInterval":25000,)"
              R"("pingTimeout":20000,"maxPayload":8000000})"});
  CHECK(shown(encode_engine_ping()) == Shown{"2"});
  CHECK(shown(encode_engine_pong()) == Shown{"3"});
  CHECK(shown(encode_connect(kText, Value())) == Shown{"40"});
  CHECK(shown(encode_connect(kText, Value::Map{{"sid", "DlCoSbFzNYrEOPnIAAAB"}})) ==
        Shown{R"(40{"sid":"DlCoSbFzNYrEOPnIAAAB"})"});
  CHECK(shown(encode_connect_error(kText, "Invalid namespace", "/admin")) ==
        Shown{R"(44/admin,{"message":"Invalid namespace"})"});
  CHECK(shown(encode_connect_error(kText, "no", "/")) == Shown{R"(44{"message":"no"})"});
  CHECK(shown(encode_disconnect(kText)) == Shown{"41"});
  CHECK(shown(encode_event(
            kText, "info",
            {Value::Map{
                {"max_payload", 8000000}, {"id", "0"}, {"user", Value::Map{{"hub_id", "hub"}}}}},
            0)) ==
        Shown{R"(420["info",{"max_payload":8000000,"id":"0","user":{"hub_id":"hub"}}])"});
  CHECK(shown(encode_event(kText, "subscriptions", {Value()}, 1)) ==
        Shown{R"(421["subscriptions",null])"});
  CHECK(shown(encode_event(kText, "stats", {}, std::nullopt)) == Shown{R"(42["stats"])"});
  CHECK(shown(encode_ack(kText, 0, {})) == Shown{"430[]"});
  CHECK(shown(encode_ack(kText, 0, {Value::Map{{"status", "added"}}})) ==
        Shown{R"(430[{"status":"added"}])"});
  CHECK(shown(encode_ack(kText, 8, {Value::Map{{"error", "Error: invalid subject"}}})) ==
        Shown{R"(438[{"error":"Error: invalid subject"}])"});
}

TEST_CASE("MessagePack packets look as socket.io-msgpack-parser's", "[write]") {
  CHECK(shown(encode_connect(kMsgpack, Value())) == Shown{"b:82a47479706500a36e7370a12f"});
  CHECK(shown(encode_connect(kMsgpack, Value::Map{{"sid", "x"}})) ==
        Shown{"b:83a47479706500a46461746181a3736964a178a36e7370a12f"});
  CHECK(shown(encode_connect_error(kMsgpack, "no", "/x")) ==
        Shown{"b:83a47479706504a46461746181a76d657373616765a26e6fa36e7370a22f78"});
  CHECK(shown(encode_disconnect(kMsgpack)) == Shown{"b:82a47479706501a36e7370a12f"});
  CHECK(shown(encode_event(kMsgpack, "e", {1, Bytes{2}}, 3)) ==
        Shown{"b:84a47479706502a46461746193a16501c40102a36e7370a12fa2696403"});
  CHECK(shown(encode_ack(kMsgpack, 7, {true})) ==
        Shown{"b:84a47479706503a46461746191c3a36e7370a12fa2696407"});
}

TEST_CASE("acknowledgements of a count are framed", "[write]") {
  CHECK(shown(unframe(frame_count_ack(kText, 2, 0))) == Shown{R"(432[{"count":0}])"});
  CHECK(shown(unframe(frame_count_ack(kText, 9007199254740991, 18446744073709551615u))) ==
        Shown{R"(439007199254740991[{"count":18446744073709551615}])"});
  CHECK(shown(unframe(frame_count_ack(kMsgpack, 300, 2))) ==
        Shown{"b:84a47479706503a46461746191"
              "81a5636f756e7402a36e7370a12fa26964cd012c"});
  for (const PacketEncoding encoding : {kText, kMsgpack}) {
    const OnePacket ack(encoding, unframe(frame_count_ack(encoding, 1, 3)));
    CHECK(ack.view().ack_id == 1u);
    CHECK(*decode_arguments(ack.view()) == Value::Array{Value::Map{{"count", 3}}});
  }
}

TEST_CASE("binary values become attachments in text", "[write]") {
  CHECK(shown(encode_event(kText, "e", {Bytes{1}, Value::Map{{"b", Bytes{2, 3}}}}, 4)) ==
        Shown{R"(452-4["e",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}])",
              "b:01", "b:0203"});
  CHECK(shown(encode_ack(kText, 4, {Bytes{1}})) ==
        Shown{R"(461-4[{"_placeholder":true,"num":0}])", "b:01"});
  // What only looks like a placeholder stays as it is where it does no harm.
  const Value fake = Value::Map{{"_placeholder", true}, {"num", 0}};
  CHECK(shown(encode_event(kText, "e", {fake}, std::nullopt)) ==
        Shown{R"(42["e",{"_placeholder":true,"num":0}])"});
  CHECK(shown(encode_event(kText, "e", {fake, Bytes{1}}, std::nullopt)) ==
        Shown{R"(451-["e",{"num":0},{"_placeholder":true,"num":0}])", "b:01"});
}

TEST_CASE("a publish looks as recorded", "[write]") {
  const Bytes raw = unhex("a26869");
  const Bytes headers = encode_msgpack(
      Value::Map{{"foo", "bar"}, {"n", 1}, {"o", Value::Map{{"x", Value::Array{1}}}}});
  PublishChunk chunk{"p.x", "NXSQY0XZfh", 0, true, PayloadEncoding::msgpack, raw, headers};
  CHECK(shown(encode_publish(kText, chunk, 4)) ==
        Shown{R"(451-4["publish",["p.x","NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},)"
              R"({"foo":"bar","n":1,"o":{"x":[1]}}]])",
              "b:a26869"});
  chunk.headers = {};
  chunk.sequence = 2;
  chunk.done = false;
  chunk.payload_encoding = PayloadEncoding::json;
  CHECK(shown(encode_publish(kText, chunk, std::nullopt)) ==
        Shown{R"(451-["publish",["p.x","NXSQY0XZfh",2,0,1,{"_placeholder":true,"num":0}]])",
              "b:a26869"});
}

TEST_CASE("headers of a publish may hold binary", "[write]") {
  const Bytes raw = {1};
  const Bytes headers = encode_msgpack(
      Value::Map{{"b", Bytes{2}}, {"fake", Value::Map{{"_placeholder", true}, {"num", 7}}}});
  const PublishChunk chunk{"s", "id", 0, true, PayloadEncoding::msgpack, raw, headers};
  CHECK(shown(encode_publish(kText, chunk, std::nullopt)) ==
        Shown{R"(452-["publish",["s","id",0,1,0,{"_placeholder":true,"num":0},)"
              R"({"b":{"_placeholder":true,"num":1},"fake":{"num":7}}]])",
              "b:01", "b:02"});
  // More of them than a packet may have arrive in the form that JSON has for bytes.
  Value::Array many(limits::max_attachments, Bytes{3});
  const Bytes too_many = encode_msgpack(Value::Map{{"m", many}});
  const PublishChunk full{"s", "id", 0, true, PayloadEncoding::msgpack, raw, too_many};
  const WireMessages messages = encode_publish(kText, full, std::nullopt);
  CHECK(messages.size() == 2);
  CHECK(as_text(messages[0].payload).find(R"({"m":[{"type":"Buffer","data":[3]},)") !=
        std::string_view::npos);
}
