// How conatd ends.
#include <signal.h>

#include <catch2/catch.hpp>
#include <memory>

#include "conatd/connection.hpp"

namespace conat::test {
namespace {

// The next close frame; nothing but messages and pings before it.
WebSocketCloseCode close_code_of(WebSocket& socket) {
  while (true) {
    const WebSocket::Frame frame = socket.receive();
    if (frame.kind == WebSocketReader::Step::close) return frame.close_code;
    REQUIRE(frame.kind != WebSocketReader::Step::error);
    // A Socket.IO disconnect would keep clients from coming back.
    CHECK(frame.payload.substr(0, 2) != "41");
  }
}

void check_clean_end(int signal, const Arguments& arguments) {
  RunningBroker broker(arguments);
  std::vector<std::unique_ptr<WebSocket>> sockets;
  for (int i = 0; i < 50; ++i) {
    sockets.push_back(std::make_unique<WebSocket>(broker.port()));
    if (i % 2 == 0) sockets.back()->sign_in();
  }
  Connection silent(broker.port());
  const auto begin = std::chrono::steady_clock::now();
  broker.process().signal(signal);
  for (const auto& socket : sockets) {
    CHECK(close_code_of(*socket) == WebSocketCloseCode::going_away);
    CHECK(socket->connection().receive_until_closed());
  }
  sockets.clear();
  CHECK(broker.process().wait() == 0);
  const Seconds taken = std::chrono::steady_clock::now() - begin;
  CHECK(taken.count() < 5);
}

}  // namespace

TEST_CASE("A signal closes 50 WebSockets with 1001 and ends with code 0") {
  SECTION("SIGTERM") { check_clean_end(SIGTERM, {}); }
  SECTION("SIGINT") { check_clean_end(SIGINT, {}); }
  SECTION("without persistence, one shard") {
    check_clean_end(SIGTERM, {"--no-persist", "--shards", "1"});
  }
}

TEST_CASE("Clients that do not close their end cannot keep it from ending") {
  RunningBroker broker;
  std::vector<std::unique_ptr<WebSocket>> sockets;
  for (int i = 0; i < 5; ++i) sockets.push_back(std::make_unique<WebSocket>(broker.port()));
  const auto begin = std::chrono::steady_clock::now();
  broker.process().signal(SIGTERM);
  CHECK(broker.process().wait(Seconds(5)) == 0);
  const Seconds taken = std::chrono::steady_clock::now() - begin;
  CHECK(taken.count() < 5);
}

TEST_CASE("A second signal ends it at once") {
  RunningBroker broker;
  WebSocket socket(broker.port());  // is not closed: the end waits for it
  broker.process().signal(SIGTERM);
  CHECK(close_code_of(socket) == WebSocketCloseCode::going_away);
  broker.process().signal(SIGTERM);
  CHECK(broker.process().wait() == 130);
}

TEST_CASE("A signal before anything happened") {
  RunningBroker broker;
  broker.process().signal(SIGTERM);
  CHECK(broker.process().wait() == 0);
}

}  // namespace conat::test
