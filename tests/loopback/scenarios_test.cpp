// Everyday use, client against broker, in both encodings and across shards.
#include <catch2/catch.hpp>
#include <map>

#include "loopback/world.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

// Keeps what clients report until a test asks for it.
struct Log {
  template <class Effect>
  struct Entry {
    std::size_t client;
    Effect effect;
  };
  std::vector<Entry<effects::MessageArrived>> messages;
  std::map<CallId, effects::PublishDone> published[8];
  std::map<CallId, effects::ReplyArrived> replies[8];
  std::map<CallId, effects::InterestDone> interests[8];
  std::map<SubscriptionId, std::optional<Error>> subscribed[8];

  void operator()(std::size_t client, ClientEffect& effect) {
    if (auto* arrived = std::get_if<effects::MessageArrived>(&effect)) {
      messages.push_back({client, std::move(*arrived)});
    } else if (auto* done = std::get_if<effects::PublishDone>(&effect)) {
      published[client].emplace(done->call, *done);
    } else if (auto* reply = std::get_if<effects::ReplyArrived>(&effect)) {
      replies[client].emplace(reply->call, std::move(*reply));
    } else if (auto* interest = std::get_if<effects::InterestDone>(&effect)) {
      interests[client].emplace(interest->call, *interest);
    } else if (auto* confirmed = std::get_if<effects::SubscribeDone>(&effect)) {
      subscribed[client].emplace(confirmed->subscription, confirmed->error);
    }
  }
};

struct Fixture {
  explicit Fixture(ShardIndex shards, std::size_t clients, std::size_t max_payload = 0) {
    WorldOptions options;
    options.seed = 11 + shards;
    options.shards = shards;
    if (max_payload != 0) options.broker.max_payload_bytes = max_payload;
    world = std::make_unique<World>(
        options, [this](std::size_t client, ClientEffect& effect) { log(client, effect); });
    for (std::size_t i = 0; i < clients; ++i) {
      world->client(world->add_client()).connect(world->now());
    }
    REQUIRE(world->run_until([this] { return everyone_ready(); }, 5000));
  }
  bool everyone_ready() {
    for (std::size_t i = 0; i < world->clients(); ++i) {
      if (!world->client(i).inbox_ready()) return false;
    }
    return true;
  }
  SubscriptionId subscribe(std::size_t client, std::string_view pattern, std::string queue = "") {
    SubscribeOptions options;
    options.queue = std::move(queue);
    const auto id = world->client(client).subscribe(world->now(), kUser, pattern, options);
    REQUIRE(id.ok());
    REQUIRE(world->run_until([&] { return log.subscribed[client].count(*id) != 0; }, 5000));
    REQUIRE_FALSE(log.subscribed[client].at(*id).has_value());
    return *id;
  }
  Result<PublishResult> publish(std::size_t client, std::string_view subject, MessageData message,
                                const PublishOptions& options = {}) {
    const auto call =
        world->client(client).publish(world->now(), kUser, subject, std::move(message), options);
    REQUIRE(call.ok());
    REQUIRE(world->run_until([&] { return log.published[client].count(*call) != 0; }, 60'000));
    return log.published[client].at(*call).result;
  }
  effects::ReplyArrived request(std::size_t client, std::string_view subject, const Value& value,
                                const RequestOptions& options = {}) {
    const auto call = world->client(client).request(world->now(), kUser, subject,
                                                    MessageData::of(value), options);
    REQUIRE(call.ok());
    REQUIRE(world->run_until([&] { return log.replies[client].count(*call) != 0; }, 60'000));
    return log.replies[client].at(*call);
  }

  Log log;
  std::unique_ptr<World> world;
};

}  // namespace

TEST_CASE("loopback: messages reach everyone, whatever the encoding and the shard") {
  const auto shards = GENERATE(ShardIndex{1}, ShardIndex{3});
  Fixture fixture(shards, 4);
  fixture.subscribe(0, "news.*");
  fixture.subscribe(1, "news.>");
  fixture.subscribe(3, "news.today");
  const Value value(Value::Map{{"text", Value("Grüße")},
                               {"bytes", Value(Bytes{0, 255, 1})},
                               {"number", Value(-1.5)},
                               {"none", Value()}});
  const Headers headers(Value(Value::Map{{"h", Value(Value::Array{Value(1), Value("two")})}}));
  for (std::size_t publisher = 0; publisher < 4; ++publisher) {
    fixture.log.messages.clear();
    const auto result = fixture.publish(publisher, "news.today", MessageData::of(value, headers));
    REQUIRE(result.ok());
    CHECK(result->count == 3);
    fixture.world->run_for(100);
    REQUIRE(fixture.log.messages.size() == 3);
    for (const auto& [client, arrived] : fixture.log.messages) {
      CHECK(arrived.message.subject == "news.today");
      CHECK(*arrived.message.data.decode() == value);
      CHECK(arrived.message.data.headers.value() == headers.value());
    }
  }
}

TEST_CASE("loopback: a queue group shares the work, chunks of one message stay together") {
  const auto shards = GENERATE(ShardIndex{1}, ShardIndex{2});
  Fixture fixture(shards, 4, 120'000);
  for (std::size_t i = 0; i < 3; ++i) fixture.subscribe(i, "work", "w");
  MessageData big;
  big.raw.resize(95'000);
  for (std::size_t i = 0; i < big.raw.size(); ++i) big.raw[i] = static_cast<std::uint8_t>(i / 97);
  std::vector<int> taken(3, 0);
  for (int round = 0; round < 30; ++round) {
    fixture.log.messages.clear();
    const auto result = fixture.publish(3, "work", big);
    REQUIRE(result.ok());
    CHECK(result->count == 1);
    CHECK(result->bytes == big.raw.size());
    fixture.world->run_for(100);
    REQUIRE(fixture.log.messages.size() == 1);
    CHECK(fixture.log.messages[0].effect.message.data.raw == big.raw);
    ++taken[fixture.log.messages[0].client];
  }
  for (const int count : taken) CHECK(count > 0);
}

TEST_CASE("loopback: requests are answered; nobody there is known at once") {
  const auto shards = GENERATE(ShardIndex{1}, ShardIndex{3});
  Fixture fixture(shards, 3);
  const auto none = fixture.request(0, "double", Value(1));
  CHECK(none.reply.error().code.number == 503);
  fixture.subscribe(1, "double", "0");
  for (std::size_t asker : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    const auto call = fixture.world->client(asker).request(fixture.world->now(), kUser, "double",
                                                           MessageData::of(Value(21)));
    REQUIRE(call.ok());
    fixture.log.messages.clear();
    REQUIRE(fixture.world->run_until([&] { return !fixture.log.messages.empty(); }, 1000));
    const Message& asked = fixture.log.messages[0].effect.message;
    PublishOptions options;
    options.wait_for_interest = true;
    const auto answered =
        fixture.publish(1, asked.reply_subject(),
                        MessageData::of(Value(asked.data.decode()->integer_or(0) * 2)), options);
    REQUIRE(answered.ok());
    CHECK(answered->count == 1);
    fixture.world->run_for(100);
    CHECK(fixture.log.replies[asker].at(*call).reply->data.decode()->integer_or(0) == 42);
  }
  RequestOptions brief;
  brief.timeout_ms = 300;
  CHECK(fixture.request(0, "double", Value(1), brief).reply.error().code.number == 408);
}

TEST_CASE("loopback: interest, and publishes that wait for it") {
  const auto shards = GENERATE(ShardIndex{1}, ShardIndex{2});
  Fixture fixture(shards, 2);
  World& world = *fixture.world;
  PublishOptions options;
  options.wait_for_interest = true;
  const auto call =
      world.client(0).publish(world.now(), kUser, "later", MessageData::of(Value(1)), options);
  REQUIRE(call.ok());
  world.run_for(5000);
  CHECK(fixture.log.published[0].empty());
  fixture.subscribe(1, "later");
  world.run_for(200);
  REQUIRE(fixture.log.published[0].count(*call) == 1);
  CHECK(fixture.log.published[0].at(*call).result->count == 1);
  CHECK(fixture.log.messages.size() == 1);

  const auto question = world.client(0).wait_for_interest(world.now(), kUser, "never", 500);
  world.run_for(499);
  CHECK(fixture.log.interests[0].empty());
  world.run_for(1);
  REQUIRE(fixture.log.interests[0].count(*question) == 1);
  CHECK(fixture.log.interests[0].at(*question).interest.error().code.number == 408);
}

TEST_CASE("loopback: a hundred megabytes pass while the broker holds little of it") {
  Fixture fixture(1, 2, 1'000'000);
  fixture.subscribe(1, "big");
  MessageData big;
  big.raw.resize(100'000'000, 7);
  const auto result = fixture.publish(0, "big", std::move(big));
  REQUIRE(result.ok());
  CHECK(result->count == 1);
  fixture.world->run_for(1000);
  REQUIRE(fixture.log.messages.size() == 1);
  CHECK(fixture.log.messages[0].effect.message.data.raw.size() == 100'000'000);
}

TEST_CASE("loopback: after the broker's restart clients come back and are complete") {
  Fixture fixture(2, 4);
  for (std::size_t i = 0; i < 4; ++i) fixture.subscribe(i, "all.>");
  World& world = *fixture.world;
  world.restart_broker();
  world.run_for(10);
  REQUIRE(world.run_until([&] { return fixture.everyone_ready(); }, 20'000));
  world.run_for(20'000);
  fixture.log.messages.clear();
  const auto result = fixture.publish(0, "all.x", MessageData::of(Value(1)));
  REQUIRE(result.ok());
  CHECK(result->count == 4);
  world.run_for(100);
  CHECK(fixture.log.messages.size() == 4);
}
