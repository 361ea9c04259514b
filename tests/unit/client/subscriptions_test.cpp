// Subscriptions: shared, confirmed, and surviving.
#include "unit/client/scripted_server.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

std::vector<std::string> subjects(const Value& items) {
  std::vector<std::string> result;
  for (const Value& item : *items.if_array()) {
    result.push_back(std::string(item.find("subject")->text_or("?")));
  }
  return result;
}

Value added(std::size_t count) {
  Value::Array items;
  for (std::size_t i = 0; i < count; ++i) {
    items.push_back(Value(Value::Map{{"status", Value("added")}}));
  }
  return Value(std::move(items));
}

// A client with confirmed subscriptions `keep.1` (queue q) and `keep.2`.
void subscribe_two(ScriptedServer& server) {
  server.client.connect(server.now);
  server.sign_in();
  SubscribeOptions options;
  options.queue = "q";
  REQUIRE(server.client.subscribe(server.now, kUser, "keep.1", options).ok());
  server.answer_added(server.take_event("subscribe"));
  REQUIRE(server.client.subscribe(server.now, kUser, "keep.2").ok());
  server.answer_added(server.take_event("subscribe"));
  CHECK(server.take_effects<effects::SubscribeDone>().size() == 2);
  server.run_until(server.now + 3000);
  server.answer(
      server.take_event("subscriptions"),
      Value(Value::Array{Value(server.client.inbox() + ".*"), Value("keep.1"), Value("keep.2")}));
  server.take_events();
}

void come_back(ScriptedServer& server) {
  server.cut();
  server.wait(750);
  server.connect();
  server.info();
}

}  // namespace

TEST_CASE("what was subscribed before the sign-in is requested after the inbox, in order") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  REQUIRE(server.client.subscribe(server.now, kUser, "b").ok());
  REQUIRE(server.client.subscribe(server.now, kUser, "a").ok());
  server.client.connect(server.now);
  REQUIRE(server.client.publish(server.now, kUser, "b", MessageData::of(Value(1))).ok());
  REQUIRE(server.client.subscribe(server.now, kUser, "c").ok());
  server.connect();
  server.take_events();
  server.info();
  const auto events = server.take_events();
  REQUIRE(events.size() == 5);
  CHECK(events[0].first().find("subject")->text_or("") == server.client.inbox() + ".*");
  CHECK(events[1].first().find("subject")->text_or("") == "b");
  CHECK(events[2].first().find("subject")->text_or("") == "a");
  CHECK(events[3].first().find("subject")->text_or("") == "c");
  CHECK(events[4].name == "publish");
  CHECK(events[1].first().find("queue")->text_or("").size() == 10);
}

TEST_CASE("subscriptions of one pattern share one at the server") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  const SubscriptionId first = *server.client.subscribe(server.now, kUser, "a.*");
  const Owner other{Layer::socket, 3};
  const SubscriptionId second = *server.client.subscribe(server.now, other, "a.*");
  CHECK(first != second);
  server.answer_added(server.take_event("subscribe"));
  CHECK(server.take_effects<effects::SubscribeDone>().size() == 2);
  const SubscriptionId third = *server.client.subscribe(server.now, kUser, "a.*");
  CHECK(server.take_events().empty());
  CHECK(server.take_effect<effects::SubscribeDone>().subscription == third);
  CHECK(server.client.subscription_count() == 2);
  CHECK(server.client.queue(first) == server.client.queue(second));

  server.deliver("a.*", "a.b", Value("x"), Value(Value::Map{{"h", Value(1)}}));
  auto arrived = server.take_effects<effects::MessageArrived>();
  REQUIRE(arrived.size() == 3);
  CHECK(arrived[1].owner == other);
  CHECK(arrived[1].subscription == second);
  for (const auto& message : arrived) {
    CHECK(message.message.subject == "a.b");
    CHECK(*message.message.data.decode() == Value("x"));
    CHECK(message.message.data.headers.number("h") == 1);
  }

  server.client.unsubscribe(server.now, first);
  server.client.unsubscribe(server.now, third);
  server.client.unsubscribe(server.now, third);
  CHECK(server.take_events().empty());
  server.deliver("a.*", "a.c", Value("y"));
  CHECK(server.take_effect<effects::MessageArrived>().subscription == second);
  server.client.unsubscribe(server.now, second);
  const auto gone = server.take_event("unsubscribe");
  CHECK(gone.first().find("subject")->text_or("") == "a.*");
  CHECK(server.client.subscription_count() == 1);
  server.deliver("a.*", "a.d", Value("z"));
  CHECK(server.take_effects<effects::MessageArrived>().empty());
}

TEST_CASE("a second queue group for a pattern is an error") {
  ScriptedServer server(PacketEncoding::text);
  SubscribeOptions one;
  one.queue = "1";
  SubscribeOptions two;
  two.queue = "2";
  REQUIRE(server.client.subscribe(server.now, kUser, "a", one).ok());
  REQUIRE(server.client.subscribe(server.now, kUser, "a", one).ok());
  REQUIRE(server.client.subscribe(server.now, kUser, "a").ok());
  const auto refused = server.client.subscribe(server.now, kUser, "a", two);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text ==
        "client can only have one queue group subscription for a given subject -- subject='a', "
        "queue='2'");
}

TEST_CASE("invalid patterns are refused before anything is sent") {
  ScriptedServer server(PacketEncoding::text);
  for (const char* pattern : {"", ".", "a..b", "a. b", "a.>.b"}) {
    const auto result = server.client.subscribe(server.now, kUser, pattern);
    INFO(pattern);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().text == "invalid subscribe subject '" + std::string(pattern) + "'");
  }
  SubscribeOptions options;
  options.timeout_ms = -1;
  CHECK(server.client.subscribe(server.now, kUser, "a", options).error().text ==
        "timeout must be positive");
}

TEST_CASE("a refused subscription is gone; the refusal is remembered for a minute") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  const SubscriptionId id = *server.client.subscribe(server.now, kUser, "secret.x");
  const auto request = server.take_event("subscribe");
  server.emit("permission", Value(Value::Map{{"message", Value("permission denied subscribing")},
                                             {"subject", Value("secret.x")},
                                             {"type", Value("sub")}}));
  server.answer_error(request, "Error: permission denied subscribing", Value(403));
  const auto done = server.take_effect<effects::SubscribeDone>();
  CHECK(done.subscription == id);
  REQUIRE(done.error.has_value());
  CHECK(done.error->code.number == 403);
  CHECK(done.error->text == "Error: permission denied subscribing");
  CHECK(server.client.subscription_count() == 1);

  const auto again = server.client.subscribe(server.now, kUser, "secret.x");
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code.number == 403);
  CHECK(again.error().text == "permission denied subscribing");
  CHECK(server.take_events().empty());
  // Only this subject, only this type.
  CHECK(server.client.subscribe(server.now, kUser, "secret.y").ok());
  CHECK(server.client.publish(server.now, kUser, "secret.x", MessageData::of(Value(1))).ok());
  server.take_events();
  server.wait(60'000);
  CHECK(server.client.subscribe(server.now, kUser, "secret.x").ok());
}

TEST_CASE("the time for a confirmation counts from sign-in, and from the next one after a loss") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  SubscribeOptions options;
  options.timeout_ms = 1000;
  const SubscriptionId id = *server.client.subscribe(server.now, kUser, "slow", options);
  server.wait(10'000);
  server.client.connect(server.now);
  server.connect();
  server.wait(5000);
  server.info();
  server.wait(999);
  CHECK(server.take_effects<effects::SubscribeDone>().empty());
  server.cut();
  server.wait(5000);
  server.connect();
  server.info();
  server.wait(999);
  CHECK(server.take_effects<effects::SubscribeDone>().empty());
  server.take_events();
  server.wait(1);
  const auto done = server.take_effect<effects::SubscribeDone>();
  CHECK(done.subscription == id);
  CHECK(done.error->code.number == 408);
  CHECK(done.error->text == "timeout - Error: operation has timed out");
  CHECK(server.client.subscription_count() == 1);
}

TEST_CASE("a subscription without a time-out waits for ever") {
  ScriptedServer server(PacketEncoding::text);
  SubscribeOptions options;
  options.timeout_ms = 0;
  server.client.connect(server.now);
  server.sign_in();
  REQUIRE(server.client.subscribe(server.now, kUser, "later", options).ok());
  const auto request = server.take_event("subscribe");
  for (int i = 0; i < 10; ++i) {
    server.wait(20'000);
    server.send(encode_engine_ping());
  }
  CHECK(server.take_effects<effects::SubscribeDone>().empty());
  server.answer_added(request);
  CHECK_FALSE(server.take_effect<effects::SubscribeDone>().error.has_value());
}

TEST_CASE("after a reconnect the inbox comes first, then what the server lacks in one call") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  subscribe_two(server);
  come_back(server);
  auto events = server.take_events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].name == "stats");
  CHECK(events[1].name == "subscribe");
  CHECK(events[1].first().find("subject")->text_or("") == server.client.inbox() + ".*");
  CHECK(events[2].name == "subscriptions");
  server.answer_added(events[1]);
  // It still has something that was given up meanwhile.
  server.answer(events[2],
                Value(Value::Array{Value(server.client.inbox() + ".*"), Value("old.one")}));
  events = server.take_events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].name == "subscribe");
  CHECK(subjects(events[0].first()) == std::vector<std::string>{"keep.1", "keep.2"});
  CHECK(events[0].first().if_array()->at(0).find("queue")->text_or("") == "q");
  CHECK(events[1].name == "unsubscribe");
  CHECK(subjects(events[1].first()) == std::vector<std::string>{"old.one"});
  server.answer(events[0], added(2));
  CHECK(server.take_effects<effects::SubscribeDone>().empty());  // they were told already
  server.wait(limits::client_sync_retry_ms);
  auto list = server.take_event("subscriptions");
  // One got lost again: once more, after a longer pause.
  server.answer(list, Value(Value::Array{Value(server.client.inbox() + ".*"), Value("keep.1")}));
  const auto repeat = server.take_event("subscribe");
  CHECK(subjects(repeat.first()) == std::vector<std::string>{"keep.2"});
  server.answer(repeat, added(1));
  server.wait(2 * limits::client_sync_retry_ms);
  bool asked = false;
  for (const auto& event : server.take_events()) {
    if (event.name != "subscriptions") continue;
    asked = true;
    server.answer(event, Value(Value::Array{Value(server.client.inbox() + ".*"), Value("keep.1"),
                                            Value("keep.2")}));
  }
  CHECK(asked);
  server.take_events();
  server.wait(15'000);
  for (const auto& event : server.take_events()) CHECK(event.name == "stats");
}

TEST_CASE("one that the server now refuses has ended; the others live on") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  subscribe_two(server);
  come_back(server);
  auto events = server.take_events();
  server.answer_added(events.at(1));
  server.answer(events.at(2), Value(Value::Array{Value(server.client.inbox() + ".*")}));
  const auto request = server.take_event("subscribe");
  server.answer(request,
                Value(Value::Array{Value(Value::Map{{"error", Value("Error: permission denied")},
                                                    {"code", Value(403)}}),
                                   Value(Value::Map{{"status", Value("added")}})}));
  const auto ended = server.take_effect<effects::SubscriptionEnded>();
  CHECK(ended.owner == kUser);
  CHECK(ended.error.code.number == 403);
  CHECK(server.client.subscription_count() == 2);
  server.deliver("keep.1", "keep.1", Value(1));
  CHECK(server.take_effects<effects::MessageArrived>().empty());
  server.deliver("keep.2", "keep.2", Value(1));
  CHECK(server.take_effects<effects::MessageArrived>().size() == 1);
}

TEST_CASE("publishes after a reconnect leave when the subscriptions are back") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  subscribe_two(server);
  server.cut();
  REQUIRE(server.client.request(server.now, kUser, "svc", MessageData::of(Value(1))).ok());
  REQUIRE(server.client.publish(server.now, kUser, "x", MessageData::of(Value(2))).ok());
  server.wait(750);
  server.connect();
  server.info();
  REQUIRE(server.client.publish_now(server.now, "y", MessageData::of(Value(3))).ok());
  auto events = server.take_events();
  for (const auto& event : events) CHECK(event.name != "publish");
  SECTION("as soon as they are requested") {
    server.answer(events.at(2), Value(Value::Array{Value(server.client.inbox() + ".*")}));
    events = server.take_events();
    REQUIRE(events.size() == 4);
    CHECK(events[0].name == "subscribe");
  }
  SECTION("also when the server does not answer") {
    server.wait(limits::client_sync_answer_timeout_ms);
    events.clear();
    for (auto& event : server.take_events()) {
      if (event.name != "stats") events.push_back(std::move(event));
    }
    REQUIRE(events.size() == 5);
    CHECK(events[0].first().find("subject")->text_or("") == "keep.1");
    CHECK(events[1].first().find("subject")->text_or("") == "keep.2");
    events.erase(events.begin());
  }
  CHECK(events[1].field(0).text_or("") == "svc");
  CHECK(events[2].field(0).text_or("") == "x");
  CHECK(events[3].field(0).text_or("") == "y");
}

TEST_CASE("an unanswered comparison is repeated and finishes") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  subscribe_two(server);
  come_back(server);
  auto events = server.take_events();
  server.answer_added(events.at(1));
  server.answer(events.at(2), Value(Value::Array{Value(server.client.inbox() + ".*")}));
  server.take_event("subscribe");  // never answered
  server.wait(limits::client_sync_answer_timeout_ms + limits::client_sync_retry_ms);
  std::optional<ScriptedServer::Event> list;
  for (auto& event : server.take_events()) {
    if (event.name == "subscriptions") list = std::move(event);
  }
  REQUIRE(list.has_value());
  server.answer(*list, Value("nonsense"));
  server.wait(3000);
  list.reset();
  for (auto& event : server.take_events()) {
    if (event.name == "subscriptions") list = std::move(event);
  }
  REQUIRE(list.has_value());
  server.answer(*list, Value(Value::Array{Value(server.client.inbox() + ".*"), Value("keep.1")}));
  CHECK(subjects(server.take_event("subscribe").first()) == std::vector<std::string>{"keep.2"});
}

TEST_CASE("subscriptions are added again in one call, unless they are too large for it") {
  ScriptedServer server(PacketEncoding::msgpack);
  server.client.connect(server.now);
  server.sign_in();
  const bool large = GENERATE(false, true);
  const std::size_t count = large ? 80 : 1500;
  const std::string padding(large ? 16'000 : 1, 'x');
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE(server.client.subscribe(server.now, kUser, std::to_string(i) + "." + padding).ok());
  }
  for (const auto& event : server.take_events()) server.answer_added(event);
  CHECK(server.take_effects<effects::SubscribeDone>().size() == count);
  come_back(server);
  auto events = server.take_events();
  server.answer_added(events.at(1));
  server.answer(events.at(2), Value(Value::Array{Value(server.client.inbox() + ".*")}));
  events = server.take_events();
  REQUIRE(events.size() == (large ? 2 : 1));
  std::size_t added = 0;
  for (const auto& event : events) added += event.first().if_array()->size();
  CHECK(added == count);
}

TEST_CASE("subscriptions may be called like the protocol's own events") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  for (const char* name : {"info", "permission", "__proto__"}) {
    const SubscriptionId id = *server.client.subscribe(server.now, kUser, name);
    server.answer_added(server.take_event("subscribe"));
    server.deliver(name, name, Value(5));
    CHECK(server.take_effect<effects::MessageArrived>().subscription == id);
  }
  server.take_effects<effects::InfoReceived>();
  server.info(9'000'000);
  CHECK(decode_msgpack(server.client.info())->find("max_payload")->integer_or(0) == 9'000'000);
}

TEST_CASE("chunks of one message are joined, those of a lost connection are forgotten") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  REQUIRE(server.client.subscribe(server.now, kUser, "big").ok());
  server.answer_added(server.take_event("subscribe"));
  const Bytes whole = encode_msgpack(Value("a long text in three parts"));
  const auto part = [&](std::size_t from, std::size_t to) {
    return Bytes(whole.begin() + static_cast<std::ptrdiff_t>(from),
                 whole.begin() + static_cast<std::ptrdiff_t>(to));
  };
  server.deliver_chunk("big", "big", "m1", 0, false, part(0, 5));
  server.deliver_chunk("big", "big", "m2", 0, false, part(0, 5));
  server.deliver_chunk("big", "big", "m1", 1, false, part(5, 10));
  CHECK(server.take_effects<effects::MessageArrived>().empty());
  server.deliver_chunk("big", "big", "m1", 2, true, part(10, whole.size()),
                       Value(Value::Map{{"last", Value(true)}}));
  const auto arrived = server.take_effect<effects::MessageArrived>();
  CHECK(arrived.message.data.raw == whole);
  CHECK(arrived.message.data.headers.has("last"));
  come_back(server);
  server.deliver_chunk("big", "big", "m2", 1, true, part(5, whole.size()));
  CHECK(server.take_effects<effects::MessageArrived>().empty());
}

TEST_CASE("a message with a chunk missing is discarded with a warning") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  REQUIRE(server.client.subscribe(server.now, kUser, "big.*").ok());
  server.answer_added(server.take_event("subscribe"));
  server.deliver_chunk("big.*", "big.one", "m1", 0, false, Bytes{1});
  CHECK(server.take_effects<effects::MessageDiscarded>().empty());
  server.deliver_chunk("big.*", "big.one", "m1", 2, true, Bytes{3});
  CHECK(server.take_effect<effects::MessageDiscarded>().subject == "big.one");
  CHECK(server.take_effects<effects::MessageArrived>().empty());
  server.deliver("big.*", "big.two", Value("whole"));
  CHECK(server.take_effect<effects::MessageArrived>().message.subject == "big.two");
}

TEST_CASE("closing reports pending subscriptions") {
  ScriptedServer server(PacketEncoding::text);
  server.client.connect(server.now);
  server.sign_in();
  REQUIRE(server.client.subscribe(server.now, kUser, "a").ok());
  server.client.close(server.now);
  const auto done = server.take_effect<effects::SubscribeDone>();
  CHECK(done.error->text == "closed");
  server.client.unsubscribe(server.now, done.subscription);
}

TEST_CASE("the server's view can be asked for and brought into line") {
  const auto encoding = GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
  ScriptedServer server(encoding);
  server.client.connect(server.now);
  server.sign_in();
  const CallId view = *server.client.ask_server(server.now, kUser, ServerQuestion::subscriptions);
  server.answer(server.take_event("subscriptions"), Value(Value::Array{Value("x")}));
  const auto answered = server.take_effect<effects::ServerAnswered>();
  CHECK(answered.call == view);
  CHECK(*decode_msgpack(*answered.answer) == Value(Value::Array{Value("x")}));
  const CallId brokers = *server.client.ask_server(server.now, kUser, ServerQuestion::cluster, 500);
  CHECK(server.take_event("cluster").arguments.empty());
  server.wait(500);
  const auto expired = server.take_effect<effects::ServerAnswered>();
  CHECK(expired.call == brokers);
  CHECK(expired.answer.error().code.number == 408);
  server.client.sync_subscriptions(server.now);
  server.answer(server.take_event("subscriptions"), Value(Value::Array{}));
  CHECK(subjects(server.take_event("subscribe").first()) ==
        std::vector<std::string>{server.client.inbox() + ".*"});
}
