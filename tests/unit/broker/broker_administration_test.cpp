// What administrators see of connections and do to them.
#include <catch2/catch.hpp>
#include <numeric>

#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

std::uint64_t closes(const Broker& broker, CloseReason reason) {
  return broker.counters().closes[static_cast<std::size_t>(reason)];
}

Handshake from(std::string_view user, const char* address) {
  return {address, Identity{json(user), {}, {}}, false};
}

}  // namespace

TEST_CASE("connections are described as the system service shows them", "[broker]") {
  World world;
  const PacketEncoding encoding = any_encoding();
  const auto idle = world.client();  // has not signed in
  const auto own = world.client(encoding, 0, {"in-process", std::nullopt, true});
  own->masked = false;
  own->connect();
  world.now = 5000;
  const auto client = world.client(encoding, 0, from(R"({"account_id":"a"})", "10.0.0.1"));
  client->connect();
  client->subscribe("account.a.>", "q");
  world.now = 6000;
  client->publish("account.a.x", "one", 0, true, "12345678");
  client->publish("account.a.x", "two", 0, true, "123");
  client->emit("stats", {json(R"({"recv0":{"messages":7,"bytes":99}})")});
  const auto all = world.broker().describe_connections();
  REQUIRE(all.size() == 1);
  CHECK(all[0].sid.size() == 20);
  CHECK(all[0].user == json(R"({"account_id":"a"})"));
  CHECK(all[0].address == "10.0.0.1");
  CHECK(all[0].sent.messages == 2);
  CHECK(all[0].sent.bytes == 11);
  CHECK(all[0].received.messages == 7);
  CHECK(all[0].received.bytes == 99);
  CHECK(all[0].subscriptions == 1);
  CHECK(all[0].connected_at == 5000);
  CHECK(all[0].active_at == 6000);
}

TEST_CASE("what is counted begins anew when a client signs in again", "[broker]") {
  World world;
  const auto client = world.client(any_encoding());
  client->connect();
  client->publish("a", "one", 0, true, "12345678");
  client->messages(encode_disconnect(client->encoding));
  CHECK(world.broker().describe_connections().empty());
  world.now = 9000;
  client->connect();
  const auto all = world.broker().describe_connections();
  REQUIRE(all.size() == 1);
  CHECK(all[0].sent.messages == 0);
  CHECK(all[0].connected_at == 9000);
}

TEST_CASE("disconnect tells clients to go and closes them", "[broker]") {
  World world;
  const auto leaving = world.client(any_encoding());
  const auto staying = world.client(any_encoding());
  leaving->connect();
  const std::string sid = world.broker().describe_connections().at(0).sid;
  staying->connect();
  leaving->subscribe("a", "q");
  leaving->take_texts();
  CHECK(world.broker().disconnect(world.now, {"unknown", sid}) == 1);
  world.drain(0);
  CHECK_FALSE(leaving->open);
  CHECK(leaving->close_reason == "disconnected");
  CHECK(leaving->close_details.sid == sid);
  CHECK(leaving->flushed);
  const auto packets = leaving->take_packets();
  REQUIRE(packets.size() == 1);
  CHECK(packets[0].kind == PacketKind::disconnect);
  CHECK(leaving->close_code.has_value());
  CHECK(staying->open);
  CHECK(staying->publish("a").find("count")->integer_or(-1) == 0);
  CHECK(closes(world.broker(), CloseReason::disconnected) == 1);
  CHECK(world.broker().disconnect(world.now, {sid}) == 0);
}

TEST_CASE("a slow consumer's end names user, subject and bytes", "[broker]") {
  BrokerOptions options;
  options.max_queue_bytes = 100'000;
  World world(options);
  const auto publisher = world.client(PacketEncoding::msgpack);
  publisher->connect();
  const auto reader =
      world.client(PacketEncoding::msgpack, 0, from(R"({"hub_id":"reader"})", "10.0.0.2"));
  reader->connect();
  reader->subscribe("news.>", "q");
  world.write_at_once = false;
  const std::string raw(10'000, 'x');
  for (int i = 0; i < 30 && reader->open; ++i) {
    const std::string subject = "news." + std::to_string(i);
    PublishChunk chunk;
    chunk.subject = subject;
    chunk.id = "id";
    chunk.raw = as_bytes(raw);
    publisher->messages(encode_publish(PacketEncoding::msgpack, chunk, std::nullopt));
  }
  REQUIRE_FALSE(reader->open);
  CHECK(reader->close_reason == "slow-consumer");
  CHECK(reader->close_code == WebSocketCloseCode::try_again_later);
  CHECK(reader->close_details.user == json(R"({"hub_id":"reader"})"));
  CHECK(reader->close_details.address == "10.0.0.2");
  CHECK(reader->close_details.subject == "news.9");
  CHECK(reader->close_details.sid.size() == 20);
  CHECK(reader->close_details.queued_bytes > 100'000);
  CHECK(reader->close_details.queued_bytes < 120'000);
  const BrokerCounters& counters = world.broker().counters();
  CHECK(counters.slow_consumers == 1);
  CHECK(counters.dropped_bytes_slow_consumer == reader->close_details.queued_bytes);
  CHECK(world.broker().queued_bytes() < 10'000);  // the publisher's greeting at most
}

TEST_CASE("every end of a connection is counted once, by its reason", "[broker]") {
  World world;
  const auto total = [&] {
    const auto& all = world.broker().counters().closes;
    return std::accumulate(all.begin(), all.end(), std::uint64_t{0});
  };
  const auto check = [&](CloseReason reason) {
    CAPTURE(close_reason_text(reason));
    CHECK(closes(world.broker(), reason) == 1);
  };
  world.client()->close();
  check(CloseReason::transport_lost);
  {
    const auto client = world.client();
    client->connect();
    client->text("1");
    check(CloseReason::peer_closed);
  }
  {
    const auto client = world.client();
    client->text("4{");
    check(CloseReason::malformed_packet);
  }
  {
    const auto refused = world.user_client(R"({"error":"no","code":403})");
    refused->connect(false);
    world.advance(30);
    check(CloseReason::refused);
    CHECK(refused->close_details.user == json(R"({"error":"no","code":403})"));
  }
  {
    const auto silent = world.client();
    silent->connect();
    const auto unknown = world.client();  // does not sign in; its pings stay unanswered, too
    world.advance(46'000);
    CHECK(closes(world.broker(), CloseReason::keep_alive) +
              closes(world.broker(), CloseReason::no_connect) ==
          2);
  }
  const auto last = world.client();
  world.broker().shut_down(world.now);
  world.drain(0);
  check(CloseReason::shutdown);
  CHECK(total() == 7);
  CHECK(total() == world.broker().counters().connections_opened);
}
