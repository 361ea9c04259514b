#include <catch2/catch.hpp>

#include "conat/wire/packet.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;
using Step = PacketReader::Step;

namespace {

constexpr PacketEncoding kText = PacketEncoding::text;
constexpr PacketEncoding kMsgpack = PacketEncoding::msgpack;

Step read_text(std::string_view message) { return OnePacket(kText, {text(message)}).step(); }

Step read_msgpack(const Value& packet) {
  return OnePacket(kMsgpack, {{true, encode_msgpack(packet)}}).step();
}

std::string arguments(const PacketView& packet) {
  const auto values = decode_arguments(packet);
  REQUIRE(values.ok());
  return encode_json(*values);
}

}  // namespace

TEST_CASE("Engine.IO's own packets are read", "[packet]") {
  const auto kind = [](std::string_view message) {
    return OnePacket(kText, {text(message)}).view().kind;
  };
  CHECK(kind("1") == PacketKind::engine_close);
  CHECK(kind("2") == PacketKind::engine_ping);
  CHECK(kind("3") == PacketKind::engine_pong);
  CHECK(kind("6") == PacketKind::engine_noop);
  const OnePacket open(kMsgpack,
                       {text(R"(0{"sid":"E6Py0IH_a6GWzzLQAAAA","upgrades":[],)"
                             R"("pingInterval":25000,"pingTimeout":20000,"maxPayload":8000000})")});
  CHECK(open.view().kind == PacketKind::engine_open);
  const auto data = decode_arguments(open.view());
  REQUIRE(data.ok());
  CHECK((*data)[0].find("maxPayload")->integer_or(0) == 8'000'000);
  for (const char* bad : {"", "2probe", "3probe", "5", "7", "9", "a", "0", "0[]", "0{", "0null",
                          "1x", "6 ", "0{}x"}) {
    INFO(bad);
    CHECK(read_text(bad) == Step::error);
  }
}

TEST_CASE("recorded packets are read", "[packet]") {
  const OnePacket connect(kText, {text("40")});
  CHECK(connect.view().kind == PacketKind::connect);
  CHECK(connect.view().argument_count == 0);
  const OnePacket connected(kText, {text(R"(40{"sid":"DlCoSbFzNYrEOPnIAAAB"})")});
  CHECK(connected.view().kind == PacketKind::connect);
  CHECK(arguments(connected.view()) == R"([{"sid":"DlCoSbFzNYrEOPnIAAAB"}])");
  const OnePacket info(
      kText, {text(R"(420["info",{"max_payload":8000000,"id":"0","user":{"hub_id":"hub"}}])")});
  CHECK(info.view().kind == PacketKind::event);
  CHECK(info.view().ack_id == 0u);
  CHECK(info.view().name == "info");
  CHECK(info.view().argument_count == 1);
  CHECK(as_text(info.view().arguments) ==
        R"({"max_payload":8000000,"id":"0","user":{"hub_id":"hub"}})");
  const OnePacket empty_ack(kText, {text("430[]")});
  CHECK(empty_ack.view().kind == PacketKind::ack);
  CHECK(empty_ack.view().argument_count == 0);
  const OnePacket ack(kText, {text(R"(4310[{"count":2}])")});
  CHECK(ack.view().ack_id == 10u);
  CHECK(arguments(ack.view()) == R"([{"count":2}])");
  const OnePacket disconnect(kText, {text("41")});
  CHECK(disconnect.view().kind == PacketKind::disconnect);
  const OnePacket no_arguments(kText, {text(R"(420["cluster"])")});
  CHECK(no_arguments.view().name == "cluster");
  CHECK(no_arguments.view().argument_count == 0);
  CHECK(no_arguments.view().arguments.empty());
}

TEST_CASE("other namespaces are read where they may stand", "[packet]") {
  const OnePacket connect(kText, {text("40/admin,")});
  CHECK(connect.view().kind == PacketKind::connect);
  CHECK(connect.view().nsp == "/admin");
  CHECK(connect.view().argument_count == 0);
  const OnePacket data(kText, {text(R"(40/admin,{"a":1})")});
  CHECK(data.view().nsp == "/admin");
  CHECK(arguments(data.view()) == R"([{"a":1}])");
  const OnePacket bare(kText, {text("40/admin")});
  CHECK(bare.view().nsp == "/admin");
  const OnePacket refused(kText, {text(R"(44/admin,{"message":"Invalid namespace"})")});
  CHECK(refused.view().kind == PacketKind::connect_error);
  CHECK(refused.view().nsp == "/admin");
  CHECK(OnePacket(kText, {text(R"(44"no")")}).view().kind == PacketKind::connect_error);
  CHECK(OnePacket(kText, {text(R"(42/,["x"])")}).view().nsp == "/");
  CHECK(read_text(R"(42/admin,["x"])") == Step::error);
  CHECK(read_text("41/admin,") == Step::error);
  CHECK(read_text("43/admin,1[]") == Step::error);
}

TEST_CASE("text may have spaces and escapes", "[packet]") {
  const OnePacket spaced(kText, {text("42 [ \"a\" , 1 , [2 , 3] ] ")});
  CHECK(spaced.view().name == "a");
  CHECK(spaced.view().argument_count == 2);
  CHECK(as_text(spaced.view().arguments) == "1 , [2 , 3]");
  CHECK(arguments(spaced.view()) == "[1,[2,3]]");
  const OnePacket escaped(kText, {text(R"(42["p\u002e\"x\ud83d\ude00",1])")});
  CHECK(escaped.view().name == "p.\"x\xf0\x9f\x98\x80");
}

TEST_CASE("malformed Socket.IO text is an error", "[packet]") {
  for (const char* bad : {"4",
                          "47",
                          "49",
                          "4x",
                          "42",
                          "42{}",
                          "42[",
                          R"(42["a",)",
                          R"(42["a"]])",
                          R"(42["a"]x)",
                          R"(42["a" 1])",
                          R"(42["a",])",
                          "42[]",
                          "42[1]",
                          "42[null]",
                          R"(42[["a"]])",
                          R"(42["a)",
                          R"(42-["a"])",
                          R"(421-["a"])",
                          R"(429007199254740992["a"])",
                          R"(4299999999999999999999999["a"])",
                          "43[]",
                          "43",
                          "431",
                          "431{}",
                          "431[",
                          "40[]",
                          "40null",
                          R"(40"x")",
                          "401",
                          "401{}",
                          "40{",
                          "40{}x",
                          "41x",
                          "410",
                          "44",
                          "44[]",
                          "44null",
                          "441{}",
                          R"(45["a"])",
                          R"(45-["a"])",
                          R"(45x-["a"])",
                          R"(4511-["a"])",
                          R"(45-1-["a"])",
                          R"(451["a"])",
                          "451-",
                          "45999999999999-",
                          "46[]",
                          "461-[]"}) {
    INFO(bad);
    CHECK(read_text(bad) == Step::error);
  }
}

TEST_CASE("names that Socket.IO keeps for itself are errors", "[packet]") {
  for (const std::string name : {"connect", "connect_error", "disconnect", "disconnecting",
                                 "newListener", "removeListener"}) {
    CHECK(is_reserved_event(name));
    CHECK(read_text("42[\"" + name + "\",1]") == Step::error);
    CHECK(read_msgpack(Value::Map{{"type", 2}, {"nsp", "/"}, {"data", Value::Array{name, 1}}}) ==
          Step::error);
  }
  CHECK(read_text(R"(42["c\u006fnnect",1])") == Step::error);
  CHECK(read_text(R"(42["connected",1])") == Step::packet);
  CHECK(read_text(R"(42["__proto__",1])") == Step::packet);
}

TEST_CASE("attachments are collected", "[packet]") {
  PacketReader reader;
  reader.set_encoding(kText);
  const WireMessages messages = {
      text(R"(452-7["e",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]])"),
      binary("0102"), text("3"), binary("03")};
  CHECK(reader.read(false, messages[0].payload) == Step::need_attachments);
  CHECK(reader.read(true, messages[1].payload) == Step::need_attachments);
  // Engine.IO's packets may come in between.
  CHECK(reader.read(false, messages[2].payload) == Step::packet);
  CHECK(reader.packet().kind == PacketKind::engine_pong);
  REQUIRE(reader.read(true, messages[3].payload) == Step::packet);
  const PacketView& packet = reader.packet();
  CHECK(packet.kind == PacketKind::event);
  CHECK(packet.ack_id == 7u);
  CHECK(packet.name == "e");
  REQUIRE(packet.attachments.size() == 2);
  CHECK(hex(packet.attachments[0]) == "0102");
  CHECK(hex(packet.attachments[1]) == "03");
  CHECK(*decode_arguments(packet) == Value::Array{Bytes{1, 2}, Value::Array{Bytes{3}}});
}

TEST_CASE("the views of a binary packet outlive its first message", "[packet]") {
  PacketReader reader;
  reader.set_encoding(kText);
  {
    const Bytes first =
        to_bytes(R"(452-["name",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])");
    reader.read(false, first);
    const Bytes second = {1, 2, 3};
    reader.read(true, second);
  }
  const Bytes third = {4};
  REQUIRE(reader.read(true, third) == Step::packet);
  CHECK(reader.packet().name == "name");
  CHECK(*decode_arguments(reader.packet()) == Value::Array{Bytes{1, 2, 3}, Bytes{4}});
  CHECK(reader.packet().attachments[1].data() == third.data());
  reader.release_buffers();
}

TEST_CASE("binary acknowledgements are read", "[packet]") {
  const OnePacket ack(kText, {text(R"(461-12[{"_placeholder":true,"num":0}])"), binary("ff")});
  CHECK(ack.view().kind == PacketKind::ack);
  CHECK(ack.view().ack_id == 12u);
  CHECK(*decode_arguments(ack.view()) == Value::Array{Bytes{255}});
}

TEST_CASE("placeholders are put in order", "[packet]") {
  const auto read = [](std::string_view head, std::size_t attachments) {
    WireMessages messages = {text(head)};
    for (std::size_t i = 0; i < attachments; ++i) {
      messages.push_back({true, {static_cast<std::uint8_t>(i)}});
    }
    return OnePacket(kText, std::move(messages));
  };
  const auto swapped =
      read(R"(452-["e",{"_placeholder":true,"num":1},{"num":0,"_placeholder":true}])", 2);
  CHECK(as_text(swapped.view().arguments) ==
        R"({"_placeholder":true,"num":0},{"_placeholder":true,"num":1})");
  CHECK(*decode_arguments(swapped.view()) == Value::Array{Bytes{1}, Bytes{0}});
  const auto twice =
      read(R"(451-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0,"x":1}])", 1);
  CHECK(twice.view().argument_count == 2);
  REQUIRE(twice.view().attachments.size() == 2);
  CHECK(*decode_arguments(twice.view()) == Value::Array{Bytes{0}, Bytes{0}});
  const auto escaped = read(R"(451-["e",{"\u005fplaceholder":true,"num":0,"a":1},{"b\n":1}])", 1);
  CHECK(*decode_arguments(escaped.view()) == Value::Array{Bytes{0}, Value::Map{{"b\n", 1}}});
  // Not true is not a placeholder.
  const auto data =
      read(R"(451-["e",{"_placeholder":false,"num":9},{"_placeholder":true,"num":0}])", 1);
  CHECK(*decode_arguments(data.view()) ==
        Value::Array{Value::Map{{"_placeholder", false}, {"num", 9}}, Bytes{0}});
}

TEST_CASE("without attachments nothing is a placeholder", "[packet]") {
  const OnePacket plain(kText, {text(R"(42["e",{"_placeholder":true,"num":5}])")});
  CHECK(arguments(plain.view()) == R"([{"_placeholder":true,"num":5}])");
  CHECK(OnePacket(kText, {text(R"(450-["e",1])")}).view().argument_count == 1);
}

TEST_CASE("placeholders and attachments must match", "[packet]") {
  const auto read = [](std::string_view head) {
    return OnePacket(kText, {text(head), binary("01")}).step();
  };
  CHECK(read(R"(451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":0}]])") == Step::packet);
  for (const char* bad :
       {R"(451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":5}]])",
        R"(451-["e",{"_placeholder":true,"num":-1}])", R"(451-["e",{"_placeholder":true}])",
        R"(451-["e",{"_placeholder":true,"num":"0"}])",
        R"(451-["e",{"_placeholder":true,"num":0.5}])", R"(451-["e",1])",
        R"(451-["e",{"_placeholder":false,"num":0}])",
        R"(451-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])"}) {
    INFO(bad);
    CHECK(read(bad) == Step::error);
  }
  CHECK(read_text(R"(450-["e",{"_placeholder":true,"num":0}])") == Step::packet);
  // One attachment must not become a thousand.
  std::string many = R"(451-["e")";
  for (int i = 0; i < 1000; ++i) many += R"(,{"num":0,"_placeholder":true})";
  CHECK(read(many + "]") == Step::error);
}

TEST_CASE("what comes in place of attachments, or without a head, is an error", "[packet]") {
  CHECK(OnePacket(kText, {text(R"(451-["e",{"_placeholder":true,"num":0}])"),
                          text(R"(42["stats",{"recv0":{}}])")})
            .step() == Step::error);
  CHECK(OnePacket(kText, {binary("010203")}).step() == Step::error);
  CHECK(OnePacket(kText, {text("42[\"a\"]"), binary("01")}).step() == Step::error);
}

TEST_CASE("the bytes of attachments are bounded together", "[packet]") {
  PacketReader reader;
  reader.set_encoding(kText);
  reader.set_max_attachment_bytes(10);
  const Bytes head =
      to_bytes(R"(452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])");
  const Bytes six(6), four(4);
  CHECK(reader.read(false, head) == Step::need_attachments);
  CHECK(reader.read(true, six) == Step::need_attachments);
  CHECK(reader.read(true, four) == Step::packet);
  CHECK(reader.read(false, head) == Step::need_attachments);
  CHECK(reader.read(true, six) == Step::need_attachments);
  CHECK(reader.read(true, six) == Step::error);
  CHECK_FALSE(reader.error_text().empty());
}

TEST_CASE("the CONNECT packet tells the encoding", "[packet]") {
  const Bytes text_connect = to_bytes("40");
  const Bytes msgpack_connect =
      encode_msgpack(Value::Map{{"type", 0}, {"nsp", "/"}, {"data", Value::Map{{"token", "t"}}}});
  const Bytes text_event = to_bytes(R"(42["stats",{}])");
  const Bytes msgpack_event =
      encode_msgpack(Value::Map{{"type", 2}, {"data", Value::Array{"a"}}, {"nsp", "/"}});
  const Bytes ping = to_bytes("2");
  PacketReader a;
  CHECK_FALSE(a.encoding().has_value());
  CHECK(a.read(false, ping) == Step::packet);
  CHECK_FALSE(a.encoding().has_value());
  CHECK(a.read(false, text_connect) == Step::packet);
  CHECK(a.encoding() == kText);
  CHECK(a.read(false, text_event) == Step::packet);
  CHECK(a.read(true, msgpack_event) == Step::error);
  PacketReader b;
  CHECK(b.read(true, msgpack_connect) == Step::packet);
  CHECK(b.encoding() == kMsgpack);
  CHECK(b.packet().encoding == kMsgpack);
  CHECK(*decode_arguments(b.packet()) == Value::Array{Value::Map{{"token", "t"}}});
  CHECK(b.read(true, msgpack_event) == Step::packet);
  CHECK(b.read(false, ping) == Step::packet);
  CHECK(b.read(false, text_event) == Step::error);
  PacketReader c;
  CHECK(c.read(false, text_event) == Step::error);
  PacketReader d;
  CHECK(d.read(true, msgpack_event) == Step::error);
}

TEST_CASE("what socket.io-msgpack-parser writes is read", "[packet]") {
  // Encoded by socket.io-msgpack-parser 3.0.2 from npm, with keys in the order in which
  // socket.io-client and socket.io put them.
  const OnePacket event(
      kMsgpack, {binary("85a47479706502a46461746192a77075626c69736896a3702e78aa3031323334353637"
                        "3839000100c4020102a76f7074696f6e7381a8636f6d7072657373c3a2696405a36e7370"
                        "a12f")});
  CHECK(event.view().kind == PacketKind::event);
  CHECK(event.view().name == "publish");
  CHECK(event.view().ack_id == 5u);
  CHECK(event.view().nsp == "/");
  CHECK(event.view().argument_count == 1);
  const Value fields(Value::Array{"p.x", "0123456789", 0, 1, 0, Bytes{1, 2}});
  CHECK(*decode_arguments(event.view()) == Value::Array(1, fields));
  // `data: undefined`, as socket.io-client has it without an auth object.
  const OnePacket connect(kMsgpack, {binary("83a47479706500a464617461d40000a36e7370a12f")});
  CHECK(connect.view().kind == PacketKind::connect);
  CHECK(connect.view().argument_count == 0);
  const OnePacket disconnect(kMsgpack, {binary("82a47479706501a36e7370a12f")});
  CHECK(disconnect.view().kind == PacketKind::disconnect);
  const OnePacket ack(kMsgpack, {binary("84a47479706503a2696407a46461746191c3a36e7370a12f")});
  CHECK(ack.view().kind == PacketKind::ack);
  CHECK(ack.view().ack_id == 7u);
  CHECK(arguments(ack.view()) == "[true]");
}

TEST_CASE("malformed MessagePack packets are errors", "[packet]") {
  const Value::Array data = {"a", 1};
  CHECK(read_msgpack(Value::Map{{"type", 2}, {"nsp", "/"}, {"data", data}}) == Step::packet);
  CHECK(read_msgpack(Value::Map{{"data", data}, {"id", nullptr}, {"nsp", "/"}, {"type", 2}}) ==
        Step::packet);
  const Value::Map bad[] = {
      {},
      {{"nsp", "/"}, {"data", data}},
      {{"type", 2}, {"data", data}},
      {{"type", 5}, {"nsp", "/"}, {"data", data}},
      {{"type", -1}, {"nsp", "/"}, {"data", data}},
      {{"type", 2.0}, {"nsp", "/"}, {"data", data}},
      {{"type", "2"}, {"nsp", "/"}, {"data", data}},
      {{"type", 2}, {"nsp", 1}, {"data", data}},
      {{"type", 2}, {"nsp", "/x"}, {"data", data}},
      {{"type", 2}, {"nsp", "/"}},
      {{"type", 2}, {"nsp", "/"}, {"data", nullptr}},
      {{"type", 2}, {"nsp", "/"}, {"data", "a"}},
      {{"type", 2}, {"nsp", "/"}, {"data", Value::Array{}}},
      {{"type", 2}, {"nsp", "/"}, {"data", Value::Array{1}}},
      {{"type", 2}, {"nsp", "/"}, {"data", data}, {"id", "x"}},
      {{"type", 2}, {"nsp", "/"}, {"data", data}, {"id", -1}},
      {{"type", 2}, {"nsp", "/"}, {"data", data}, {"id", std::int64_t{1} << 53}},
      {{"type", 3}, {"nsp", "/"}, {"data", data}},
      {{"type", 3}, {"nsp", "/"}, {"id", 1}},
      {{"type", 0}, {"nsp", "/"}, {"data", data}},
      {{"type", 0}, {"nsp", "/"}, {"id", 1}},
      {{"type", 1}, {"nsp", "/"}, {"data", data}},
      {{"type", 1}, {"nsp", "/x"}},
      {{"type", 4}, {"nsp", "/"}},
  };
  for (const Value::Map& packet : bad) {
    INFO(encode_json(packet));
    CHECK(read_msgpack(packet) == Step::error);
  }
  for (const char* bytes : {"", "c1", "00", "80", "90", "82a474797065", "82a47479706502a36e7370"}) {
    CHECK(OnePacket(kMsgpack, {binary(bytes)}).step() == Step::error);
  }
  Bytes trailing = encode_msgpack(Value::Map{{"type", 2}, {"nsp", "/"}, {"data", data}});
  trailing.push_back(0);
  CHECK(OnePacket(kMsgpack, {{true, trailing}}).step() == Step::error);
}

TEST_CASE("packets nest as deep as a delivery of the deepest message needs", "[packet]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  // Event array and message array are two levels of the four.
  const std::size_t deepest = limits::max_value_depth;
  CHECK(read_text("42[\"e\"," + nested(deepest + 4) + "]") == Step::packet);
  CHECK(read_text("42[\"e\"," + nested(deepest + 5) + "]") == Step::error);
  CHECK(read_text("42[\"e\"," + std::string(1'000'000, '[')) == Step::error);
  const auto wrapped = [&](std::size_t depth) {
    Bytes out = unhex("83a47479706502a36e7370a12fa46461746192a165");
    out.insert(out.end(), depth, 0x91);
    out.push_back(0xc0);
    return OnePacket(kMsgpack, {{true, out}}).step();
  };
  CHECK(wrapped(deepest + 3) == Step::packet);
  CHECK(wrapped(deepest + 4) == Step::error);
}
