#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

using Texts = std::vector<std::string>;

std::unique_ptr<TestClient> connected(World& world,
                                      PacketEncoding encoding = PacketEncoding::text) {
  auto client = world.client(encoding);
  client->connect();
  return client;
}

}  // namespace

TEST_CASE("messages cross between the encodings", "[broker][routing]") {
  World world;
  const auto publisher = connected(world, any_encoding());
  const auto text = connected(world, PacketEncoding::text);
  const auto msgpack = connected(world, PacketEncoding::msgpack);
  text->subscribe("a.*", "1");
  msgpack->subscribe("a.*", "2");
  text->take_texts();
  msgpack->take_texts();
  PublishChunk chunk;
  chunk.subject = "a.b";
  chunk.id = "0123456789";
  chunk.raw = as_bytes("\xa2hi");
  const Bytes headers = encode_msgpack(json(R"({"CN-Reply":"r.x","n":[1,null]})"));
  chunk.headers = headers;
  publisher->messages(encode_publish(publisher->encoding, chunk, 7));
  CHECK(*publisher->take_ack(7) == count(2));
  CHECK(
      text->take_texts() ==
      Texts{
          R"(451-["a.*",{"subject":"a.b","data":["0123456789",0,1,0,{"_placeholder":true,"num":0},{"CN-Reply":"r.x","n":[1,null]}]}])",
          "bin:a26869"});
  const std::vector<Packet> packets = msgpack->take_packets();
  REQUIRE(packets.size() == 1);
  CHECK(packets[0].name == "a.*");
  CHECK(packets[0].arguments.at(0).find("subject")->text_or("") == "a.b");
  CHECK(*packets[0].arguments[0].find("data") ==
        Value(Value::Array{Value("0123456789"), Value(0), Value(1), Value(0),
                           Value(to_bytes("\xa2hi")), json(R"({"CN-Reply":"r.x","n":[1,null]})")}));
}

TEST_CASE("a queue group gets each message once, at random, alone or not", "[broker][routing]") {
  World world;
  const auto publisher = connected(world, any_encoding());
  std::vector<std::unique_ptr<TestClient>> workers;
  for (int i = 0; i < 4; ++i) {
    workers.push_back(
        connected(world, i % 2 == 0 ? PacketEncoding::text : PacketEncoding::msgpack));
    workers.back()->subscribe("job", "w");
  }
  const auto watcher = connected(world);
  watcher->subscribe("job", "own");
  const int total = 2000;
  for (int i = 0; i < total; ++i) CHECK(publisher->publish("job") == count(2));
  std::size_t sum = 0;
  for (const auto& worker : workers) {
    const std::size_t got = worker->take_deliveries().size();
    CHECK(got > total / 4 - 150);
    CHECK(got < total / 4 + 150);
    sum += got;
  }
  CHECK(sum == total);
  CHECK(watcher->take_deliveries().size() == total);
}

TEST_CASE("groups of different patterns are apart", "[broker][routing]") {
  World world;
  const auto client = connected(world, any_encoding());
  client->subscribe("a.b", "q");
  client->subscribe("a.*", "q");
  client->subscribe("a.>", "q");
  client->subscribe("*.b", "q");
  client->subscribe("b.*", "q");
  CHECK(client->publish("a.b") == count(4));
  Texts got = client->take_deliveries();
  std::sort(got.begin(), got.end());
  CHECK(got == Texts{"*.b a.b id", "a.* a.b id", "a.> a.b id", "a.b a.b id"});
}

TEST_CASE("messages of one connection stay in order", "[broker][routing]") {
  World world;
  const auto publisher = connected(world, any_encoding());
  const auto subscriber = connected(world, any_encoding());
  subscriber->subscribe("o.*", "q");
  Bytes raw;
  Texts expected;
  for (int i = 0; i < 100; ++i) {
    PublishChunk chunk;
    chunk.subject = "o.x";
    const std::string id = std::to_string(i);
    chunk.id = id;
    for (const WireMessage& message : encode_publish(publisher->encoding, chunk, std::nullopt)) {
      append_masked_frame(raw, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                          message.payload, 99);
    }
    expected.push_back("o.* o.x " + id);
  }
  publisher->bytes(raw);
  CHECK(subscriber->take_deliveries() == expected);
}

TEST_CASE("what was buffered while away does not come back to its sender", "[broker][routing]") {
  World world;
  const auto client = world.client(any_encoding());
  const auto other = connected(world);
  client->connect(false);
  client->subscribe("a", "mine");
  client->subscribe("job", "w");
  other->subscribe("a", "other");
  other->subscribe("job", "w");
  const auto publish_without_ack = [&](std::string_view subject) {
    PublishChunk chunk;
    chunk.subject = subject;
    chunk.id = "id";
    client->messages(encode_publish(client->encoding, chunk, std::nullopt));
  };
  publish_without_ack("a");
  CHECK(client->take_deliveries().empty());
  CHECK(other->take_deliveries() == Texts{"a a id"});
  for (int i = 0; i < 20; ++i) publish_without_ack("job");
  CHECK(client->take_deliveries().empty());
  CHECK(other->take_deliveries().size() == 20);
  // With an ack it does come.
  CHECK(client->publish("a") == count(2));
  CHECK(client->take_deliveries() == Texts{"a a id"});
  other->take_deliveries();
  client->messages(encode_ack(client->encoding, 0, {}));
  publish_without_ack("a");
  CHECK(client->take_deliveries() == Texts{"a a id"});
}

TEST_CASE("the chunks of a message stay together", "[broker][routing]") {
  World world;
  const auto publisher = connected(world, any_encoding());
  std::vector<std::unique_ptr<TestClient>> workers;
  for (int i = 0; i < 5; ++i) {
    workers.push_back(connected(world, any_encoding()));
    workers.back()->subscribe("big", "w");
  }
  std::set<std::size_t> chosen;
  for (int m = 0; m < 40; ++m) {
    const std::string id = "m" + std::to_string(m);
    for (std::uint64_t sequence = 0; sequence < 6; ++sequence) {
      CHECK(publisher->publish("big", id, sequence, sequence == 5) == count(1));
    }
    std::size_t takers = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      const std::size_t got = workers[i]->take_deliveries().size();
      if (got == 0) continue;
      CHECK(got == 6);
      ++takers;
      chosen.insert(i);
    }
    CHECK(takers == 1);
  }
  CHECK(chosen.size() == workers.size());
}

TEST_CASE("two messages in pieces at once, by several senders", "[broker][routing]") {
  World world;
  const auto one = connected(world, any_encoding());
  const auto two = connected(world, any_encoding());
  std::vector<std::unique_ptr<TestClient>> workers;
  for (int i = 0; i < 3; ++i) {
    workers.push_back(connected(world));
    workers.back()->subscribe("big", "w");
  }
  // The same id from both senders: they have nothing to do with each other.
  for (std::uint64_t sequence = 0; sequence < 30; ++sequence) {
    one->publish("big", "a", sequence, sequence == 29, "1");
    one->publish("big", "b", sequence, sequence == 29, "1");
    two->publish("big", "a", sequence, sequence == 29, "2");
  }
  std::size_t whole = 0;
  for (const auto& worker : workers) {
    std::map<std::string, std::size_t> got;
    for (const std::string& line : worker->take_deliveries()) ++got[line];
    for (const auto& [line, n] : got) {
      CHECK(n % 30 == 0);
      whole += n / 30;
    }
  }
  CHECK(whole == 3);
}

TEST_CASE("members that join or leave during a message in pieces", "[broker][routing]") {
  World world;
  const auto publisher = connected(world, any_encoding());
  const auto first = connected(world);
  first->subscribe("big", "w");
  const auto total = [](const std::vector<TestClient*>& clients) {
    std::size_t n = 0;
    for (TestClient* client : clients) n += client->take_deliveries().size();
    return n;
  };
  SECTION("those who join get none of it") {
    publisher->publish("big", "m", 0, false);
    std::vector<std::unique_ptr<TestClient>> late;
    for (int i = 0; i < 10; ++i) {
      late.push_back(connected(world));
      late.back()->subscribe("big", "w");
    }
    for (std::uint64_t s = 1; s < 20; ++s) publisher->publish("big", "m", s, s == 19);
    CHECK(first->take_deliveries().size() == 20);
    for (const auto& client : late) CHECK(client->take_deliveries().empty());
  }
  SECTION("when the chosen one leaves, nobody gets the rest") {
    const auto second = connected(world);
    second->subscribe("big", "w");
    publisher->publish("big", "m", 0, false);
    TestClient* chosen = first->take_deliveries().empty() ? second.get() : first.get();
    TestClient* other = chosen == first.get() ? second.get() : first.get();
    chosen->close();
    CHECK(publisher->publish("big", "m", 1, false) == count(0));
    CHECK(publisher->publish("big", "m", 2, true) == count(0));
    CHECK(total({other}) == 0);
    CHECK(publisher->publish("big", "n", 0, true) == count(1));
  }
}

TEST_CASE("a subscriber to thousands of patterns and many subscribers to one",
          "[broker][routing]") {
  BrokerOptions options;
  options.max_subscriptions_per_client = 5000;
  World world(options);
  const auto wide = connected(world, any_encoding());
  for (int i = 0; i < 3000; ++i) wide->subscribe("w." + std::to_string(i) + ".*", "q");
  CHECK(wide->publish("w.1234.x") == count(1));
  std::vector<std::unique_ptr<TestClient>> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(connected(world, i % 2 == 0 ? PacketEncoding::text : PacketEncoding::msgpack));
    many.back()->subscribe("news", "own" + std::to_string(i));
  }
  CHECK(wide->publish("news") == count(300));
  for (const auto& client : many) CHECK(client->take_deliveries() == Texts{"news news id"});
  for (int i = 0; i < 3000; i += 2) {
    wide->emit("unsubscribe", {Value::Map{{"subject", Value("w." + std::to_string(i) + ".*")}}});
  }
  CHECK(wide->ask("subscriptions", {Value()}).if_array()->size() == 1500);
  CHECK(wide->publish("w.1234.x") == count(0));
  CHECK(wide->publish("w.1235.x") == count(1));
}

TEST_CASE("counters", "[broker][routing]") {
  World world;
  const auto client = connected(world, any_encoding());
  client->subscribe("a", "q");
  client->subscribe(">", "q");
  client->publish("a");
  client->publish("b");
  const BrokerCounters& counters = world.broker().counters();
  CHECK(counters.messages_received == 2);
  CHECK(counters.deliveries == 3);
  CHECK(counters.bytes_received > 0);
  CHECK(counters.match_cache_misses == 2);
  client->publish("a");
  CHECK(world.broker().counters().match_cache_hits == 1);
}
