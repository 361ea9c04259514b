// Clients that mean no good, or are just many.
#include <catch2/catch.hpp>
#include <memory>

#include "conatd/connection.hpp"

namespace conat::test {
namespace {

void check_alive(std::uint16_t port) {
  WebSocket socket(port);
  socket.sign_in();
}

std::uint64_t metric(std::uint16_t port, const std::string& name) {
  const Response response = request(port, "/metrics");
  std::uint64_t sum = 0;
  std::size_t at = 0;
  while ((at = response.body.find("\n" + name + "{", at)) != std::string::npos) {
    at = response.body.find("} ", at) + 2;
    sum += std::stoull(response.body.substr(at));
  }
  return sum;
}

}  // namespace

TEST_CASE("Malformed HTTP is answered with 400 or closed") {
  RunningBroker broker({"--handshake-timeout", "1000"});
  const std::string many_headers = [] {
    std::string text = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < 50'000; ++i) text += "X: y\r\n";
    return text;
  }();
  const std::string cases[] = {
      "\r\n\r\n",
      "GARBAGE\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      std::string("GET\0/ HTTP/1.1\r\n\r\n", 18),
      "GET / HTTP/1.1\nHost: x\n\n",
      "GET / HTTP/1.1\r\n: x\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      std::string(100'000, '\xff'),
      many_headers,
      "GET /" + std::string(200'000, 'a') + " HTTP/1.1\r\n\r\n",
      "POST /conat/?EIO=4&transport=polling HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
      "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
      "",
  };
  for (const auto& bytes : cases) {
    INFO(bytes.substr(0, 100));
    Connection connection(broker.port());
    connection.send(bytes);
    CHECK(connection.receive_until_closed());
    if (!connection.received().empty()) {
      CHECK(connection.received().substr(0, 9) == "HTTP/1.1 ");
      CHECK(connection.received().substr(9, 3) != "500");
    }
  }
  check_alive(broker.port());
}

TEST_CASE("A handshake that does not come to an end is closed after the limit") {
  RunningBroker broker({"--handshake-timeout", "1500"});
  const auto begin = std::chrono::steady_clock::now();
  Connection silent(broker.port());
  Connection slow(broker.port());
  const std::string text = upgrade_request();
  // A byte whenever nothing came for a while: never silent, never finished.
  std::size_t sent = 0;
  bool closed = false;
  while (!closed && sent + 1 < text.size()) {
    slow.send(text.substr(sent++, 1));
    closed = slow.receive_until_closed(Seconds(0.02));
  }
  CHECK(closed);
  CHECK(silent.receive_until_closed());
  const Seconds taken = std::chrono::steady_clock::now() - begin;
  CHECK(taken.count() > 1.4);
  CHECK(metric(broker.port(), "conat_http_timeouts_total") == 2);
}

TEST_CASE("A client that does not read its page is dropped") {
  TemporaryDirectory web;
  const auto file = web.path() / "large.bin";
  {
    std::FILE* out = std::fopen(file.c_str(), "w");
    REQUIRE(out != nullptr);
    const std::string block(1'000'000, 'x');
    for (int i = 0; i < 50; ++i) std::fwrite(block.data(), 1, block.size(), out);
    std::fclose(out);
  }
  RunningBroker broker({"--web", web.path().string(), "--handshake-timeout", "2000"});
  Connection connection(broker.port());
  connection.send("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(eventually([&] { return metric(broker.port(), "conat_http_timeouts_total") == 1; }));
  CHECK(connection.receive_until_closed());
  CHECK(connection.received().size() < 50'000'000);
}

TEST_CASE("A thousand connections leave no descriptor behind") {
  RunningBroker broker({"--shards", "2"});
  check_alive(broker.port());
  REQUIRE(eventually([&] { return metric(broker.port(), "conat_connections") <= 1; }));
  const std::size_t before = broker.process().descriptors();
  for (int round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Connection>> raw;
    std::vector<std::unique_ptr<WebSocket>> sockets;
    for (int i = 0; i < 125; ++i) {
      sockets.push_back(std::make_unique<WebSocket>(broker.port()));
      if (i % 5 == 0) sockets.back()->sign_in();
      raw.push_back(std::make_unique<Connection>(broker.port()));
      if (i % 3 == 0) raw.back()->send("GET /healthz HTTP/1.1\r\n");
      if (i % 7 == 0) raw.back()->send("Host: x\r\n\r\n");
    }
    CHECK(broker.process().descriptors() >= before + 125);
  }
  CHECK(eventually([&] { return broker.process().descriptors() <= before; }));
  check_alive(broker.port());
}

TEST_CASE("Connections beyond the limit are told so and closed") {
  RunningBroker broker({"--max-connections", "3", "--no-persist"});
  std::vector<std::unique_ptr<WebSocket>> sockets;
  for (int i = 0; i < 3; ++i) {
    sockets.push_back(std::make_unique<WebSocket>(broker.port()));
    CHECK(sockets.back()->sign_in().find("\"user\":null") != std::string::npos);
  }
  {
    WebSocket refused(broker.port());
    refused.send_text("40");
    const std::string info = refused.receive_text("42");
    CHECK(info.find("at most 3 connections") != std::string::npos);
    CHECK(info.find("\"code\":429") != std::string::npos);
    while (refused.receive().kind == WebSocketReader::Step::message) continue;
    CHECK(refused.connection().receive_until_closed());
  }
  sockets.pop_back();
  REQUIRE(eventually([&] { return metric(broker.port(), "conat_connections") == 2; }));
  WebSocket again(broker.port());
  CHECK(again.sign_in().find("\"user\":null") != std::string::npos);
}

TEST_CASE("A subscriber that stops reading is cut off with 1013, the others get everything") {
  RunningBroker broker({"--max-payload", "100000", "--max-queue", "1000000", "--no-persist"});
  WebSocket slow(broker.port());
  WebSocket good(broker.port());
  WebSocket publisher(broker.port());
  for (WebSocket* socket : {&slow, &good, &publisher}) socket->sign_in();
  for (WebSocket* socket : {&slow, &good}) {
    socket->send_text("425[\"subscribe\",{\"subject\":\"flood\",\"queue\":\"q" +
                      std::to_string(socket == &slow) + "\"}]");
    socket->receive_text("435[");
  }
  const std::string payload(50'000, 'p');
  int count = 0;
  // The good one reads each message before the next is published.
  while (metric(broker.port(), "conat_slow_consumers_total") == 0) {
    REQUIRE(count < 2000);
    publisher.send_text(
        "451-[\"publish\",[\"flood\",\"0123456789\",0,1,0,"
        "{\"_placeholder\":true,\"num\":0}]]");
    publisher.send_binary(payload);
    good.receive_text("451-[\"flood\"");
    CHECK(good.receive().payload == payload);
    ++count;
  }
  while (true) {
    const WebSocket::Frame frame = slow.receive();
    REQUIRE(frame.kind != WebSocketReader::Step::error);
    if (frame.kind != WebSocketReader::Step::close) continue;
    CHECK(frame.close_code == WebSocketCloseCode::try_again_later);
    break;
  }
  CHECK(slow.connection().receive_until_closed());
  CHECK(count > 20);
}

}  // namespace conat::test
