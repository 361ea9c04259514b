#include "conat/session/server_session.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace conat;

namespace {

// A session with the bytes of a client; what it sends is shown as text.
struct Bench {
  struct Asks {};
  explicit Bench(Asks) : session(options, nullptr, false) { session.open(now, random, output); }
  explicit Bench(Value of_user = Value(), ServerSessionOptions with = {})
      : user(std::move(of_user)), options(std::move(with)), session(options, &user, false) {
    session.open(now, random, output);
  }

  std::vector<ServerSession::Step> feed(WebSocketOpcode opcode, ByteView payload) {
    Bytes raw;
    append_masked_frame(raw, opcode, payload, 0x12345678);
    return feed_bytes(std::move(raw));
  }
  std::vector<ServerSession::Step> text(std::string_view payload) {
    return feed(WebSocketOpcode::text, as_bytes(payload));
  }
  std::vector<ServerSession::Step> feed_bytes(Bytes raw) {
    session.feed(raw);
    std::vector<ServerSession::Step> steps;
    while (true) {
      const ServerSession::Step step = session.next(now, random, output);
      if (step == ServerSession::Step::need_more) return steps;
      steps.push_back(step);
      if (step == ServerSession::Step::closed) return steps;
    }
  }
  std::vector<std::string> sent() {
    WebSocketReader reader(WebSocketRole::client, 1 << 20);
    std::vector<std::string> shown;
    for (const SharedBytes& bytes : output) {
      Bytes copy = to_bytes(bytes.view());
      reader.feed(copy);
      for (auto step = reader.next(); step != WebSocketReader::Step::need_more;
           step = reader.next()) {
        if (step == WebSocketReader::Step::close) {
          shown.push_back("close " + std::to_string(static_cast<int>(reader.close_code())));
        } else if (step == WebSocketReader::Step::pong) {
          shown.push_back("pong " + to_string(reader.payload()));
        } else {
          REQUIRE(step == WebSocketReader::Step::message);
          shown.push_back(to_string(reader.payload()));
        }
      }
    }
    output.clear();
    return shown;
  }
  bool advance_to(TimeMs time) {
    now = time;
    return session.on_time(now, output);
  }

  TimeMs now = 0;
  Random random{7};
  const Value user;
  const ServerSessionOptions options{};
  ServerSession session;
  ServerSession::Output output;
};

using Step = ServerSession::Step;
using Steps = std::vector<Step>;
using Texts = std::vector<std::string>;

const char* const kInfo0 = "420[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":null}]";

Value user_of(const char* key, const char* id) { return Value(Value::Map{{key, Value(id)}}); }

}  // namespace

TEST_CASE("the opening, CONNECT and info", "[server_session]") {
  Bench bench(user_of("hub_id", "hub"));
  Texts sent = bench.sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].substr(0, 8) == "0{\"sid\":");
  CHECK(sent[0].substr(8, 1) == "\"");
  CHECK(sent[0].substr(29) ==
        "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":8000000}");
  CHECK(bench.session.sid().empty());

  CHECK(bench.text("40{\"token\":\"x\"}") == Steps{Step::connected});
  sent = bench.sent();
  REQUIRE(sent.size() == 2);
  REQUIRE(bench.session.sid().size() == 20);
  CHECK(sent[0] == "40{\"sid\":\"" + std::string(bench.session.sid()) + "\"}");
  CHECK(sent[1] ==
        "420[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":{\"hub_id\":\"hub\"}}]");
  CHECK(bench.session.encoding() == PacketEncoding::text);
  CHECK_FALSE(bench.session.info_acknowledged());
  CHECK(bench.text("430[]").empty());
  CHECK(bench.session.info_acknowledged());
  CHECK(bench.session.deadline() == 25'000);
}

TEST_CASE("info names the cluster and the configured payload", "[server_session]") {
  ServerSessionOptions options;
  options.broker_id = "node-0";
  options.cluster_name = "default";
  options.max_payload_bytes = 1'000'000;
  Bench bench(Value(), options);
  bench.text("40");
  CHECK(bench.sent().back() ==
        "420[\"info\",{\"max_payload\":1000000,\"id\":\"node-0\",\"clusterName\":\"default\","
        "\"user\":null}]");
}

TEST_CASE("the MessagePack encoding is told by CONNECT", "[server_session]") {
  Bench bench;
  const WireMessages connect = encode_connect(PacketEncoding::msgpack, Value());
  CHECK(bench.feed(WebSocketOpcode::binary, connect[0].payload) == Steps{Step::connected});
  CHECK(bench.session.encoding() == PacketEncoding::msgpack);
  REQUIRE(bench.output.size() == 3);
  Bytes info = to_bytes(bench.output[2].view());
  WebSocketReader reader(WebSocketRole::client, 1 << 20);
  reader.feed(info);
  REQUIRE(reader.next() == WebSocketReader::Step::message);
  REQUIRE(reader.binary());
  const Result<Value> packet = decode_msgpack(reader.payload());
  REQUIRE(packet.ok());
  CHECK(packet->find("type")->integer_or(-1) == 2);
  CHECK(packet->find("id")->integer_or(-1) == 0);
  CHECK((*packet->find("data")->if_array())[0].text_or("") == "info");
  // Text packets are no longer understood.
  CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::closed});
}

TEST_CASE("pings, and the end without a pong", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.text("430[]");
  bench.sent();
  CHECK(bench.advance_to(24'999));
  CHECK(bench.sent().empty());
  CHECK(bench.advance_to(25'000));
  CHECK(bench.sent() == Texts{"2"});
  bench.now = 25'100;
  bench.text("3");
  CHECK(bench.session.deadline() == 50'100);
  bench.text("3");  // unasked: nothing happens
  CHECK(bench.session.deadline() == 50'100);
  CHECK(bench.advance_to(50'100));
  CHECK(bench.sent() == Texts{"2"});
  CHECK(bench.advance_to(70'099));
  CHECK_FALSE(bench.advance_to(70'100));
  CHECK(bench.sent() == Texts{"close 1005"});
  CHECK(bench.session.end() == SessionEnd::keep_alive);
}

TEST_CASE("a pong gets its time anew when nobody was reading", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.text("430[]");
  bench.advance_to(25'000);
  bench.now = 44'000;
  bench.session.reading_resumed(bench.now);
  CHECK(bench.advance_to(45'000));
  CHECK(bench.session.deadline() == 64'000);
  CHECK_FALSE(bench.advance_to(64'000));
}

TEST_CASE("a client that is not read from gets its pings all the same", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.text("430[]");
  bench.sent();
  bench.session.reading_paused();
  TimeMs last_ping = 0;
  for (int i = 0; i < 10; ++i) {
    CHECK(bench.advance_to(bench.session.deadline()));
    CHECK(bench.sent() == Texts{"2"});
    // The client leaves after both times together.
    CHECK(bench.now - last_ping < 45'000);
    last_ping = bench.now;
  }
  bench.session.reading_resumed(bench.now);
  SECTION("and lives when its pongs are read") {
    bench.text("3");
    bench.text("3");
    CHECK(bench.session.deadline() == bench.now + 25'000);
  }
  SECTION("and ends when there are none") { CHECK_FALSE(bench.advance_to(bench.now + 20'000)); }
}

TEST_CASE("no CONNECT in time", "[server_session]") {
  Bench bench;
  bench.sent();
  bench.advance_to(25'000);
  bench.text("3");
  CHECK(bench.sent() == Texts{"2"});
  CHECK(bench.advance_to(44'999));
  CHECK_FALSE(bench.advance_to(45'000));
  CHECK(bench.sent() == Texts{"close 1005"});
  CHECK(bench.session.end() == SessionEnd::no_connect);
}

TEST_CASE("info is sent again until it is acknowledged", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.sent();
  const auto run_to = [&](TimeMs time) {
    Texts infos;
    while (bench.session.deadline() <= time) {
      REQUIRE(bench.advance_to(bench.session.deadline()));
      for (const std::string& text : bench.sent()) {
        if (text == "2") {
          bench.text("3");
        } else {
          infos.push_back(std::to_string(bench.now) + " " + text);
        }
      }
    }
    bench.now = time;
    return infos;
  };
  const auto info = [](const char* time, int ack_id) {
    return std::string(time) + " 42" + std::to_string(ack_id) + std::string(kInfo0).substr(3);
  };
  SECTION("never") {
    CHECK(run_to(400'000) == Texts{info("7500", 1), info("22500", 2), info("52500", 3),
                                   info("82500", 4), info("112500", 5)});
    CHECK_FALSE(bench.session.info_acknowledged());
  }
  SECTION("by any of them") {
    CHECK(run_to(30'000) == Texts{info("7500", 1), info("22500", 2)});
    bench.text("433[]");  // was never asked for
    CHECK_FALSE(bench.session.info_acknowledged());
    bench.text("430[]");
    CHECK(bench.session.info_acknowledged());
    CHECK(run_to(400'000).empty());
  }
}

TEST_CASE("a user with an error is told, then disconnected", "[server_session]") {
  Bench bench(Value(Value::Map{{"error", Value("Error: bad password")}}));
  bench.sent();
  CHECK(bench.text("40") == Steps{Step::connected});
  const Texts sent = bench.sent();
  REQUIRE(sent.size() == 2);
  CHECK(sent[1] ==
        "42[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":{\"error\":\"Error: bad "
        "password\"}}]");
  CHECK(bench.text("42[\"stats\",{\"recv0\":{}}]") == Steps{Step::event});
  CHECK(bench.session.deadline() == 25);
  CHECK_FALSE(bench.advance_to(25));
  CHECK(bench.sent() == Texts{"41", "close 1005"});
  CHECK(bench.session.end() == SessionEnd::refused);
}

TEST_CASE("a user that has to be asked for", "[server_session]") {
  Bench bench(Bench::Asks{});
  bench.sent();
  CHECK(bench.text("40{\"token\":\"x\"}") == Steps{Step::authenticate});
  CHECK(bench.session.packet().argument_count == 1);
  CHECK(bench.sent().empty());
  CHECK(bench.session.sid().empty());
  CHECK(bench.session.encoding() == PacketEncoding::text);
  const Value user = user_of("account_id", "a");
  const auto answer = [&](const Value& with) {
    return bench.session.on_authenticated(bench.now, bench.random, with, bench.output);
  };
  SECTION("is greeted when it is known") {
    bench.now = 20'000;
    CHECK(answer(user));
    const Texts sent = bench.sent();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0] == "40{\"sid\":\"" + std::string(bench.session.sid()) + "\"}");
    CHECK(sent[1] ==
          "420[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":{\"account_id\":\"a\"}}]");
    CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::event});
    CHECK_FALSE(answer(user));  // was not asked
    CHECK(bench.sent().empty());
  }
  SECTION("is asked for again at the next CONNECT") {
    CHECK(answer(user));
    bench.session.set_expiry(1'000'000);
    CHECK(bench.text("41") == Steps{Step::disconnected});
    CHECK_FALSE(answer(user));
    bench.sent();
    CHECK(bench.text("40") == Steps{Step::authenticate});
    CHECK(bench.session.packet().argument_count == 0);
    CHECK(answer(Value()));
    CHECK(bench.sent().back() == kInfo0);  // the former expiry is gone
  }
  SECTION("is refused") {
    CHECK(answer(Value(Value::Map{{"error", Value("Error: no")}, {"code", Value(401)}})));
    CHECK(bench.sent().back() ==
          "42[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":{\"error\":\"Error: no\","
          "\"code\":401}}]");
    CHECK_FALSE(bench.advance_to(25));
    CHECK(bench.sent() == Texts{"41", "close 1005"});
    CHECK(bench.session.end() == SessionEnd::refused);
  }
  SECTION("has the time of a CONNECT, no more") {
    bench.advance_to(25'000);
    bench.text("3");
    CHECK(bench.advance_to(44'999));
    CHECK_FALSE(bench.advance_to(45'000));
    CHECK(bench.session.end() == SessionEnd::no_connect);
    bench.sent();
    CHECK_FALSE(answer(user));
    CHECK(bench.sent().empty());
  }
  SECTION("must not send events meanwhile") {
    CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::closed});
    CHECK(bench.session.end() == SessionEnd::malformed_packet);
    CHECK_FALSE(answer(user));
  }
  SECTION("nor CONNECT again, nor acknowledge what was not sent") {
    CHECK(bench.text(GENERATE("40", "430[]")) == Steps{Step::closed});
    CHECK(bench.session.end() == SessionEnd::malformed_packet);
  }
  SECTION("may think better of it") {
    CHECK(bench.text("41") == Steps{Step::closed});
    CHECK(bench.session.end() == SessionEnd::peer_closed);
  }
  SECTION("may answer pings meanwhile, and try other namespaces") {
    CHECK(bench.advance_to(25'000));
    CHECK(bench.sent() == Texts{"2"});
    CHECK(bench.text("3").empty());
    CHECK(bench.text("40/other,").empty());
    CHECK(bench.sent() == Texts{"44/other,{\"message\":\"Invalid namespace\"}"});
    CHECK(answer(user));
  }
}

TEST_CASE("an expiry is announced and kept", "[server_session]") {
  Bench bench(user_of("account_id", "a"));
  bench.session.set_expiry(12'000);
  bench.now = 2000;
  bench.text("40");
  CHECK(bench.sent().back() ==
        "420[\"info\",{\"max_payload\":8000000,\"id\":\"0\",\"user\":{\"account_id\":\"a\"},"
        "\"expires\":10000}]");
  bench.text("430[]");
  CHECK(bench.session.deadline() == 12'000);
  CHECK(bench.advance_to(11'999));
  SECTION("to the millisecond, without DISCONNECT") {
    CHECK_FALSE(bench.advance_to(12'000));
    CHECK(bench.sent() == Texts{"close 1008"});
    CHECK(bench.session.end() == SessionEnd::expired);
    CHECK(std::string(session_end_text(bench.session.end())) == "expired");
  }
  SECTION("unless it is put off") {
    bench.session.set_expiry(20'000);
    CHECK(bench.advance_to(19'999));
    CHECK(bench.sent().empty());
    CHECK_FALSE(bench.advance_to(20'000));
    CHECK(bench.sent() == Texts{"close 1008"});
  }
  SECTION("or taken away") {
    bench.session.set_expiry(std::nullopt);
    CHECK(bench.session.deadline() == 25'000);
    CHECK(bench.advance_to(25'000));
  }
}

TEST_CASE("other namespaces are refused, the connection stays", "[server_session]") {
  Bench bench;
  bench.sent();
  CHECK(bench.text("40/admin,").empty());
  CHECK(bench.sent() == Texts{"44/admin,{\"message\":\"Invalid namespace\"}"});
  CHECK(bench.text("40") == Steps{Step::connected});
}

TEST_CASE("DISCONNECT leaves the transport for another CONNECT", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.text("430[]");
  bench.now = 5000;
  bench.sent();
  const std::string sid(bench.session.sid());
  CHECK(bench.text("41") == Steps{Step::disconnected});
  CHECK(bench.sent().empty());
  CHECK(bench.session.sid().empty());
  SECTION("which comes") {
    CHECK(bench.text("40") == Steps{Step::connected});
    CHECK(bench.session.sid() != sid);
    CHECK_FALSE(bench.session.info_acknowledged());
    CHECK(bench.sent().back() == kInfo0);
  }
  SECTION("which does not come") {
    bench.advance_to(25'000);
    bench.text("3");
    CHECK_FALSE(bench.advance_to(50'000));
    CHECK(bench.session.end() == SessionEnd::no_connect);
  }
  SECTION("and events before it close it") {
    CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::closed});
  }
}

TEST_CASE("malformed and misplaced packets close the connection", "[server_session]") {
  for (const char* packet : {"40", "2probe", "2", "9", "4x", "42[\"a\",", "42[\"connect\",1]",
                             "42[\"disconnect\"]", "42", "42{}", "42[1]", "44{}", "0{}", "",
                             "451-[\"publish\",[\"x\",{\"_placeholder\":true,\"num\":0}]]+",
                             "42/other,[\"a\"]", "51-", "47[\"a\"]"}) {
    CAPTURE(packet);
    Bench bench;
    bench.text("40");
    bench.sent();
    CHECK(bench.text(packet) == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1005"});
    CHECK(bench.session.end() == SessionEnd::malformed_packet);
    // What comes afterwards is ignored.
    CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::closed});
    CHECK(bench.sent().empty());
    CHECK_FALSE(bench.advance_to(1'000'000));
    CHECK(bench.sent().empty());
  }
}

TEST_CASE("an event before CONNECT closes the connection", "[server_session]") {
  Bench bench;
  bench.sent();
  CHECK(bench.text("42[\"stats\",{}]") == Steps{Step::closed});
  CHECK(bench.sent() == Texts{"close 1005"});
}

TEST_CASE("attachments that are missing, too many or of a wrong number", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.sent();
  const char* const publish =
      "451-[\"publish\",[\"x\",\"id\",0,1,0,{\"_placeholder\":true,\"num\":0}]]";
  SECTION("missing") {
    CHECK(bench.text(publish).empty());
    CHECK(bench.text("42[\"stats\",{\"recv0\":{}}]") == Steps{Step::closed});
  }
  SECTION("too many") {
    CHECK(bench.text(publish).empty());
    CHECK(bench.feed(WebSocketOpcode::binary, as_bytes("1")) == Steps{Step::event});
    CHECK(bench.feed(WebSocketOpcode::binary, as_bytes("2")) == Steps{Step::closed});
  }
  SECTION("of a wrong number") {
    bench.text("451-[\"publish\",[\"x\",\"id\",0,1,0,{\"_placeholder\":true,\"num\":5}]]");
    CHECK(bench.feed(WebSocketOpcode::binary, as_bytes("1")) == Steps{Step::closed});
  }
  SECTION("unannounced") {
    CHECK(bench.feed(WebSocketOpcode::binary, as_bytes("\1\2\3")) == Steps{Step::closed});
  }
}

TEST_CASE("harmless packets are taken", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.sent();
  for (const char* packet : {"3", "6", "4399[]", "430[1,2]"}) {
    CAPTURE(packet);
    CHECK(bench.text(packet).empty());
    CHECK(bench.sent().empty());
  }
}

TEST_CASE("the peer's close is answered", "[server_session]") {
  Bench bench;
  bench.text("40");
  bench.sent();
  SECTION("a close frame without a code") {
    CHECK(bench.feed(WebSocketOpcode::close, {}) == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1005"});
  }
  SECTION("a close frame with a code") {
    const Bytes code = {0x03, 0xe8};
    CHECK(bench.feed(WebSocketOpcode::close, code) == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1000"});
  }
  SECTION("Engine.IO's close") {
    CHECK(bench.text("1") == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1005"});
  }
  CHECK(bench.session.end() == SessionEnd::peer_closed);
}

TEST_CASE("WebSocket errors close with their code", "[server_session]") {
  ServerSessionOptions options;
  options.max_payload_bytes = 1000;
  Bench bench(Value(), options);
  bench.text("40");
  bench.sent();
  SECTION("too big") {
    CHECK(bench.feed(WebSocketOpcode::binary, Bytes(1001)) == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1009"});
    CHECK(bench.session.end() == SessionEnd::too_big);
  }
  SECTION("unmasked") {
    CHECK(
        bench.feed_bytes(to_bytes(websocket_frame(WebSocketOpcode::text, as_bytes("3")).view())) ==
        Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1002"});
    CHECK(bench.session.end() == SessionEnd::web_socket_error);
  }
  SECTION("text that is no UTF-8") {
    CHECK(bench.text("42[\"\xff\"]") == Steps{Step::closed});
    CHECK(bench.sent() == Texts{"close 1007"});
  }
}

TEST_CASE("WebSocket pings are answered", "[server_session]") {
  Bench bench;
  bench.sent();
  CHECK(bench.feed(WebSocketOpcode::ping, as_bytes("hello")).empty());
  CHECK(bench.sent() == Texts{"pong hello"});
  CHECK(bench.feed(WebSocketOpcode::pong, as_bytes("hello")).empty());
  CHECK(bench.sent().empty());
}

TEST_CASE("the owner closes with a code, once", "[server_session]") {
  Bench bench;
  bench.sent();
  bench.session.close(WebSocketCloseCode::going_away, bench.output);
  bench.session.close(WebSocketCloseCode::going_away, bench.output);
  CHECK(bench.sent() == Texts{"close 1001"});
  CHECK(bench.session.end() == SessionEnd::by_owner);
}

TEST_CASE("bytes may come in any pieces", "[server_session]") {
  Bench bench;
  Bytes raw;
  append_masked_frame(raw, WebSocketOpcode::text, as_bytes("40"), 0xdeadbeef);
  append_masked_frame(raw, WebSocketOpcode::text, as_bytes("430[]"), 0xcafebabe);
  append_masked_frame(raw, WebSocketOpcode::text, as_bytes("42[\"stats\",{\"recv0\":{}}]"), 1);
  Steps steps;
  for (const std::uint8_t byte : raw) {
    for (const Step step : bench.feed_bytes({byte})) steps.push_back(step);
  }
  CHECK(steps == Steps{Step::connected, Step::event});
  CHECK(bench.session.info_acknowledged());
}
