// The rate limits of connections: who sends too much is read from more slowly, and loses nothing.
#include <catch2/catch.hpp>

#include "broker_world.hpp"
#include "conat/broker/rate_meter.hpp"

using namespace conat;
using namespace conat::test;

namespace {

BrokerOptions limited(std::uint64_t messages, std::uint64_t bytes, std::int64_t burst_ms = 1000) {
  BrokerOptions options;
  options.rate_limits = {messages, bytes, burst_ms};
  return options;
}

// Publishes without asking for an answer.
void send(TestClient& client, std::string_view raw) {
  PublishChunk chunk;
  chunk.subject = "a";
  chunk.id = "id";
  chunk.raw = as_bytes(raw);
  client.messages(encode_publish(client.encoding, chunk, std::nullopt));
}

// Publishes one message after the other while the connection is read from; returns how many.
int publish_while_read(TestClient& client, int most = 10'000) {
  int count = 0;
  while (count < most && client.open && !client.reading_paused) {
    send(client, "x");
    ++count;
  }
  return count;
}

// The same over a while.
int publish_for(World& world, TestClient& client, std::int64_t ms) {
  int count = publish_while_read(client);
  for (std::int64_t passed = 0; passed < ms; passed += 10) {
    world.advance(10);
    count += publish_while_read(client);
  }
  return count;
}

}  // namespace

TEST_CASE("a meter's bucket fills at its rate up to its burst", "[broker][rate]") {
  const RateLimits limits{10, 0, 2000};
  RateMeter meter;
  meter.start(5000, limits);
  CHECK(meter.take(5000, limits, 20, 1'000'000) == 0);
  CHECK(meter.take(5000, limits, 1, 0) == 100);
  CHECK(meter.take(5050, limits, 0, 0) == 50);
  CHECK(meter.take(5100, limits, 0, 0) == 0);
  CHECK(meter.take(5100, limits, 5, 0) == 500);
  CHECK(meter.take(5599, limits, 0, 0) == RateMeter::min_pause_ms);
  CHECK(meter.take(1'000'000'000, limits, 20, 0) == 0);  // a long rest fills it no further
  CHECK(meter.take(1'000'000'000, limits, 1, 0) == 100);
}

TEST_CASE("a meter takes the stricter one of messages and bytes", "[broker][rate]") {
  const RateLimits limits{100, 1000, 1000};
  RateMeter meter;
  meter.start(0, limits);
  CHECK(meter.take(0, limits, 100, 1000) == 0);
  CHECK(meter.take(0, limits, 1, 500) == 500);
  CHECK(meter.take(0, limits, 99, 0) == 1000);
}

TEST_CASE("a meter survives rates and amounts of any size", "[broker][rate]") {
  const RateLimits limits{~std::uint64_t{0}, ~std::uint64_t{0}, std::int64_t{1} << 62};
  RateMeter meter;
  meter.start(0, limits);
  CHECK(meter.take(std::int64_t{1} << 60, limits, 1000, ~std::uint64_t{0}) == 0);
  const RateLimits slow{1, 1, 1};
  meter.start(0, slow);
  CHECK(meter.take(0, slow, 1, 1) > 0);
}

TEST_CASE("without limits nobody is held up", "[broker][rate]") {
  World world;
  const auto client = world.client();
  client->connect();
  CHECK(publish_while_read(*client) == 10'000);
  CHECK(world.broker().counters().rate_pauses == 0);
}

TEST_CASE("messages come at their rate, none is lost, others are not affected", "[broker][rate]") {
  World world(limited(100, 0));
  const auto flood = world.client();
  const auto other = world.client();
  const auto reader = world.client();
  for (TestClient* client : {flood.get(), other.get(), reader.get()}) client->connect();
  reader->subscribe("a", "q");
  const int count = publish_for(world, *flood, 10'000);
  CHECK(count >= 1000);
  CHECK(count <= 1100 + 10);
  CHECK(static_cast<int>(reader->take_deliveries().size()) == count);
  CHECK(world.broker().counters().rate_pauses > 0);
  CHECK_FALSE(other->reading_paused);
  CHECK(other->publish("a").find("count")->integer_or(0) == 1);
  CHECK(flood->open);
}

TEST_CASE("bytes come at their rate", "[broker][rate]") {
  World world(limited(0, 10'000));
  const auto client = world.client(PacketEncoding::msgpack);
  client->connect();
  const std::uint64_t before = world.broker().counters().bytes_received;
  std::size_t sent = 0;
  for (int i = 0; i < 1000; ++i) {
    while (!client->reading_paused) {
      client->publish("a", "id", 0, true, std::string(1000, 'b'));
      sent += 1000;
    }
    world.advance(10);
  }
  CHECK(sent >= 90'000);
  CHECK(sent <= 110'000);
  CHECK(world.broker().counters().bytes_received - before >= sent);
}

TEST_CASE("one message may be larger than all credit, and is paid for afterwards",
          "[broker][rate]") {
  World world(limited(0, 1000));
  const auto client = world.client(PacketEncoding::msgpack);
  client->connect();
  client->publish("a", "id", 0, true, std::string(61'000, 'b'));
  CHECK(client->reading_paused);
  world.advance(55'000);
  CHECK(client->reading_paused);
  CHECK(client->open);  // pings go on, and no pong is missed
  world.advance(8000);
  CHECK_FALSE(client->reading_paused);
}

TEST_CASE("a connection that is not read from stays, and is closed when it is silent afterwards",
          "[broker][rate]") {
  BrokerOptions options = limited(0, 1000);
  options.ping_interval_ms = 2000;
  options.ping_timeout_ms = 1000;
  World world(options);
  const auto client = world.client(PacketEncoding::msgpack);
  client->connect();
  client->take_texts();
  client->publish("a", "id", 0, true, std::string(21'000, 'b'));
  REQUIRE(client->reading_paused);
  world.advance(19'000);
  REQUIRE(client->reading_paused);
  REQUIRE(client->open);
  std::size_t pings = 0;
  for (const auto& packet : client->take_packets()) {
    if (packet.kind == PacketKind::engine_ping) ++pings;
  }
  CHECK(pings >= 8);
  for (int i = 0; i < 30 && client->reading_paused; ++i) world.advance(100);
  CHECK_FALSE(client->reading_paused);
  world.advance(800);  // its time for the pong begins anew
  CHECK(client->open);
  world.advance(3000);
  CHECK_FALSE(client->open);
  CHECK(client->close_reason == "keep-alive");
}

TEST_CASE("rate and back pressure: reading goes on when both allow it", "[broker][rate]") {
  BrokerOptions options = limited(0, 100'000);
  options.max_queue_bytes = 1u << 20;
  World world(options);
  const auto reader = world.client(PacketEncoding::msgpack);
  reader->connect();
  reader->subscribe("a", "q");
  const auto sender = world.client(PacketEncoding::msgpack);
  sender->connect();
  world.write_at_once = false;
  const std::string payload(50'000, 'p');
  // Fills the only reader's queue over its mark, far beyond the sender's rate.
  for (int i = 0; i < 8; ++i) send(*sender, payload);
  REQUIRE(sender->reading_paused);
  SECTION("the reader catches up first") {
    const auto bytes = std::exchange(reader->unwritten, 0);
    world.broker().on_written(world.now, reader->id, bytes);
    world.settle();
    CHECK(sender->reading_paused);
    world.advance(5000);
    CHECK_FALSE(sender->reading_paused);
  }
  SECTION("the credit comes first") {
    world.advance(10'000);
    CHECK(sender->open);
    const auto bytes = std::exchange(reader->unwritten, 0);
    world.broker().on_written(world.now, reader->id, bytes);
    world.settle();
    CHECK_FALSE(sender->reading_paused);
  }
}

TEST_CASE("hubs and the broker's own clients send as they like", "[broker][rate]") {
  World world(limited(10, 0));
  const auto hub = world.user_client(R"({"hub_id":"h"})");
  hub->connect();
  CHECK(publish_while_read(*hub, 1000) == 1000);
  const auto account =
      world.user_client(R"({"account_id":"00000000-0000-4000-8000-000000000001"})");
  account->connect();
  CHECK(publish_while_read(*account, 1000) < 20);
  Handshake handshake;
  handshake.in_process = true;
  const auto own = world.client(PacketEncoding::text, 0, handshake);
  own->connect();
  CHECK(publish_while_read(*own, 1000) == 1000);
}

TEST_CASE("what was compressed does not count as waiting, nor as taken", "[broker]") {
  World world;
  const auto client = world.client();
  client->connect();
  world.write_at_once = false;
  client->subscribe("a", "q");
  const std::uint64_t waiting = client->unwritten;
  REQUIRE(waiting > 0);
  world.broker().on_compressed(world.now, client->id, waiting);
  world.broker().on_compressed(world.now, client->id, 1'000'000);  // more than there is: harmless
  world.broker().on_compressed(world.now, client->id + 1, 5);      // nobody
  CHECK(client->open);
}
