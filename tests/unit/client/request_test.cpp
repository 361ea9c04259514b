// Requests and their replies over the one inbox.
#include "unit/client/scripted_server.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

void sign_in(ScriptedServer& server) {
  server.client.connect(server.now);
  server.sign_in();
  server.take_events();
}

std::string reply_subject(const ScriptedServer::Event& event) {
  return std::string(event.field(6).find("CN-Reply")->text_or(""));
}

void reply(ScriptedServer& server, const std::string& subject, const Value& value) {
  server.deliver(server.client.inbox() + ".*", subject, value);
}

}  // namespace

TEST_CASE("a request names its reply subject in the inbox, next to the user's headers") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  const CallId call = *server.client.request(
      server.now, kUser, "svc",
      MessageData::of(Value(1), Headers(Value(Value::Map{{"a", Value(2)}}))));
  const auto event = server.take_event("publish");
  CHECK(event.field(6).find("a")->integer_or(0) == 2);
  const std::string subject = reply_subject(event);
  CHECK(subject.find(server.client.inbox() + ".") == 0);
  CHECK(subject.size() == server.client.inbox().size() + 11);
  const bool reply_first = GENERATE(false, true);
  if (!reply_first) server.answer_count(event, 1);
  reply(server, subject, Value("pong"));
  if (reply_first) server.answer_count(event, 1);
  const auto answer = server.take_effect<effects::ReplyArrived>();
  CHECK(answer.call == call);
  CHECK(answer.owner == kUser);
  CHECK(answer.last);
  CHECK(*answer.reply->data.decode() == Value("pong"));
  // A second answer, and time, change nothing.
  reply(server, subject, Value("again"));
  server.wait(40'000);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
}

TEST_CASE("replies find their own request") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  std::vector<std::pair<CallId, std::string>> open;
  for (int i = 0; i < 50; ++i) {
    const CallId call = *server.client.request(server.now, kUser, "svc", MessageData::of(Value(i)));
    const auto event = server.take_event("publish");
    server.answer_count(event, 1);
    open.emplace_back(call, reply_subject(event));
  }
  for (std::size_t i = open.size(); i-- > 0;) {
    reply(server, open[i].second, Value(static_cast<int>(i)));
    const auto answer = server.take_effect<effects::ReplyArrived>();
    CHECK(answer.call == open[i].first);
    CHECK(answer.reply->data.decode()->integer_or(-1) == static_cast<int>(i));
  }
}

TEST_CASE("nobody there: 503 at once") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  RequestOptions options;
  options.many = GENERATE(false, true);
  REQUIRE(
      server.client.request(server.now, kUser, "none", MessageData::of(Value(1)), options).ok());
  server.answer_count(server.take_event("publish"), 0);
  const auto answer = server.take_effect<effects::ReplyArrived>();
  CHECK(answer.last);
  CHECK(answer.reply.error().code.number == 503);
  CHECK(answer.reply.error().text == (options.many ? "requestMany -- no subscribers matching none"
                                                   : "request -- no subscribers matching 'none'"));
}

TEST_CASE("no answer: 408 at the time given") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  RequestOptions options;
  options.timeout_ms = 200;
  REQUIRE(
      server.client.request(server.now, kUser, "silent", MessageData::of(Value(1)), options).ok());
  const auto event = server.take_event("publish");
  server.answer_count(event, 1);
  server.wait(199);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
  server.wait(1);
  const auto answer = server.take_effect<effects::ReplyArrived>();
  CHECK(answer.reply.error().code.number == 408);
  CHECK(answer.reply.error().text == "timeout");
  reply(server, reply_subject(event), Value("late"));
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
}

TEST_CASE("a cancelled request reports nothing") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  const CallId call = *server.client.request(server.now, kUser, "svc", MessageData::of(Value(1)));
  const auto event = server.take_event("publish");
  server.client.cancel(call);
  server.answer_count(event, 0);
  reply(server, reply_subject(event), Value("late"));
  server.wait(40'000);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
}

TEST_CASE("a request of many replies tells that it was delivered") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  RequestOptions options;
  options.many = true;
  const CallId call =
      *server.client.request(server.now, kUser, "many", MessageData::of(Value(1)), options);
  const auto event = server.take_event("publish");
  CHECK(server.take_effects<effects::RequestDelivered>().empty());
  server.answer_count(event, 2);
  const auto delivered = server.take_effect<effects::RequestDelivered>();
  CHECK(delivered.call == call);
  CHECK(delivered.owner == kUser);
  // A single answer needs no such word.
  REQUIRE(server.client.request(server.now, kUser, "one", MessageData::of(Value(1))).ok());
  server.answer_count(server.take_event("publish"), 1);
  CHECK(server.take_effects<effects::RequestDelivered>().empty());
}

TEST_CASE("many replies have a time limit of their own") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  RequestOptions options;
  options.many = true;
  options.timeout_ms = 1000;
  options.max_wait_ms = GENERATE(300, 5000);
  REQUIRE(
      server.client.request(server.now, kUser, "many", MessageData::of(Value(1)), options).ok());
  const auto event = server.take_event("publish");
  server.wait(900);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
  server.answer_count(event, 1);
  server.wait(options.max_wait_ms - 1);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
  reply(server, reply_subject(event), Value("one"));
  CHECK(server.take_effect<effects::ReplyArrived>().reply.ok());
  server.wait(options.max_wait_ms - 1);
  CHECK(server.take_effects<effects::ReplyArrived>().empty());
  server.wait(1);
  CHECK(server.take_effect<effects::ReplyArrived>().reply.error().code.number == 408);
}

TEST_CASE("many replies end with null, with their number, or with silence") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  RequestOptions options;
  options.many = true;
  options.timeout_ms = 1000;
  const auto start = [&] {
    REQUIRE(
        server.client.request(server.now, kUser, "many", MessageData::of(Value(1)), options).ok());
    const auto event = server.take_event("publish");
    server.answer_count(event, 1);
    return reply_subject(event);
  };
  SECTION("null") {
    const std::string subject = start();
    for (int i = 0; i < 3; ++i) reply(server, subject, Value(i));
    auto answers = server.take_effects<effects::ReplyArrived>();
    REQUIRE(answers.size() == 3);
    for (int i = 0; i < 3; ++i) {
      CHECK(answers[static_cast<std::size_t>(i)].reply->data.decode()->integer_or(-1) == i);
      CHECK_FALSE(answers[static_cast<std::size_t>(i)].last);
    }
    reply(server, subject, Value());
    const auto end = server.take_effect<effects::ReplyArrived>();
    CHECK(end.last);
    CHECK(end.reply->data.decode()->is_null());
    reply(server, subject, Value(4));
    CHECK(server.take_effects<effects::ReplyArrived>().empty());
  }
  SECTION("number") {
    options.max_messages = 2;
    const std::string subject = start();
    reply(server, subject, Value(0));
    CHECK_FALSE(server.take_effect<effects::ReplyArrived>().last);
    reply(server, subject, Value(1));
    CHECK(server.take_effect<effects::ReplyArrived>().last);
    reply(server, subject, Value(2));
    CHECK(server.take_effects<effects::ReplyArrived>().empty());
  }
  SECTION("null, where several services answer") {
    options.null_ends = false;
    const std::string subject = start();
    reply(server, subject, Value());
    reply(server, subject, Value(1));
    for (const auto& answer : server.take_effects<effects::ReplyArrived>()) {
      CHECK_FALSE(answer.last);
      CHECK(answer.reply.ok());
    }
  }
  SECTION("silence: the time counts between replies") {
    const std::string subject = start();
    for (int i = 0; i < 5; ++i) {
      server.wait(900);
      reply(server, subject, Value(i));
      CHECK_FALSE(server.take_effect<effects::ReplyArrived>().last);
    }
    server.wait(1000);
    const auto end = server.take_effect<effects::ReplyArrived>();
    CHECK(end.last);
    CHECK(end.reply.error().code.number == 408);
  }
}

TEST_CASE("a request that was taken lives through a reconnect, one on its way does not") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  const CallId taken = *server.client.request(server.now, kUser, "a", MessageData::of(Value(1)));
  const auto event = server.take_event("publish");
  server.answer_count(event, 1);
  const CallId unknown = *server.client.request(server.now, kUser, "b", MessageData::of(Value(1)));
  server.drain();
  server.cut();
  auto answer = server.take_effect<effects::ReplyArrived>();
  CHECK(answer.call == unknown);
  CHECK(answer.reply.error().code.number == 503);
  server.wait(750);
  server.connect();
  server.info();
  reply(server, reply_subject(event), Value("still here"));
  answer = server.take_effect<effects::ReplyArrived>();
  CHECK(answer.call == taken);
  CHECK(*answer.reply->data.decode() == Value("still here"));
}

TEST_CASE("a request waits for interest on demand") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  sign_in(server);
  RequestOptions options;
  options.wait_for_interest = true;
  REQUIRE(server.client.request(server.now, kUser, "svc", MessageData::of(Value(1)), options).ok());
  const auto first = server.take_event("publish");
  server.answer_count(first, 0);
  server.answer(server.take_event("wait-for-interest"), Value(true));
  const auto second = server.take_event("publish");
  CHECK(reply_subject(second) == reply_subject(first));
  server.answer_count(second, 1);
  reply(server, reply_subject(second), Value("ok"));
  CHECK(server.take_effect<effects::ReplyArrived>().reply.ok());
}

TEST_CASE("when the server refuses the inbox, requests fail with its error") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  REQUIRE(server.client.request(server.now, kUser, "svc", MessageData::of(Value(1))).ok());
  server.connect();
  server.take_events();
  server.info();
  server.answer_error(server.take_event("subscribe"), "Error: permission denied", Value(403));
  CHECK(server.take_effect<effects::ReplyArrived>().reply.error().code.number == 403);
  CHECK(server.client.request(server.now, kUser, "svc", MessageData::of(Value(1)))
            .error()
            .code.number == 403);
  CHECK(server.client.publish(server.now, kUser, "svc", MessageData::of(Value(1))).ok());
  REQUIRE(server.client.inbox_error());
  CHECK(server.client.inbox_error()->text == "Error: permission denied");

  // The refusal is this connection's: what is asked without one waits for the next.
  server.cut();
  CHECK_FALSE(server.client.inbox_error());
  REQUIRE(server.client.request(server.now, kUser, "svc", MessageData::of(Value(2))).ok());
  server.wait(1000);
  server.connect();
  server.take_events();
  server.info();
  const auto events = server.take_events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].name == "subscribe");
  server.answer_added(events[0]);
  CHECK(server.client.inbox_ready());
  CHECK(events[1].name == "publish");
  server.answer_count(events[1], 1);
  reply(server, reply_subject(events[1]), Value("answer"));
  CHECK(server.take_effect<effects::ReplyArrived>().reply.ok());
}

TEST_CASE("a user may listen to the inbox too") {
  ScriptedServer server(PacketEncoding::msgpack);
  sign_in(server);
  const std::string pattern = server.client.inbox() + ".*";
  const SubscriptionId id = *server.client.subscribe(server.now, kUser, pattern);
  REQUIRE(server.client.request(server.now, kUser, "svc", MessageData::of(Value(1))).ok());
  const auto event = server.take_event("publish");
  reply(server, reply_subject(event), Value("both"));
  CHECK(server.take_effect<effects::MessageArrived>().subscription == id);
  CHECK(*server.take_effect<effects::ReplyArrived>().reply->data.decode() == Value("both"));
  server.client.unsubscribe(server.now, id);
  CHECK(server.take_events().empty());  // the inbox itself stays
}
