// Publishing: acknowledgements, chunks, order, interest.
#include <deque>

#include "unit/client/scripted_server.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

MessageData raw_of(std::size_t size) {
  MessageData message;
  message.raw.resize(size);
  for (std::size_t i = 0; i < size; ++i)
    message.raw[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return message;
}

// A server whose chunks are 10,000 bytes.
constexpr int kMaxPayload = 110'000;
constexpr std::size_t kChunk = 10'000;

void sign_in(ScriptedServer& server, int max_payload = kMaxPayload) {
  server.client.connect(server.now);
  server.sign_in(max_payload);
  server.take_events();
}

}  // namespace

TEST_CASE("a publish carries subject, id, payload and headers, and reports the count") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  const Headers headers(Value(Value::Map{{"foo", Value("bar")}}));
  const CallId call =
      *server.client.publish(server.now, kUser, "p.x", MessageData::of(Value("hi"), headers));
  const auto event = server.take_event("publish");
  CHECK(event.field(0) == Value("p.x"));
  CHECK(event.field(1).text_or("").size() == 10);
  CHECK(event.field(2).integer_or(-1) == 0);
  CHECK(event.field(3).integer_or(-1) == 1);
  CHECK(event.field(4).integer_or(-1) == 0);
  CHECK(*event.field(5).if_binary() == Bytes{0xa2, 'h', 'i'});
  CHECK(event.field(6) == headers.value());
  server.answer_count(event, 3);
  const auto done = server.take_effect<effects::PublishDone>();
  CHECK(done.call == call);
  CHECK(done.owner == kUser);
  CHECK(done.result->bytes == 3);
  CHECK(done.result->count == 3);
  CHECK(server.client.statistics().sent.messages == 1);
  CHECK(server.client.statistics().sent.bytes == 3);
}

TEST_CASE("without headers and with JSON") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  REQUIRE(server.client
              .publish_now(
                  server.now, "p.x",
                  MessageData::of(Value(Value::Map{{"a", Value(1)}}), {}, PayloadEncoding::json))
              .ok());
  const auto event = server.take_event("publish");
  CHECK_FALSE(event.ack_id.has_value());
  CHECK(event.first().if_array()->size() == 6);
  CHECK(event.field(4).integer_or(-1) == 1);
  CHECK(to_string(*event.field(5).if_binary()) == "{\"a\":1}");
}

TEST_CASE("invalid subjects and times are refused at once") {
  ScriptedServer server(PacketEncoding::text);
  for (const char* subject : {"", "a..b", "a.*", "a.>", "a b"}) {
    const auto result =
        server.client.publish(server.now, kUser, subject, MessageData::of(Value(1)));
    REQUIRE_FALSE(result.ok());
    const std::string expected = "invalid publish subject -- subject " + std::string(subject) +
                                 " must be a valid subject without wildcards";
    CHECK(result.error().text == expected);
    CHECK_FALSE(server.client.publish_now(server.now, subject, MessageData::of(Value(1))).ok());
    CHECK_FALSE(server.client.request(server.now, kUser, subject, MessageData::of(Value(1))).ok());
    CHECK(server.client.wait_for_interest(server.now, kUser, subject, 0).error().text ==
          expected.substr(27));
  }
  PublishOptions options;
  options.timeout_ms = -1;
  CHECK(server.client.publish(server.now, kUser, "a", MessageData::of(Value(1)), options)
            .error()
            .text == "timeout must be positive");
}

TEST_CASE("publish waits for sign-in, publish_now is dropped until then") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  REQUIRE(server.client.publish(server.now, kUser, "a", MessageData::of(Value(1))).ok());
  const auto dropped = server.client.publish_now(server.now, "b", MessageData::of(Value("four")));
  REQUIRE(dropped.ok());
  CHECK(*dropped == 5);
  server.wait(120'000);  // the time-out starts after sign-in
  server.client.connect(server.now);
  server.connect();
  REQUIRE(server.client.publish_now(server.now, "c", MessageData::of(Value(3))).ok());
  server.info();
  std::vector<std::string> sent;
  for (const auto& event : server.take_events()) {
    if (event.name == "publish") sent.push_back(std::string(event.field(0).text_or("")));
  }
  CHECK(sent == std::vector<std::string>{"a", "c"});
  server.wait(29'999);
  CHECK(server.take_effects<effects::PublishDone>().empty());
  server.wait(1);
  const auto done = server.take_effect<effects::PublishDone>();
  CHECK(done.result.error().code.number == 408);
  CHECK(done.result.error().text == "timeout - Error: operation has timed out");
}

TEST_CASE("errors of an acknowledgement keep their text and code") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  REQUIRE(server.client.publish(server.now, kUser, "a", MessageData::of(Value(1))).ok());
  server.answer_error(server.take_event("publish"), "Error: permission denied", Value(403));
  auto done = server.take_effect<effects::PublishDone>();
  CHECK(done.result.error().code.number == 403);
  CHECK(done.result.error().text == "Error: permission denied");
  REQUIRE(server.client.publish(server.now, kUser, "a", MessageData::of(Value(1))).ok());
  server.answer_error(server.take_event("publish"), "no", Value("reject"));
  done = server.take_effect<effects::PublishDone>();
  CHECK(done.result.error().code.word == "reject");
}

TEST_CASE("a refusal to publish is remembered, until the next sign-in at most") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  server.emit("permission", Value(Value::Map{{"message", Value("permission denied publishing")},
                                             {"subject", Value("secret")},
                                             {"type", Value("pub")}}));
  const MessageData message = MessageData::of(Value(1));
  CHECK(server.client.publish(server.now, kUser, "secret", message).error().code.number == 403);
  CHECK(server.client.publish_now(server.now, "secret", message).error().text ==
        "permission denied publishing");
  CHECK(server.client.request(server.now, kUser, "secret", message).error().code.number == 403);
  CHECK(server.client.subscribe(server.now, kUser, "secret").ok());
  server.take_events();
  server.cut();
  server.wait(750);
  server.connect();
  server.info();
  CHECK(server.client.publish(server.now, kUser, "secret", message).ok());
}

TEST_CASE("a big payload leaves in chunks, a window of them at a time") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  MessageData message = raw_of(95'000);
  message.headers = Headers(Value(Value::Map{{"h", Value(1)}}));
  const Bytes whole = message.raw;
  const CallId call = *server.client.publish(server.now, kUser, "big", std::move(message));
  REQUIRE(server.client.publish(server.now, kUser, "after", MessageData::of(Value(1))).ok());
  REQUIRE(server.client.publish_now(server.now, "last", MessageData::of(Value(2))).ok());

  std::deque<ScriptedServer::Event> unanswered;
  std::vector<ScriptedServer::Event> sent;
  const auto take = [&] {
    for (auto& event : server.take_events()) {
      if (event.ack_id) unanswered.push_back(event);
      sent.push_back(std::move(event));
    }
    CHECK(unanswered.size() <= limits::client_window_chunks + 1);
  };
  take();
  CHECK(sent.size() == limits::client_window_chunks);
  int count = 0;
  while (!unanswered.empty()) {
    const auto event = unanswered.front();
    unanswered.pop_front();
    server.answer_count(event, count == 3 ? 2 : 1);
    ++count;
    take();
  }
  REQUIRE(sent.size() == 12);
  Bytes joined;
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(sent[i].field(0) == Value("big"));
    CHECK(sent[i].field(1) == sent[0].field(1));
    CHECK(sent[i].field(2).integer_or(-1) == static_cast<int>(i));
    CHECK(sent[i].field(3).integer_or(-1) == (i == 9 ? 1 : 0));
    CHECK(sent[i].first().if_array()->size() == (i == 9 ? 7 : 6));
    append(joined, *sent[i].field(5).if_binary());
  }
  CHECK(joined == whole);
  CHECK(sent[10].field(0) == Value("after"));
  CHECK(sent[11].field(0) == Value("last"));
  const auto done = server.take_effects<effects::PublishDone>();
  REQUIRE(done.size() == 2);
  CHECK(done[0].call == call);
  CHECK(done[0].result->bytes == 95'000);
  CHECK(done[0].result->count == 2);
}

TEST_CASE("fire and forget is cut into chunks as well") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  REQUIRE(server.client.publish_now(server.now, "big", raw_of(3 * kChunk)).ok());
  const auto events = server.take_events();
  REQUIRE(events.size() == 3);
  CHECK(events[2].field(3).integer_or(-1) == 1);
}

TEST_CASE("headers that fit behind no chunk travel in one of their own, or are refused") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  MessageData message = raw_of(kChunk);
  message.headers = Headers(Value(Value::Map{{"h", Value(std::string(53'000, 'x'))}}));
  REQUIRE(server.client.publish(server.now, kUser, "a", message).ok());
  const auto events = server.take_events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].first().if_array()->size() == 6);
  CHECK(events[1].field(5).if_binary()->empty());
  CHECK(events[1].first().if_array()->size() == 7);
  message.headers = Headers(Value(Value::Map{{"h", Value(std::string(200'000, 'x'))}}));
  CHECK(server.client.publish(server.now, kUser, "a", message).error().code.number == 413);
}

TEST_CASE("what waits is bounded") {
  ScriptedServer server(PacketEncoding::msgpack);
  MessageData message;
  message.raw.resize(100u << 20);
  REQUIRE(server.client.publish(server.now, kUser, "a", message).ok());
  REQUIRE(server.client.publish(server.now, kUser, "a", message).ok());
  const auto refused = server.client.publish(server.now, kUser, "a", message);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.number == 429);
}

TEST_CASE("cancelled calls are not sent, and their number leaves no trace") {
  ScriptedServer server(PacketEncoding::msgpack);
  for (int i = 0; i < 10'000; ++i) {
    const auto call = server.client.publish(server.now, kUser, "a", MessageData::of(Value(i)));
    REQUIRE(call.ok());
    server.client.cancel(*call);
    server.client.cancel(*call);
  }
  REQUIRE(server.client.publish(server.now, kUser, "kept", MessageData::of(Value(1))).ok());
  server.client.connect(server.now);
  server.connect();
  server.info();
  CHECK(server.take_event("publish").field(0) == Value("kept"));
}

TEST_CASE("cancelling in mid-transfer lets the next one go") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  const CallId big = *server.client.publish(server.now, kUser, "big", raw_of(20 * kChunk));
  REQUIRE(server.client.publish(server.now, kUser, "next", MessageData::of(Value(1))).ok());
  const auto sent = server.take_events();
  CHECK(sent.size() == limits::client_window_chunks);
  server.client.cancel(big);
  for (const auto& event : sent) server.answer_count(event, 1);  // late answers for nobody
  server.wait(0);
  server.answer_count(server.take_event("publish"), 1);
  CHECK(server.take_effect<effects::PublishDone>().result->count == 1);
}

TEST_CASE("a lost connection fails what was on its way and keeps what was not") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  const CallId sent = *server.client.publish(server.now, kUser, "sent", raw_of(10 * kChunk));
  const CallId waiting = *server.client.publish(server.now, kUser, "waiting", raw_of(10));
  REQUIRE(server.client.publish_now(server.now, "forgotten", raw_of(10)).ok());
  server.wait(20'000);
  server.take_events();
  server.cut();
  auto done = server.take_effect<effects::PublishDone>();
  CHECK(done.call == sent);
  CHECK(done.result.error().code.number == 503);
  CHECK(done.result.error().text == "connection lost");
  server.wait(60'000);
  server.connect();
  server.info(kMaxPayload);
  server.wait(20'000);  // its time starts again
  std::vector<ScriptedServer::Event> published;
  for (auto& event : server.take_events()) {
    if (event.name == "publish") published.push_back(std::move(event));
  }
  REQUIRE(published.size() == 1);
  CHECK(published[0].field(0) == Value("waiting"));
  server.answer_count(published[0], 1);
  done = server.take_effect<effects::PublishDone>();
  CHECK(done.call == waiting);
  CHECK(done.result.ok());
}

TEST_CASE("each chunk's acknowledgement gives a big transfer more time") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  PublishOptions options;
  options.timeout_ms = 1000;
  REQUIRE(server.client.publish(server.now, kUser, "big", raw_of(10 * kChunk), options).ok());
  std::deque<ScriptedServer::Event> unanswered;
  for (int i = 0; i < 10; ++i) {
    for (auto& event : server.take_events()) {
      if (event.name == "publish") unanswered.push_back(std::move(event));
    }
    server.wait(900);
    REQUIRE(server.take_effects<effects::PublishDone>().empty());
    REQUIRE_FALSE(unanswered.empty());
    server.answer_count(unanswered.front(), 1);
    unanswered.pop_front();
  }
  CHECK(server.take_effect<effects::PublishDone>().result->count == 1);
}

TEST_CASE("waiting for interest: asked, then published again within the time") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  PublishOptions options;
  options.wait_for_interest = true;
  const TimeMs start = server.now;
  REQUIRE(
      server.client.publish(server.now, kUser, "later", MessageData::of(Value(1)), options).ok());
  const auto first = server.take_event("publish");
  server.wait(2);
  server.answer_count(first, 0);
  auto question = server.take_event("wait-for-interest");
  CHECK(question.first().find("subject")->text_or("") == "later");
  CHECK(question.first().find("timeout")->integer_or(0) == 29'998);
  SECTION("somebody comes") {
    server.wait(200);
    server.answer(question, Value(true));
    const auto second = server.take_event("publish");
    CHECK(second.field(1) != first.field(1));
    CHECK(second.field(5) == first.field(5));
    server.answer_count(second, 1);
    CHECK(server.take_effect<effects::PublishDone>().result->count == 1);
  }
  SECTION("nobody comes: the client's own timer decides") {
    server.run_until(start + 30'000);
    const auto done = server.take_effect<effects::PublishDone>();
    CHECK(done.result.error().code.number == 408);
    CHECK(done.result.error().text == "timeout - Error: operation has timed out");
    server.answer_error(question, "Error: timeout");
    CHECK(server.take_effects<effects::PublishDone>().empty());
  }
  SECTION("a server that calls a tap an interest is not asked in a tight loop") {
    int publishes = 1;
    for (int turn = 0; turn < 1000; ++turn) {
      for (const auto& event : server.take_events()) {
        if (event.name == "wait-for-interest") server.answer(event, Value(true));
        if (event.name == "publish") {
          ++publishes;
          server.answer_count(event, 0);
        }
      }
      if (turn == 0) server.answer(question, Value(true));
      server.wait(20);
    }
    CHECK(publishes > 5);
    CHECK(publishes < 60);
  }
  SECTION("the connection is lost: asked again on the next one") {
    server.cut();
    CHECK(server.take_effects<effects::PublishDone>().empty());
    server.wait(750);
    server.connect();
    server.info();
    question = server.take_event("wait-for-interest");
    server.answer(question, Value(true));
    server.answer_count(server.take_event("publish"), 2);
    CHECK(server.take_effect<effects::PublishDone>().result->count == 2);
  }
}

TEST_CASE("interest now and later") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  REQUIRE(server.client.wait_for_interest(server.now, kUser, "a", 0).ok());
  auto question = server.take_event("wait-for-interest");
  CHECK(question.first().find("timeout")->integer_or(-1) == 0);
  server.answer(question, Value(false));
  CHECK_FALSE(*server.take_effect<effects::InterestDone>().interest);

  REQUIRE(server.client.wait_for_interest(server.now, kUser, "a", 5000).ok());
  question = server.take_event("wait-for-interest");
  server.wait(100);
  server.answer(question, Value(true));
  CHECK(*server.take_effect<effects::InterestDone>().interest);

  REQUIRE(server.client.wait_for_interest(server.now, kUser, "a", 300).ok());
  server.take_events();
  server.wait(299);
  CHECK(server.take_effects<effects::InterestDone>().empty());
  server.wait(1);
  const auto expired = server.take_effect<effects::InterestDone>();
  CHECK(expired.interest.error().code.number == 408);
  CHECK(expired.interest.error().text == "timeout - Error: operation has timed out");

  REQUIRE(server.client.wait_for_interest(server.now, kUser, "secret", 100).ok());
  server.answer_error(server.take_event("wait-for-interest"), "permission denied waiting",
                      Value(403));
  CHECK(server.take_effect<effects::InterestDone>().interest.error().code.number == 403);
}

TEST_CASE("interest awaited for longer than the server's maximum is asked for again") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  REQUIRE(server.client.wait_for_interest(server.now, kUser, "a", 200'000).ok());
  std::vector<std::int64_t> asked;
  const TimeMs start = server.now;
  while (server.now < start + 200'000) {
    server.wait(20'000);
    server.send(encode_engine_ping());
    for (const auto& event : server.take_events()) {
      if (event.name != "wait-for-interest") continue;
      asked.push_back(event.first().find("timeout")->integer_or(0));
    }
  }
  CHECK(asked == std::vector<std::int64_t>{90'000, 90'000, 20'000});
  CHECK(server.take_effect<effects::InterestDone>().interest.error().code.number == 408);
}

TEST_CASE("close answers every call") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  REQUIRE(server.client.publish(server.now, kUser, "a", raw_of(10)).ok());
  REQUIRE(server.client.request(server.now, kUser, "a", raw_of(10)).ok());
  REQUIRE(server.client.wait_for_interest(server.now, kUser, "a", 100).ok());
  REQUIRE(server.client.ask_server(server.now, kUser, ServerQuestion::cluster).ok());
  server.client.close(server.now);
  CHECK(server.take_effect<effects::PublishDone>().result.error().text == "closed");
  CHECK(server.take_effect<effects::ReplyArrived>().reply.error().text == "closed");
  CHECK(server.take_effect<effects::InterestDone>().interest.error().text == "closed");
  CHECK(server.take_effect<effects::ServerAnswered>().answer.error().text == "closed");
  CHECK(server.client.publish(server.now, kUser, "a", raw_of(1)).error().text == "closed");
}
