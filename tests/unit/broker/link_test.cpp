// Brokers that join others.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "link_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

using Texts = std::vector<std::string>;

BrokerOptions named(std::string id, ShardIndex shards) {
  BrokerOptions options;
  options.id = std::move(id);
  options.shard_count = shards;
  return options;
}

LinkOptions link_options(std::string id, ShardIndex shards) {
  LinkOptions options;
  options.id = std::move(id);
  options.shard_count = shards;
  options.index = shards;
  return options;
}

// Broker `b`, of two shards, has joined `a`, of three.
struct Pair {
  World a{named("a", 3), 1};
  World b{named("b", 2), 2};
  Joined joined{b, a, link_options("b", 2), 1};
};

std::unique_ptr<TestClient> connected(World& world, ShardIndex shard,
                                      PacketEncoding encoding = PacketEncoding::text) {
  auto client = world.client(encoding, shard);
  client->connect();
  return client;
}

Value pattern(std::string_view text) { return Value(Value::Map{{"subject", Value(text)}}); }

Value::Array subscription(std::string_view text, std::string_view queue) {
  return {Value(Value::Map{{"subject", Value(text)}, {"queue", Value(queue)}})};
}

}  // namespace

TEST_CASE("a broker counts and serves the subscribers of one that it has joined", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  const auto early = connected(a, 0, any_encoding());
  early->subscribe("news.*", "early");
  const auto publisher = connected(b, 1, any_encoding());
  CHECK(publisher->publish("news.x") == count(0));
  joined.start();
  REQUIRE(joined.link.up());
  CHECK(joined.link.broker_id() == "a");
  CHECK(joined.link.broker_cluster() == "default");
  CHECK(publisher->publish("news.x") == count(1));
  joined.pump();
  CHECK(early->take_deliveries() == Texts{"news.* news.x id"});

  const auto late = connected(a, 2);
  late->emit("subscribe", subscription("news.>", "late"), 1);
  joined.pump();
  CHECK(late->take_ack(1) == json(R"({"status":"added"})"));
  const auto here = connected(b, 0);
  here->subscribe("news.x", "here");
  CHECK(publisher->publish("news.x") == count(3));
  joined.pump();
  CHECK(early->take_deliveries().size() == 1);
  CHECK(late->take_deliveries() == Texts{"news.> news.x id"});
  CHECK(here->take_deliveries().size() == 1);

  early->emit("unsubscribe", {pattern("news.*")});
  late->close();
  joined.pump();
  CHECK(publisher->publish("news.x") == count(1));
  // It was one direction.
  const auto on_a = connected(a, 0);
  CHECK(on_a->publish("news.x") == count(0));
}

TEST_CASE("interest of a joined broker ends waiting for it", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  const auto waiting = connected(b, 1);
  waiting->emit("wait-for-interest", {pattern("a.b")}, 7);
  const auto tap = connected(a, 0);
  tap->emit("subscribe", subscription(">", "tap"));
  joined.pump();
  CHECK_FALSE(waiting->take_ack(7));
  CHECK(waiting->publish("a.b") == count(0));  // and yet the tap hears it
  joined.pump();
  CHECK(tap->take_deliveries() == Texts{"> a.b id"});
  tap->emit("subscribe", subscription("a.*", "q"));
  joined.pump();
  CHECK(waiting->take_ack(7) == Value(true));
}

TEST_CASE("a queue group over both brokers gets each message once", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  std::vector<std::unique_ptr<TestClient>> members;
  for (ShardIndex shard = 0; shard < 3; ++shard) members.push_back(connected(a, shard));
  for (ShardIndex shard = 0; shard < 2; ++shard) members.push_back(connected(b, shard));
  for (const auto& member : members) member->emit("subscribe", subscription("work", "q"));
  joined.pump();
  const auto publisher = connected(b, 0);
  const int messages = 1000;
  for (int i = 0; i < messages; ++i) CHECK(publisher->publish("work") == count(1));
  joined.pump();
  std::size_t all = 0;
  for (const auto& member : members) {
    const std::size_t got = member->take_deliveries().size();
    CHECK(got > messages / 5 / 2);
    CHECK(got < messages / 5 * 2);
    all += got;
  }
  CHECK(all == messages);
}

TEST_CASE("the chunks of a message stay on one member over a link", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  std::vector<std::unique_ptr<TestClient>> members;
  for (int i = 0; i < 6; ++i)
    members.push_back(connected(i < 4 ? a : b, static_cast<ShardIndex>(i % 2)));
  for (const auto& member : members) member->emit("subscribe", subscription("big", "q"));
  joined.pump();
  std::vector<std::unique_ptr<TestClient>> publishers;
  for (int i = 0; i < 2; ++i) publishers.push_back(connected(b, static_cast<ShardIndex>(i)));
  const int messages = 40;
  const int chunks = 5;
  for (int i = 0; i < messages; i += 10) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      for (int j = i; j < i + 10; ++j) {
        // Both use the same ids.
        for (const auto& publisher : publishers) {
          publisher->publish("big", "m" + std::to_string(j), static_cast<std::uint64_t>(chunk),
                             chunk == chunks - 1);
        }
      }
      joined.pump();
    }
  }
  std::size_t on_a = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::map<std::string, int> got;
    for (const std::string& delivery : members[i]->take_deliveries()) ++got[delivery];
    for (const auto& [delivery, times] : got) CHECK(times % chunks == 0);
    if (i < 4) on_a += got.size();
  }
  CHECK(on_a > 0);
}

TEST_CASE("brokers that join each other make no loop", "[link]") {
  Pair pair;
  auto& [a, b, there] = pair;
  Joined& joined = there;
  Joined back(a, b, link_options("a", 3));
  const auto pump_both = [&] {
    for (int i = 0; i < 4; ++i) {
      joined.pump();
      back.pump();
    }
  };
  joined.start();
  back.start();
  pump_both();
  REQUIRE(joined.link.up());
  REQUIRE(back.link.up());
  const auto on_a = connected(a, 2);
  const auto on_b = connected(b, 1);
  on_a->emit("subscribe", subscription("x", "a"), 1);
  on_b->emit("subscribe", subscription("x", "b"), 1);
  pump_both();
  CHECK(on_a->take_ack(1));
  CHECK(on_b->take_ack(1));
  CHECK(on_a->publish("x") == count(2));
  CHECK(on_b->publish("x") == count(2));
  pump_both();
  CHECK(on_a->take_deliveries().size() == 2);
  CHECK(on_b->take_deliveries().size() == 2);
  on_a->close();
  pump_both();
  CHECK(on_b->publish("x") == count(1));
  on_b->close();
  pump_both();
  CHECK(connected(a, 0)->publish("x") == count(0));
  CHECK(connected(b, 0)->publish("x") == count(0));
}

TEST_CASE("a subscribe is acknowledged when joined brokers know of it, or after a second",
          "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  const ShardIndex shard = GENERATE(as<ShardIndex>(), 0, 1);  // the link's is 1
  const auto client = connected(a, shard);
  client->emit("subscribe", subscription("one", "q"), 1);
  CHECK_FALSE(client->take_ack(1));
  joined.pump();
  CHECK(client->take_ack(1));

  joined.deaf = true;
  client->emit("subscribe", subscription("two", "q"), 2);
  joined.advance(900);
  CHECK_FALSE(client->take_ack(2));
  joined.advance(200);
  CHECK(client->take_ack(2));
  // It is not waited for any more, until it has caught up.
  client->emit("subscribe", subscription("three", "q"), 3);
  CHECK(client->take_ack(3));
  joined.deaf = false;
  joined.pump();
  client->emit("subscribe", subscription("four", "q"), 4);
  CHECK_FALSE(client->take_ack(4));
  joined.pump();
  CHECK(client->take_ack(4));
  // One that goes is not waited for either.
  joined.deaf = true;
  client->emit("subscribe", subscription("five", "q"), 5);
  CHECK_FALSE(client->take_ack(5));
  joined.cut();
  CHECK(client->take_ack(5));
}

TEST_CASE("a link that is lost comes back, and what was for the old one is dropped", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  const auto reader = connected(a, 0);
  reader->emit("subscribe", subscription("x", "q"));
  joined.pump();
  const auto publisher = connected(b, 1);
  CHECK(publisher->publish("x") == count(1));  // is still on its way when the link is lost
  joined.unreachable = true;
  joined.cut();
  CHECK(joined.downs == Texts{"lost"});
  CHECK(joined.link.counters().dropped == 1);
  CHECK(publisher->publish("x") == count(0));
  joined.advance(10'000);
  CHECK_FALSE(joined.link.up());
  joined.unreachable = false;
  joined.advance(12'000);
  REQUIRE(joined.link.up());
  CHECK(publisher->publish("x") == count(1));
  joined.pump();
  CHECK(reader->take_deliveries().size() == 1);
  CHECK(a.broker(1).counters().joined_by == 1);

  joined.link.stop(b.now);
  joined.pump();
  CHECK(joined.gone);
  CHECK(publisher->publish("x") == count(0));
  CHECK(a.broker(1).counters().joined_by == 0);
}

TEST_CASE("who may link, and with whom", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  SECTION("no other user than a hub") {
    joined.user = R"({"account_id":"x"})";
    joined.start();
    CHECK(joined.downs.at(0).find("does not know the system account") != std::string::npos);
  }
  SECTION("nobody who is refused") {
    joined.user = R"({"error":"wrong password","code":401})";
    joined.start();
    CHECK(joined.downs == Texts{"it refused the system account: wrong password"});
  }
  SECTION("not with a broker of the same id") {
    Joined self(a, a, link_options("a", 3));
    self.start();
    CHECK(self.downs.at(0).find("brokers of a cluster need different ones") != std::string::npos);
  }
  SECTION("a broker that does not answer is given up") {
    joined.deaf = true;
    joined.start();
    joined.advance(10'100);
    CHECK(joined.downs == Texts{"no answer after 10000 ms"});
  }
}

TEST_CASE("nobody but a linked broker chooses targets", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  joined.start();
  const auto reader = connected(a, 0);
  reader->emit("subscribe", subscription("x", "q"));
  joined.pump();
  peer::ForwardedPublish forwarded;
  forwarded.sender = 5;
  const std::vector<peer::Group> groups{std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 1};
  forwarded.groups = groups;
  forwarded.publish.subject = "x";
  const Result<WireMessage> message = link::encode_forward(forwarded);
  REQUIRE(message.ok());
  Handshake handshake;
  handshake.identity = Identity{json(R"({"hub_id":"h"})"), {}, {}};
  const auto hub = a.client(PacketEncoding::msgpack, 0, std::move(handshake));
  hub->connect();
  const auto anybody = connected(a, 0, PacketEncoding::msgpack);
  for (TestClient* client : {hub.get(), anybody.get()}) {
    client->messages({*message});
    client->messages(link::encode_numbers(link::event::sender_closed, {5}));
    client->messages(link::encode_numbers(link::event::applied, {1}));
  }
  CHECK(reader->take_deliveries().empty());
  CHECK(a.broker(0).counters().malformed_events == 6);
  CHECK(anybody->ask("link", {json(R"({"version":1})")}) ==
        json(R"({"error":"permission denied joining from null","code":403})"));
  CHECK(hub->ask("link", {json(R"({"version":2})")}).find("code")->integer_or(0) == 400);
  CHECK(hub->ask("link", {json(R"({"version":1})")}) == json(R"({"status":"linked"})"));
  hub->messages({*message});
  a.settle();
  CHECK(reader->take_deliveries() == Texts{"x x"});
}

TEST_CASE("streams are stored in one place", "[link]") {
  World a(named("a", 1), 1);
  World b(named("b", 1), 2);
  LinkOptions options = link_options("b", 1);
  options.takes_storage = GENERATE(false, true);
  Joined joined(b, a, options);
  const auto server = connected(a, 0);
  server->subscribe("persist.*.id", "0");
  joined.start();
  const Value expected = count(options.takes_storage ? 1 : 0);
  CHECK(connected(b, 0)->publish("persist.hub.id") == expected);
}

TEST_CASE("senders are held up by a link that is behind, which is given up at its bound",
          "[link]") {
  World a(named("a", 1), 1);
  World b(named("b", 1), 2);
  LinkOptions options = link_options("b", 1);
  options.max_queue_bytes = 4u << 20;
  Joined joined(b, a, options);
  const auto reader = connected(a, 0);
  reader->subscribe("x", "q");
  joined.start();
  joined.writes = false;
  const auto publisher = connected(b, 0);
  const std::string raw(100'000, 'x');
  for (int i = 0; i < 100 && !publisher->reading_paused; ++i) {
    publisher->publish("x", "id", 0, true, raw);
    joined.pump();
  }
  CHECK(publisher->reading_paused);
  CHECK(joined.link.unsent_bytes() < options.max_queue_bytes / 4);
  joined.link.on_written(b.now, 0, 1u << 20);
  joined.pump();
  CHECK_FALSE(publisher->reading_paused);

  const auto other = connected(b, 0);
  for (int i = 0; i < 50 && joined.downs.empty(); ++i) {
    other->publish("x", "id", 0, true, raw);
    joined.pump();
  }
  REQUIRE(joined.downs.size() == 1);
  CHECK(joined.downs[0].find("it takes too little") == 0);
  CHECK_FALSE(other->reading_paused);
  CHECK(publisher->publish("x") == count(0));
}

TEST_CASE("a reader that is behind holds up senders beyond a link", "[link]") {
  BrokerOptions a_options = named("a", 2);
  a_options.max_queue_bytes = 4u << 20;
  a_options.max_payload_bytes = 500'000;
  World a(a_options, 1);
  World b(named("b", 1), 2);
  Joined joined(b, a, link_options("b", 1));
  const ShardIndex shard = GENERATE(as<ShardIndex>(), 0, 1);  // the link's is 0
  const auto reader = connected(a, shard);
  reader->subscribe("x", "q");
  joined.start();
  a.write_at_once = false;
  const auto publisher = connected(b, 0);
  const std::string raw(100'000, 'x');
  for (int i = 0; i < 30 && !publisher->reading_paused; ++i) {
    publisher->publish("x", "id", 0, true, raw);
    // The link's own connection keeps up.
    a.broker(0).on_written(a.now, joined.transport->id,
                           std::exchange(joined.transport->unwritten, 0));
    joined.pump();
  }
  CHECK(publisher->reading_paused);
  REQUIRE(reader->open);
  a.broker(shard).on_written(a.now, reader->id, std::exchange(reader->unwritten, 0));
  a.drain(shard);
  joined.pump();
  CHECK_FALSE(publisher->reading_paused);
  publisher->close();
  joined.pump();
  CHECK(reader->open);
}

TEST_CASE("many groups are told in batches, and each change once", "[link]") {
  Pair pair;
  auto& [a, b, joined] = pair;
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(connected(a, static_cast<ShardIndex>(i % 3)));
    for (int j = 0; j < 400; ++j) {
      clients.back()->subscribe("s." + std::to_string(i) + "." + std::to_string(j), "queue");
    }
  }
  joined.start();
  REQUIRE(joined.link.up());
  CHECK(joined.link.groups() == 3200);
  const auto publisher = connected(b, 0);
  CHECK(publisher->publish("s.7.399") == count(1));
  clients[7]->emit("unsubscribe", {pattern("s.7.399")});
  clients[7]->emit("subscribe", subscription("s.7.399", "queue"));
  clients[6]->close();
  joined.pump();
  CHECK(publisher->publish("s.7.399") == count(1));
  CHECK(publisher->publish("s.6.0") == count(0));
  CHECK(joined.link.groups() == 2800);
}
