// The native client against the real conatd: messages, queue groups, requests, services, interest.
#include <map>
#include <set>

#include "cli/coroutines.hpp"
#include "conatd/process.hpp"

using namespace conat::native;
using namespace conat::test;

namespace {

// One broker serves all tests of this file; each uses subjects of its own.
std::uint16_t port() {
  static RunningBroker broker;
  return broker.port();
}

Value data_of(const Message& message) {
  const auto value = message.data.decode();
  REQUIRE(value.ok());
  return *value;
}

SubscribeSettings queue(const std::string& name) {
  SubscribeSettings settings;
  settings.queue = name;
  return settings;
}

ClientSettings text_packets() {
  ClientSettings settings;
  settings.encoding = PacketEncoding::text;
  return settings;
}

}  // namespace

TEST_CASE("native client: what is published comes as it was sent, in both packet encodings") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client binary = connected(loop, port());
    const Client text = connected(loop, port(), text_packets());
    auto here = co_await binary.subscribe("native.pub.*");
    auto there = co_await text.subscribe("native.pub.>");
    REQUIRE(here.ok());
    REQUIRE(there.ok());
    const Value value(Value::Map{{"text", "Grüße"}, {"bytes", Bytes{0, 1, 255}}, {"n", -5}});
    PublishSettings settings;
    settings.headers = object("h", array(1, "two"));
    const auto sent = co_await binary.publish("native.pub.a", value, settings);
    REQUIRE(sent.ok());
    CHECK(sent->count == 2);
    CHECK(sent->bytes == encode_msgpack(value).size());
    const std::vector<Subscription*> both{&*here, &*there};
    for (Subscription* subscription : both) {
      const auto message = co_await subscription->next();
      REQUIRE(message.has_value());
      CHECK(message->subject == "native.pub.a");
      CHECK(data_of(*message) == value);
      CHECK(message->data.headers.value() == settings.headers);
    }
    settings = {};
    settings.encoding = PayloadEncoding::json;
    const auto answer_1 = co_await text.publish("native.pub.b", Value(array(1, nullptr)), settings);
    REQUIRE(answer_1.ok());
    const auto json = co_await here->next();
    REQUIRE(json.has_value());
    CHECK(json->data.encoding == PayloadEncoding::json);
    CHECK(data_of(*json) == Value(array(1, nullptr)));
    // Fire and forget arrives as well, and a callback is as good as a coroutine.
    REQUIRE(binary.publish_now("native.pub.c", 7).ok());
    const auto third = co_await here->next();
    REQUIRE(third.has_value());
    CHECK(data_of(*third) == Value(7));
    std::optional<std::uint64_t> count;
    binary.publish("native.nobody", 1, {}, [&count](const Result<PublishResult>& result) {
      count = result.ok() ? result->count : 99;
    });
    const auto answer_2 = co_await binary.publish("native.nobody", 2);
    REQUIRE(answer_2.ok());
    CHECK(count == 0);
  });
}

TEST_CASE("native client: errors are values") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    const auto wildcard = co_await client.publish("native.*", 1);
    REQUIRE_FALSE(wildcard.ok());
    CHECK(wildcard.error().text.find("native.*") != std::string::npos);
    const auto answer_3 = co_await client.subscribe("native..x");
    CHECK_FALSE(answer_3.ok());
    CHECK_FALSE(client.publish_now("a b", 1).ok());
    CHECK_FALSE(connect(loop, {"gopher://x"}).ok());
    ClientSettings mine;
    mine.inbox_prefix = "mine";
    CHECK_FALSE(connect(loop, mine).ok());
    const auto nobody = co_await client.request("native.nobody.there", 1);
    REQUIRE_FALSE(nobody.ok());
    CHECK(nobody.error().code.number == 503);
    CHECK(nobody.error().text == "request -- no subscribers matching 'native.nobody.there'");
    auto silent = co_await client.subscribe("native.silent");
    RequestSettings soon;
    soon.timeout = Milliseconds(50);
    const auto unanswered = co_await client.request("native.silent", 1, soon);
    REQUIRE_FALSE(unanswered.ok());
    CHECK(unanswered.error().code.number == 408);
  });
}

TEST_CASE("native client: subscriptions to one pattern share one at the server") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    auto first = co_await client.subscribe("native.shared");
    auto second = co_await client.subscribe("native.shared");
    REQUIRE(first.ok());
    REQUIRE(second.ok());
    const auto answer_4 = co_await client.publish("native.shared", 1);
    CHECK(answer_4->count == 1);
    const std::vector<Subscription*> both{&*first, &*second};
    for (Subscription* subscription : both) {
      const auto message = co_await subscription->next();
      REQUIRE(message.has_value());
    }
    const auto other_queue = co_await client.subscribe("native.shared", queue("q"));
    REQUIRE_FALSE(other_queue.ok());
    CHECK(other_queue.error().text ==
          "client can only have one queue group subscription for a given subject -- "
          "subject='native.shared', queue='q'");
    first->close();
    const auto answer_5 = co_await client.publish("native.shared", 2);
    CHECK(answer_5->count == 1);
    const auto answer_6 = co_await first->next();
    CHECK_FALSE(answer_6.has_value());
    const auto still = co_await second->next();
    REQUIRE(still.has_value());
    CHECK(data_of(*still) == Value(2));
    { const Subscription gone = std::move(*second); }
    const auto answer_7 = co_await client.publish("native.shared", 3);
    CHECK(answer_7->count == 0);
    const auto held = co_await client.server_subscriptions();
    REQUIRE(held.ok());
    CHECK(std::count(held->begin(), held->end(), "native.shared") == 0);
  });
}

TEST_CASE("native client: of a queue group one gets each message") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client publisher = connected(loop, port());
    std::vector<Subscription> members;
    for (int i = 0; i < 3; ++i) {
      auto member = co_await connected(loop, port()).subscribe("native.jobs.*", queue("w"));
      REQUIRE(member.ok());  // it keeps its connection
      members.push_back(std::move(*member));
    }
    auto all = co_await publisher.subscribe("native.jobs.>");
    std::set<std::int64_t> seen;
    for (int i = 0; i < 30; ++i) {
      const auto answer_8 = co_await publisher.publish("native.jobs.x", i);
      CHECK(answer_8->count == 2);
    }
    for (int i = 0; i < 30; ++i) {
      const auto answer_9 = co_await all->next();
      REQUIRE(answer_9.has_value());
    }
    std::size_t got = 0;
    while (got < 30) {
      for (auto& member : members) {
        while (member.buffered() > 0) {
          seen.insert(data_of(*co_await member.next()).integer_or(-1));
          ++got;
        }
      }
      if (got < 30) co_await asio::post(loop, asio::use_awaitable);
    }
    CHECK(seen.size() == 30);
    CHECK(got == 30);
  });
}

TEST_CASE("native client: a subscription's limits") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    SubscribeSettings settings;
    settings.message_limit = 2;
    auto limited = co_await client.subscribe("native.limits", settings);
    settings.message_limit = 0;
    settings.max_buffered = 2;
    auto oldest = co_await client.subscribe("native.limits", settings);
    settings.overflow = Overflow::error;
    auto strict = co_await client.subscribe("native.limits", settings);
    auto all = co_await client.subscribe("native.limits");
    for (int i = 1; i <= 4; ++i) {
      const auto answer_10 = co_await client.publish("native.limits", i);
      REQUIRE(answer_10.ok());
    }
    // The acknowledgement comes behind the messages.
    CHECK(limited->ended());
    const auto answer_11 = co_await limited->next();
    CHECK(data_of(*answer_11) == Value(1));
    const auto answer_12 = co_await limited->next();
    CHECK(data_of(*answer_12) == Value(2));
    const auto answer_13 = co_await limited->next();
    CHECK_FALSE(answer_13.has_value());
    CHECK_FALSE(limited->error().has_value());
    const auto answer_14 = co_await oldest->next();
    CHECK(data_of(*answer_14) == Value(3));
    const auto answer_15 = co_await oldest->next();
    CHECK(data_of(*answer_15) == Value(4));
    CHECK_FALSE(oldest->ended());
    const auto answer_16 = co_await strict->next();
    CHECK(data_of(*answer_16) == Value(1));
    const auto answer_17 = co_await strict->next();
    CHECK(data_of(*answer_17) == Value(2));
    const auto answer_18 = co_await strict->next();
    CHECK_FALSE(answer_18.has_value());
    REQUIRE(strict->error().has_value());
    CHECK(strict->error()->code.word == "ENOBUFS");
    const auto rest = all->drain();
    CHECK(rest.size() == 4);
    CHECK(all->ended());
    const auto answer_19 = co_await all->next();
    CHECK_FALSE(answer_19.has_value());

    settings = {};
    settings.max_wait = Milliseconds(60);
    auto impatient = co_await client.subscribe("native.wait", settings);
    const auto answer_20 = co_await impatient->next();
    CHECK_FALSE(answer_20.has_value());
    CHECK(impatient->ended());
    CHECK_FALSE(impatient->error().has_value());
    auto patient = co_await client.subscribe("native.wait");
    const auto answer_21 = co_await patient->next_within(Milliseconds(30));
    CHECK_FALSE(answer_21.has_value());
    CHECK_FALSE(patient->ended());
    const auto answer_22 = co_await client.publish("native.wait", 1);
    REQUIRE(answer_22.ok());
    const auto answer_23 = co_await patient->next_within(Milliseconds(30'000));
    CHECK(answer_23.has_value());
  });
}

TEST_CASE("native client: requests, one and many answers") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client asking = connected(loop, port());
    const Client answering = connected(loop, port(), text_packets());
    auto requests = co_await answering.subscribe("native.double");
    REQUIRE(requests.ok());
    std::optional<Result<Message>> reply;
    asking.request("native.double", 21, {}, [&reply](Result<Message> r) { reply = std::move(r); });
    const auto request = co_await requests->next();
    REQUIRE(request.has_value());
    CHECK_FALSE(request->reply_subject().empty());
    const auto responded = co_await answering.respond(*request, 2 * data_of(*request).number_or(0));
    REQUIRE(responded.ok());
    CHECK(responded->count == 1);
    while (!reply) co_await asio::post(loop, asio::use_awaitable);
    REQUIRE(reply->ok());
    CHECK(data_of(**reply) == Value(42));

    auto many = asking.request_many("native.double", 3);
    REQUIRE(many.ok());
    const auto asked = co_await requests->next();
    const Value::Array parts = array(1, "two", nullptr);
    for (const Value& part : parts) {
      REQUIRE(answering.respond_now(*asked, part).ok());
    }
    const auto answer_24 = co_await many->next();
    CHECK(data_of(*answer_24) == Value(1));
    const auto answer_25 = co_await many->next();
    CHECK(data_of(*answer_25) == Value("two"));
    const auto answer_26 = co_await many->next();
    CHECK_FALSE(answer_26.has_value());
    CHECK_FALSE(many->error().has_value());

    auto nobody = asking.request_many("native.nobody.at.all", 3);
    REQUIRE(nobody.ok());
    const auto answer_27 = co_await nobody->next();
    CHECK_FALSE(answer_27.has_value());
    REQUIRE(nobody->error().has_value());
    CHECK(nobody->error()->code.number == 503);
    // To a message that is no request nothing is answered.
    const Message no_request;
    const auto nothing = co_await answering.respond(no_request, 1);
    REQUIRE(nothing.ok());
    CHECK(nothing->count == 0);
  });
}

TEST_CASE("native client: services") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client server = connected(loop, port());
    const Client other_server = connected(loop, port());
    const Client client = connected(loop, port(), text_packets());
    ServiceMethods methods;
    methods["add"] = [](Message, Value::Array arguments) -> Awaitable<Result<Value>> {
      double sum = 0;
      for (const Value& argument : arguments) sum += argument.number_or(0);
      co_return Value(sum);
    };
    methods["fail"] = [](Message, Value::Array) -> Awaitable<Result<Value>> {
      co_return Error(ErrorCode{429, ""}, "too much");
    };
    methods["throw"] = [](Message, Value::Array) -> Awaitable<Result<Value>> {
      throw std::runtime_error("thrown");
      co_return Value();
    };
    auto service = co_await server.service("native.service", methods);
    REQUIRE(service.ok());
    const auto sum = co_await client.call("native.service", "add", array(1, 2, 3));
    REQUIRE(sum.ok());
    CHECK(*sum == Value(6));
    const auto failed = co_await client.call("native.service", "fail");
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error().text == "Error: too much");
    CHECK(failed.error().code.number == 429);
    const auto thrown = co_await client.call("native.service", "throw");
    REQUIRE_FALSE(thrown.ok());
    CHECK(thrown.error().text == "Error: thrown");
    const auto missing = co_await client.call("native.service", "toString");
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().text == "Error: toString not defined");

    ServiceSettings other_group;
    other_group.queue = "1";
    auto second = co_await other_server.service("native.service", methods, other_group);
    REQUIRE(second.ok());
    RequestManySettings settings;
    settings.max_messages = 2;
    auto sums = client.call_many("native.service", "add", array(2, 2), settings);
    REQUIRE(sums.ok());
    int answers = 0;
    while (const auto answer = co_await sums->next()) {
      const auto value = service_result(*answer);
      REQUIRE(value.ok());
      CHECK(*value == Value(4));
      ++answers;
    }
    CHECK(answers == 2);
    service->close();
    second->close();
    // Closing does not wait: the caller's broker may not have heard of it yet.
    for (;;) {
      const auto interest = co_await client.interest("native.service");
      REQUIRE(interest.ok());
      if (!*interest) break;
    }
    const auto answer_28 = co_await client.call("native.service", "add");
    CHECK(answer_28.error().code.number == 503);
  });
}

TEST_CASE("native client: interest, and what the server knows") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    const Client other = connected(loop, port());
    const auto answer_29 = co_await client.wait_until_signed_in(Milliseconds(30'000));
    REQUIRE(answer_29.ok());
    CHECK(client.signed_in());
    CHECK(client.state() == ClientState::connected);
    CHECK(client.info().find("max_payload")->integer_or(0) == 8'000'000);
    CHECK(client.id().size() == 10);
    const auto answer_30 = co_await client.interest("native.interest");
    CHECK(*answer_30 == false);
    const auto none = co_await client.wait_for_interest("native.interest", Milliseconds(50));
    REQUIRE_FALSE(none.ok());
    CHECK(none.error().code.number == 408);
    std::optional<bool> came;
    client.wait_for_interest(
        "native.interest", Milliseconds(30'000),
        [&came](const Result<bool>& interest) { came = interest.ok() && *interest; });
    auto subscription = co_await other.subscribe("native.*");
    while (!came) co_await asio::post(loop, asio::use_awaitable);
    CHECK(*came);
    // Publishing waits for somebody, too.
    PublishSettings waiting;
    waiting.wait_for_interest = true;
    std::optional<std::uint64_t> count;
    client.publish("later.native", 1, waiting, [&count](const Result<PublishResult>& result) {
      count = result.ok() ? result->count : 0;
    });
    auto later = co_await other.subscribe("later.*");
    const auto answer_31 = co_await later->next();
    REQUIRE(answer_31.has_value());
    while (!count) co_await asio::post(loop, asio::use_awaitable);
    CHECK(*count == 1);
    const auto cluster = co_await client.cluster();
    REQUIRE(cluster.ok());
    REQUIRE(cluster->size() == 1);
    CHECK(cluster->front().rfind("http://", 0) == 0);
  });
}

TEST_CASE("native client: a message of many chunks passes whole, to one of a queue group") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client sender = connected(loop, port());
    const Client receiver = connected(loop, port(), text_packets());
    const Client other = connected(loop, port());
    auto first = co_await receiver.subscribe("native.big", queue("q"));
    auto second = co_await other.subscribe("native.big", queue("q"));
    Bytes bytes(20'000'000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
    const auto sent = co_await sender.publish("native.big", Value(bytes));
    REQUIRE(sent.ok());
    CHECK(sent->count == 1);
    while (first->buffered() + second->buffered() == 0) {
      co_await asio::post(loop, asio::use_awaitable);
    }
    auto& taker = first->buffered() > 0 ? *first : *second;
    const auto message = co_await taker.next();
    REQUIRE(message.has_value());
    const Value got = data_of(*message);
    REQUIRE(got.if_binary() != nullptr);
    CHECK((*got.if_binary() == bytes));
    CHECK(first->buffered() + second->buffered() == 0);
  });
}
