// Slow readers: bounds, cutting off, and holding senders up.
#include <catch2/catch.hpp>

#include "broker_world.hpp"
#include "conat/broker/reader_congestion.hpp"

using namespace conat;
using namespace conat::test;

namespace {

constexpr std::size_t kPiece = 4096;       // bytes of a message
constexpr std::size_t kBound = 1u << 20;   // of a queue
constexpr std::size_t kHigh = kBound / 8;  // the high-water mark
constexpr std::size_t kLow = kHigh / 2;
constexpr std::size_t kProof = kHigh / 8;  // what a sender publishes before it counts as exclusive

BrokerOptions small_queues(ShardIndex shard_count = 1) {
  BrokerOptions options;
  options.max_queue_bytes = kBound;
  options.shard_count = shard_count;
  return options;
}

// Clients whose queues leave the shell only when the test says so.
struct Scene {
  explicit Scene(ShardIndex shard_count = 1) : world(small_queues(shard_count)) {}

  std::unique_ptr<TestClient> reader(std::string_view pattern, ShardIndex shard = 0) {
    auto client = world.client(PacketEncoding::msgpack, shard);
    client->connect();
    client->subscribe(pattern, "own" + std::to_string(client->id));
    world.write_at_once = false;
    return client;
  }
  std::unique_ptr<TestClient> sender(ShardIndex shard = 0) {
    world.write_at_once = true;
    auto client = world.client(PacketEncoding::msgpack, shard);
    client->connect();
    world.write_at_once = false;
    return client;
  }
  void publish(TestClient& sender, std::string_view subject) {
    PublishChunk chunk;
    chunk.subject = subject;
    chunk.id = "id";
    chunk.raw = payload;
    sender.messages(encode_publish(sender.encoding, chunk, std::nullopt));
  }
  // Publishes until the sender is held or so many bytes were sent; returns them.
  std::size_t flood(TestClient& sender, std::string_view subject, std::size_t most) {
    std::size_t sent = 0;
    while (sent < most && sender.open && !sender.reading_paused) {
      publish(sender, subject);
      sent += kPiece;
    }
    return sent;
  }
  void write(TestClient& client, std::uint64_t bytes) {
    bytes = std::min(bytes, client.unwritten);
    client.unwritten -= bytes;
    world.broker(client.shard).on_written(world.now, client.id, bytes);
    world.settle();
  }
  void write_all(TestClient& client) { write(client, client.unwritten); }

  World world;
  Bytes payload = Bytes(kPiece, 7);
};

}  // namespace

TEST_CASE("a reader beyond its bound is cut off, the others are not", "[broker][pressure]") {
  Scene scene;
  const auto slow = scene.reader("a");
  const auto quick = scene.reader("a");
  const auto sender = scene.sender();
  for (int i = 0; i < 300 && slow->open; ++i) {
    scene.publish(*sender, "a");
    scene.write_all(*quick);
    CHECK_FALSE(sender->reading_paused);  // on account of a publish that quick got, too
  }
  CHECK_FALSE(slow->open);
  CHECK(slow->close_code == WebSocketCloseCode::try_again_later);
  CHECK(slow->close_reason == "slow-consumer");
  CHECK_FALSE(slow->flushed);
  CHECK(slow->unwritten > kBound);
  CHECK(slow->unwritten < kBound + 2 * kPiece);
  CHECK(quick->open);
  CHECK(scene.world.broker().counters().slow_consumers == 1);
  CHECK(scene.world.broker().counters().connections_open == 2);
  for (const Packet& packet : slow->take_packets()) CHECK(packet.kind != PacketKind::disconnect);
  scene.publish(*sender, "a");
  CHECK(quick->unwritten > 0);
}

TEST_CASE("the only reader of a sender is waited for as long as it takes something",
          "[broker][pressure]") {
  Scene scene;
  const auto reader = scene.reader("a");
  const auto sender = scene.sender();
  CHECK(scene.flood(*sender, "a", kBound) <= kHigh + 2 * kPiece);
  REQUIRE(sender->reading_paused);
  // The first hold is brief: the sender may have others to serve.
  scene.world.advance(100);
  scene.write(*reader, 1000);
  scene.world.advance(149);
  CHECK(sender->reading_paused);
  scene.world.advance(1);
  CHECK_FALSE(sender->reading_paused);
  // It has not: from now on the reader sets the pace.
  CHECK(scene.flood(*sender, "a", kBound) <= kProof + 2 * kPiece);
  REQUIRE(sender->reading_paused);
  for (int i = 0; i < 200 && reader->unwritten >= kLow; ++i) {
    CHECK(sender->reading_paused);
    scene.write(*reader, 1000);
    scene.world.advance(100);
  }
  CHECK_FALSE(sender->reading_paused);
  CHECK(reader->open);
  // And again, with a reader that takes it all at once.
  for (int round = 0; round < 10; ++round) {
    CHECK(scene.flood(*sender, "a", kBound) < kBound / 4);
    REQUIRE(sender->reading_paused);
    scene.write_all(*reader);
    CHECK_FALSE(sender->reading_paused);
  }
  CHECK(scene.world.broker().counters().slow_consumers == 0);
}

TEST_CASE("the only reader of large messages gets one at a time", "[broker][pressure][shards]") {
  const ShardIndex shards = GENERATE(ShardIndex{1}, ShardIndex{2});
  constexpr std::size_t kLarge = kHigh * 9 / 10;
  constexpr std::size_t kRest = kHigh / 8192;
  Scene scene(shards);
  scene.payload = Bytes(kLarge, 7);
  const auto reader = scene.reader("a", shards - 1);
  const auto sender = scene.sender();
  std::uint64_t most = 0;
  for (int i = 0; i < 50; ++i) {
    scene.publish(*sender, "a");
    most = std::max(most, reader->unwritten);
    REQUIRE(sender->reading_paused);
    if (i > 0 || shards > 1) {  // here the first hold is brief, the sender being unknown
      scene.world.advance(300);
      CHECK(sender->reading_paused);
    }
    scene.write(*reader, reader->unwritten - kRest);
    CHECK(sender->reading_paused);
    scene.write(*reader, 1);
    CHECK_FALSE(sender->reading_paused);
  }
  CHECK(most < kLarge + kRest + 1000);
  if (shards > 1) return;  // what is known of takers on other shards is less
  // That it took its time does not make it one that is behind: it still protects its senders.
  scene.write_all(*reader);
  scene.payload = Bytes(kPiece, 7);
  const auto slow = scene.reader("a");
  for (int i = 0; i < 100; ++i) {
    scene.publish(*sender, "a");
    CHECK_FALSE(sender->reading_paused);
    scene.write_all(*reader);
  }
}

TEST_CASE("large messages to several readers are not held up by one of them",
          "[broker][pressure]") {
  Scene scene;
  scene.payload = Bytes(kHigh * 9 / 10, 7);
  const auto slow = scene.reader("a");
  const auto quick = scene.reader("a");
  const auto sender = scene.sender();
  for (int i = 0; i < 20 && slow->open; ++i) {
    scene.publish(*sender, "a");
    CHECK_FALSE(sender->reading_paused);
    scene.write_all(*quick);
  }
  CHECK_FALSE(slow->open);
  CHECK(quick->open);
}

TEST_CASE("a reader that takes nothing holds its sender for a moment and is cut off",
          "[broker][pressure]") {
  Scene scene;
  const auto dead = scene.reader("a");
  const auto sender = scene.sender();
  scene.flood(*sender, "a", kBound);
  REQUIRE(sender->reading_paused);
  scene.world.advance(ReaderCongestion::progress_check_ms);
  CHECK_FALSE(sender->reading_paused);
  CHECK(scene.flood(*sender, "a", 2 * kBound) > kBound * 3 / 4);
  CHECK_FALSE(dead->open);
  CHECK_FALSE(sender->reading_paused);
  CHECK(dead->close_reason == "slow-consumer");
  CHECK(scene.world.broker().counters().slow_consumers == 1);
}

TEST_CASE("a sender with other readers is held 4 % of the time at most", "[broker][pressure]") {
  Scene scene;
  const auto slow = scene.reader("slow");
  const auto quick = scene.reader("quick");
  const auto sender = scene.sender();
  std::int64_t held_ms = 0;
  std::int64_t total_ms = 0;
  for (; total_ms < 60'000 && slow->open; ++total_ms) {
    if (sender->reading_paused) {
      ++held_ms;
    } else {
      scene.publish(*sender, "quick");
      scene.write_all(*quick);
      if (total_ms % 100 == 0) {
        for (int i = 0; i < 2; ++i) scene.publish(*sender, "slow");
      }
    }
    if (total_ms % 100 == 50) scene.write(*slow, kPiece);  // it takes half of what it gets
    if (total_ms % 20'000 == 0) {
      for (TestClient* client : {slow.get(), quick.get(), sender.get()}) client->text("3");
    }
    scene.world.advance(1);
  }
  CAPTURE(held_ms, total_ms);
  CHECK_FALSE(slow->open);  // in the end
  CHECK(quick->open);
  CHECK(held_ms > 0);
  CHECK(held_ms <= 250 + total_ms * 4 / 100);
}

TEST_CASE("a sender that publishes to itself comes free", "[broker][pressure]") {
  Scene scene;
  const auto self = scene.reader("me");
  scene.flood(*self, "me", kBound);
  REQUIRE(self->reading_paused);
  SECTION("by time, when it does not read") {
    scene.world.advance(ReaderCongestion::progress_check_ms);
    CHECK_FALSE(self->reading_paused);
    scene.flood(*self, "me", 2 * kBound);
    CHECK_FALSE(self->open);
  }
  SECTION("when it reads") {
    scene.write_all(*self);
    CHECK_FALSE(self->reading_paused);
    CHECK(scene.flood(*self, "me", 2 * kBound) < kBound / 4);
  }
}

TEST_CASE("senders that wait for each other come free", "[broker][pressure]") {
  Scene scene;
  const auto one = scene.reader("one");
  const auto two = scene.reader("two");
  scene.flood(*one, "two", kBound);
  scene.flood(*two, "one", kBound);
  REQUIRE(one->reading_paused);
  REQUIRE(two->reading_paused);
  scene.world.advance(250);
  CHECK_FALSE(one->reading_paused);
  CHECK_FALSE(two->reading_paused);
}

TEST_CASE("a reader that goes lets its senders go", "[broker][pressure]") {
  Scene scene;
  const auto reader = scene.reader("a");
  const auto sender = scene.sender();
  scene.flood(*sender, "a", kBound);
  REQUIRE(sender->reading_paused);
  SECTION("by closing") { reader->close(); }
  SECTION("by unsubscribing and reading") {
    reader->emit("unsubscribe", {json(R"({"subject":"a"})")});
    CHECK(sender->reading_paused);
    scene.write_all(*reader);
  }
  CHECK_FALSE(sender->reading_paused);
}

TEST_CASE("a held sender may go, too", "[broker][pressure]") {
  Scene scene;
  const auto reader = scene.reader("a");
  const auto sender = scene.sender();
  scene.flood(*sender, "a", kBound);
  REQUIRE(sender->reading_paused);
  sender->close();
  scene.write_all(*reader);
  scene.world.advance(1000);
  CHECK(reader->open);
  CHECK(scene.world.broker().counters().connections_open == 1);
}

TEST_CASE("the broker's own clients are waited for and never cut off", "[broker][pressure]") {
  Scene scene;
  Handshake handshake;
  handshake.in_process = true;
  scene.world.write_at_once = false;
  const auto own = scene.world.client(PacketEncoding::text, 0, handshake);
  own->text("40");
  own->text("430[]");
  own->text(R"(421["subscribe",{"subject":"a","queue":"0"}])");
  const auto quick = scene.reader("a");
  const auto sender = scene.sender();
  for (int i = 0; i < 1000 && !sender->reading_paused; ++i) {
    scene.publish(*sender, "a");
    scene.write_all(*quick);
  }
  REQUIRE(sender->reading_paused);
  scene.world.advance(10'000);
  CHECK(sender->reading_paused);
  scene.write_all(*own);
  CHECK_FALSE(sender->reading_paused);
  // What other senders do at the same time is bounded by their being held, not by cutting off.
  for (int i = 0; i < 20; ++i) {
    const auto another = scene.sender();
    scene.flood(*another, "a", kBound / 4);
    scene.write_all(*quick);
  }
  CHECK(own->open);
}

TEST_CASE("a reader that is far behind and stalls is cut off though it answers pings",
          "[broker][pressure]") {
  Scene scene;
  const auto reader = scene.reader("a");
  const auto sender = scene.sender();
  scene.flood(*sender, "a", kBound / 4);
  for (int i = 0; i < 10 && reader->open; ++i) {
    scene.world.advance(15'000);
    if (reader->open) reader->text("3");
    if (sender->open) sender->text("3");
  }
  CHECK_FALSE(reader->open);
  CHECK(reader->close_reason == "slow-consumer");
  CHECK(sender->open);
}

TEST_CASE("senders on other shards are held, too", "[broker][pressure][shards]") {
  Scene scene(2);
  const auto reader = scene.reader("a", 1);
  const auto sender = scene.sender(0);
  const std::size_t first = scene.flood(*sender, "a", kBound);
  CHECK(first <= kHigh + 2 * kPiece);
  REQUIRE(sender->reading_paused);
  SECTION("until the reader has caught up") {
    for (int round = 0; round < 10; ++round) {
      scene.world.advance(10);
      scene.write_all(*reader);
      CHECK_FALSE(sender->reading_paused);
      CHECK(scene.flood(*sender, "a", kBound) < kBound / 4);
      REQUIRE(sender->reading_paused);
    }
    CHECK(reader->open);
  }
  SECTION("for a moment by one that takes nothing") {
    scene.world.advance(ReaderCongestion::progress_check_ms);
    CHECK_FALSE(sender->reading_paused);
    scene.flood(*sender, "a", 2 * kBound);
    CHECK_FALSE(reader->open);
    CHECK_FALSE(sender->reading_paused);
  }
  SECTION("and may go") {
    sender->close();
    scene.write_all(*reader);
    scene.world.advance(1000);
    CHECK(reader->open);
  }
  SECTION("and are let go when the reader goes") {
    reader->close();
    CHECK_FALSE(sender->reading_paused);
  }
}

TEST_CASE("a sender with quick readers on the other shard is held briefly",
          "[broker][pressure][shards]") {
  Scene scene(2);
  const auto slow = scene.reader("slow", 1);
  const auto quick = scene.reader("quick", 1);
  const auto sender = scene.sender(0);
  std::int64_t held_ms = 0;
  std::int64_t total_ms = 0;
  for (; total_ms < 60'000 && slow->open; ++total_ms) {
    if (sender->reading_paused) {
      ++held_ms;
    } else {
      scene.publish(*sender, "quick");
      scene.write_all(*quick);
      if (total_ms % 100 == 0) {
        for (int i = 0; i < 2; ++i) scene.publish(*sender, "slow");
      }
    }
    if (total_ms % 100 == 50) scene.write(*slow, kPiece);
    if (total_ms % 20'000 == 0) {
      for (TestClient* client : {slow.get(), quick.get(), sender.get()}) client->text("3");
    }
    scene.world.advance(1);
  }
  CAPTURE(held_ms, total_ms);
  CHECK_FALSE(slow->open);
  CHECK(quick->open);
  CHECK(held_ms > 0);
  CHECK(held_ms <= 250 + total_ms * 4 / 100);
}
