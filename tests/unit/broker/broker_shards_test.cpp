#include <algorithm>
#include <catch2/catch.hpp>

#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

using Texts = std::vector<std::string>;

Value added() { return json(R"({"status":"added"})"); }

BrokerOptions shards(ShardIndex n) {
  BrokerOptions options;
  options.shard_count = n;
  return options;
}

std::unique_ptr<TestClient> connected(World& world, ShardIndex shard,
                                      PacketEncoding encoding = PacketEncoding::text) {
  auto client = world.client(encoding, shard);
  client->connect();
  return client;
}

Value request(std::string_view pattern, std::string_view queue) {
  return Value(Value::Map{{"subject", Value(pattern)}, {"queue", Value(queue)}});
}

}  // namespace

TEST_CASE("a publish reaches the subscribers of all shards", "[broker][shards]") {
  World world(shards(3));
  const auto publisher = connected(world, 0, any_encoding());
  std::vector<std::unique_ptr<TestClient>> subscribers;
  for (ShardIndex shard = 0; shard < 3; ++shard) {
    for (int i = 0; i < 4; ++i) {
      const auto encoding = i % 2 == 0 ? PacketEncoding::text : PacketEncoding::msgpack;
      subscribers.push_back(connected(world, shard, encoding));
      CHECK(subscribers.back()->subscribe("a.*", std::to_string(shard * 10 + i)) == added());
    }
  }
  subscribers[11]->subscribe("a.>", "more");
  subscribers[11]->subscribe(">", "tap");
  CHECK(publisher->publish("a.b") == count(13));
  for (std::size_t i = 0; i < 11; ++i)
    CHECK(subscribers[i]->take_deliveries() == Texts{"a.* a.b id"});
  Texts got = subscribers[11]->take_deliveries();
  std::sort(got.begin(), got.end());
  CHECK(got == Texts{"> a.b id", "a.* a.b id", "a.> a.b id"});
  for (std::size_t i = 0; i < 11; ++i) {
    subscribers[i]->ask("unsubscribe", {Value(Value::Map{{"subject", Value("a.*")}})});
  }
  CHECK(publisher->publish("a.b") == count(2));
  subscribers[11]->close();
  CHECK(publisher->publish("a.b") == count(0));
}

TEST_CASE("a queue group over shards is one group, weighted by its members", "[broker][shards]") {
  World world(shards(3));
  const auto publisher = connected(world, 1, any_encoding());
  std::vector<std::unique_ptr<TestClient>> workers;
  for (const int shard : {0, 0, 0, 1, 2}) {
    workers.push_back(connected(world, static_cast<ShardIndex>(shard)));
    workers.back()->subscribe("job", "w");
  }
  const int total = 5000;
  for (int i = 0; i < total; ++i) CHECK(publisher->publish("job") == count(1));
  std::size_t sum = 0;
  for (const auto& worker : workers) {
    const std::size_t got = worker->take_deliveries().size();
    CHECK(got > 850);
    CHECK(got < 1150);
    sum += got;
  }
  CHECK(sum == total);
}

TEST_CASE("subscribe is acknowledged when every shard knows", "[broker][shards]") {
  World world(shards(3));
  const auto subscriber = connected(world, 0, any_encoding());
  const auto here = connected(world, 0);
  world.deliver_mail_at_once = false;
  subscriber->emit("subscribe", {request("a", "q")}, 1);
  subscriber->emit("subscribe", {Value(Value::Array{request("b", "q"), request("c", "q")})}, 2);
  CHECK_FALSE(subscriber->take_ack(1).has_value());
  CHECK(here->publish("a") == count(1));  // this shard delivers at once
  CHECK(subscriber->take_deliveries() == Texts{"a a id"});
  // What changes nothing waits for nobody.
  CHECK(subscriber->subscribe("a", "q") == json(R"({"status":"already-added"})"));
  CHECK(subscriber->subscribe("..", "q").find("error") != nullptr);
  subscriber->emit("unsubscribe", {request("a", "q")}, 3);
  CHECK_FALSE(subscriber->take_ack(3).has_value());
  while (world.deliver_mail()) {
  }
  CHECK(*subscriber->take_ack(1) == added());
  CHECK(*subscriber->take_ack(2) == Value(Value::Array{added(), added()}));
  CHECK(subscriber->take_ack(3)->is_null());
}

TEST_CASE("an acknowledged subscription is served by whatever shard", "[broker][shards]") {
  const auto seed = GENERATE(range(1u, 21u));
  World world(shards(4), seed);
  world.deliver_mail_at_once = false;
  const auto subscriber = connected(world, 0);
  std::vector<std::unique_ptr<TestClient>> publishers;
  for (ShardIndex shard = 0; shard < 4; ++shard) publishers.push_back(connected(world, shard));
  subscriber->emit("subscribe", {request("s.*", "q")}, 1);
  while (!subscriber->take_ack(1)) REQUIRE(world.deliver_mail());
  for (const auto& publisher : publishers) CHECK(publisher->publish("s.x") == count(1));
  while (world.deliver_mail()) {
  }
  CHECK(subscriber->take_deliveries().size() == 4);
}

TEST_CASE("a connection that closes before its subscribe is acknowledged", "[broker][shards]") {
  World world(shards(2));
  world.deliver_mail_at_once = false;
  const auto subscriber = connected(world, 0);
  const auto publisher = connected(world, 1);
  subscriber->emit("subscribe", {request("a", "q")}, 1);
  subscriber->close();
  while (world.deliver_mail()) {
  }
  CHECK(publisher->publish("a") == count(0));
}

TEST_CASE("a message on its way to a subscriber that leaves is dropped", "[broker][shards]") {
  World world(shards(2));
  const auto subscriber = connected(world, 0);
  const auto publisher = connected(world, 1, any_encoding());
  subscriber->subscribe("a", "q");
  world.deliver_mail_at_once = false;
  CHECK(publisher->publish("a") == count(1));
  subscriber->emit("unsubscribe", {request("a", "q")});
  subscriber->emit("subscribe", {request("a", "another")});
  while (world.deliver_mail()) {
  }
  CHECK(subscriber->take_deliveries().empty());
  CHECK(publisher->publish("a") == count(1));
}

TEST_CASE("wait-for-interest hears of subscribers on other shards", "[broker][shards]") {
  World world(shards(2));
  const auto waiting = connected(world, 0, any_encoding());
  const auto subscriber = connected(world, 1);
  waiting->emit("wait-for-interest", {json(R"({"subject":"a.b"})")}, 1);
  subscriber->subscribe(">", "q");
  CHECK_FALSE(waiting->take_ack(1).has_value());
  subscriber->subscribe("a.*", "q");
  CHECK(*waiting->take_ack(1) == Value(true));
  CHECK(waiting->ask("wait-for-interest", {json(R"({"subject":"a.c","timeout":0})")}) ==
        Value(true));
  subscriber->close();
  CHECK(waiting->ask("wait-for-interest", {json(R"({"subject":"a.c","timeout":0})")}) ==
        Value(false));
}

TEST_CASE("chunks stay together over shards", "[broker][shards]") {
  const auto seed = GENERATE(range(1u, 6u));
  World world(shards(3), seed);
  const auto publisher = connected(world, 0, any_encoding());
  std::vector<std::unique_ptr<TestClient>> workers;
  for (int i = 0; i < 6; ++i) {
    workers.push_back(connected(world, static_cast<ShardIndex>(i % 3)));
    workers.back()->subscribe("big", "w");
  }
  const auto own = connected(world, 2);
  own->subscribe("big", "own");
  for (int m = 0; m < 30; ++m) {
    const std::string id = "m" + std::to_string(m);
    std::vector<std::unique_ptr<TestClient>> late;
    for (std::uint64_t sequence = 0; sequence < 4; ++sequence) {
      CHECK(publisher->publish("big", id, sequence, sequence == 3) == count(2));
      // Somebody joins in the middle, on every shard.
      if (sequence == 1 && m % 10 == 0) {
        for (ShardIndex shard = 0; shard < 3; ++shard) {
          late.push_back(connected(world, shard));
          late.back()->subscribe("big", "w");
        }
      }
    }
    std::size_t takers = 0;
    for (const auto& worker : workers) {
      const std::size_t got = worker->take_deliveries().size();
      CHECK((got == 0 || got == 4));
      takers += got == 4 ? 1 : 0;
    }
    CHECK(takers == 1);
    CHECK(own->take_deliveries().size() == 4);
    for (const auto& client : late) {
      CHECK(client->take_deliveries().empty());
      client->close();
    }
  }
}

TEST_CASE("messages to another shard stay in order", "[broker][shards]") {
  World world(shards(2));
  const auto subscriber = connected(world, 0);
  const auto publisher = connected(world, 1, any_encoding());
  subscriber->subscribe("a", "q");
  world.deliver_mail_at_once = false;
  Texts expected;
  for (int i = 0; i < 50; ++i) {
    const std::string id = std::to_string(i);
    publisher->publish("a", id);
    expected.push_back("a a " + id);
  }
  while (world.deliver_mail()) {
  }
  CHECK(subscriber->take_deliveries() == expected);
}

TEST_CASE("one message goes to a shard however many takers it has there", "[broker][shards]") {
  World world(shards(2));
  const auto publisher = connected(world, 0, any_encoding());
  std::vector<std::unique_ptr<TestClient>> subscribers;
  for (int i = 0; i < 50; ++i) {
    subscribers.push_back(connected(world, 1));
    subscribers.back()->subscribe(i % 2 == 0 ? "a.*" : "a.>", "own" + std::to_string(i));
  }
  world.deliver_mail_at_once = false;
  CHECK(publisher->publish("a.b") == count(50));
  REQUIRE(world.mail[1].size() == 1);
  const auto* block = std::get_if<peer::ForwardBlock>(&world.mail[1].front());
  REQUIRE(block != nullptr);
  CHECK(block->count() == 1);
  CHECK(peer::ForwardReader(*block).next()->groups.size() == 50);
  CHECK(memory_bytes(world.mail[1].front()) > 50 * sizeof(peer::Group));
  while (world.deliver_mail()) {
  }
  for (const auto& subscriber : subscribers) CHECK(subscriber->take_deliveries().size() == 1);
}

TEST_CASE("messages of shards that do not exist are ignored", "[broker][shards]") {
  World world(shards(2));
  world.broker().on_peer(world.now, 7, peer::InterestSync{1});
  world.broker().on_peer(world.now, 0, peer::InterestSync{1});
  world.broker().on_peer(world.now, 1, peer::InterestSynced{12345});
  world.broker().on_peer(world.now, 1, peer::ReleaseSender{99});
  BrokerEffect effect;
  CHECK_FALSE(world.broker().next(effect));
}
