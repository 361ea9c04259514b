// How conatd starts, and how it says that it cannot.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "conatd/connection.hpp"

namespace conat::test {
namespace {

// conatd with these arguments ends with code 2 and one line that holds `text`.
void check_cannot_start(const Arguments& arguments, const std::string& text,
                        const Arguments& environment = {}) {
  Process process(arguments, environment);
  CHECK(process.wait() == 2);
  const std::string errors = process.errors();
  INFO(errors);
  CHECK(std::count(errors.begin(), errors.end(), '\n') == 1);
  CHECK(errors.find("conatd: ") == 0);
  CHECK(errors.find(text) != std::string::npos);
  CHECK(!process.read_line());
}

// Listens on a free port, as any other program would.
class Listening {
 public:
  Listening() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_, 1) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listening() { ::close(socket_); }
  std::string port() const { return std::to_string(port_); }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

}  // namespace

TEST_CASE("It says where it listens, in one line") {
  RunningBroker broker;
  CHECK(broker.line() == "conatd listening on http://127.0.0.1:" + std::to_string(broker.port()) +
                             " (development mode: no authentication, everything is allowed)");
}

TEST_CASE("It listens on the loopback addresses") {
  SECTION("localhost") {
    RunningBroker broker({"--host", "localhost"});
    CHECK(broker.line().find("http://127.0.0.1:") != std::string::npos);
  }
  SECTION("IPv6") {
    RunningBroker broker({"--host", "::1"});
    CHECK(broker.line().find("http://[::1]:") != std::string::npos);
    WebSocket socket(broker.port(), "/conat/", "::1");
    socket.sign_in();
  }
}

TEST_CASE("It does not listen elsewhere without authentication") {
  for (const std::string host : {"0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.2", ""}) {
    INFO(host);
    check_cannot_start({"--port", "0", "--host", host}, "refusing to listen on " + host);
  }
  check_cannot_start({"--port", "0"}, "refusing to listen on 0.0.0.0", {"CONAT_HOST=0.0.0.0"});
}

TEST_CASE("A busy port") {
  TemporaryDirectory data;
  SECTION("of another program") {
    Listening other;
    check_cannot_start({"--port", other.port(), "--data", data.path().string()},
                       "cannot listen on 127.0.0.1 port " + other.port() + ": ");
  }
  SECTION("of another conatd") {
    RunningBroker other({"--shards", "2"});
    const std::string port = std::to_string(other.port());
    check_cannot_start({"--port", port, "--data", data.path().string(), "--shards", "2"},
                       "cannot listen on 127.0.0.1 port " + port + ": ");
    WebSocket socket(other.port());
    socket.sign_in();
  }
}

TEST_CASE("The port of a conatd that has just ended is free") {
  std::uint16_t port = 0;
  {
    RunningBroker first;
    port = first.port();
    WebSocket socket(port);
    socket.sign_in();
    first.process().signal(SIGTERM);
    CHECK(first.process().wait() == 0);
  }
  TemporaryDirectory data;
  Process second({"--port", std::to_string(port), "--data", data.path().string()});
  CHECK(second.read_line());
}

TEST_CASE("A data directory that cannot be used") {
  TemporaryDirectory directory;
  const auto file = directory.path() / "file";
  std::ofstream(file) << "x";
  SECTION("it is a file") {
    check_cannot_start({"--port", "0", "--data", file.string()},
                       "cannot use the data directory " + file.string());
  }
  SECTION("it lies below a file") {
    const std::string path = (file / "data").string();
    check_cannot_start({"--port", "0", "--data", path}, "cannot use the data directory " + path);
  }
  SECTION("it may not be written") {
    check_cannot_start({"--port", "0", "--data", "/proc/data"},
                       "cannot use the data directory /proc/data");
  }
  SECTION("another conatd uses it") {
    RunningBroker first;
    check_cannot_start({"--port", "0", "--data", first.data().string()},
                       "another conatd is using it");
  }
}

TEST_CASE("Options that make no sense") {
  check_cannot_start({"--nonsense"}, "--nonsense");
  check_cannot_start({"--port", "x"}, "--port");
  check_cannot_start({"--port", "70000"}, "--port");
  check_cannot_start({"--port"}, "--port");
  check_cannot_start({"--shards", "0"}, "--shards");
  check_cannot_start({"--durability", "maybe"}, "--durability");
  check_cannot_start({"--log-level", "loud"}, "--log-level");
  check_cannot_start({"--web", "/nowhere/at/all"}, "--web");
  check_cannot_start({"--max-payload", "60000000"}, "--max-queue");
  check_cannot_start({"--ping-interval", "0"}, "--ping-interval");
  check_cannot_start({}, "--port", {"CONAT_PORT=x"});
}

TEST_CASE("Options come from the environment too, the command line first") {
  TemporaryDirectory data;
  const Arguments environment{"CONAT_PORT=0", "CONAT_DATA=" + data.path().string(),
                              "CONAT_PATH=/from", "CONAT_NO_PERSIST=1", "CONAT_LOG_LEVEL=off"};
  SECTION("environment") {
    Process process({}, environment);
    CHECK(process.read_line().value_or("").find("/from (") != std::string::npos);
    CHECK(std::filesystem::is_empty(data.path()));
  }
  SECTION("command line") {
    Process process({"--path", "/other"}, environment);
    CHECK(process.read_line().value_or("").find("/other (") != std::string::npos);
  }
}

TEST_CASE("Help and version") {
  for (const std::string option : {"--help", "--version"}) {
    Process process({option});
    const auto line = process.read_line();
    REQUIRE(line);
    CHECK(line->find("conatd") != std::string::npos);
    while (process.read_line()) continue;
    CHECK(process.wait() == 0);
    CHECK(process.errors().empty());
  }
}

TEST_CASE("What a client is told comes from the options") {
  RunningBroker broker({"--id", "broker-7", "--cluster-name", "east", "--max-payload", "123456",
                        "--ping-interval", "4000", "--ping-timeout", "3000",
                        "--max-subscriptions-per-client", "2"});
  WebSocket socket(broker.port());
  const std::string open = socket.receive_text("0{");
  CHECK(open.find("\"pingInterval\":4000") != std::string::npos);
  CHECK(open.find("\"pingTimeout\":3000") != std::string::npos);
  CHECK(open.find("\"maxPayload\":123456") != std::string::npos);
  const std::string info = socket.sign_in();
  CHECK(info.find("\"max_payload\":123456") != std::string::npos);
  CHECK(info.find("\"id\":\"broker-7\"") != std::string::npos);
  CHECK(info.find("\"clusterName\":\"east\"") != std::string::npos);
  CHECK(info.find("\"user\":null") != std::string::npos);
  socket.send_text("421[\"cluster\"]");
  CHECK(socket.receive_text("431[") ==
        "431[[\"http://localhost:" + std::to_string(broker.port()) + "\"]]");
  socket.send_text(
      "422[\"subscribe\",[{\"subject\":\"a\",\"queue\":\"q\"},"
      "{\"subject\":\"b\",\"queue\":\"q\"},{\"subject\":\"c\",\"queue\":\"q\"}]]");
  const std::string answer = socket.receive_text("432[");
  CHECK(answer.find("at most 2 subscriptions") != std::string::npos);
}

}  // namespace conat::test
