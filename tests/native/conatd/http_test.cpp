// What conatd answers over HTTP.
#include <catch2/catch.hpp>
#include <fstream>

#include "conatd/connection.hpp"

namespace conat::test {
namespace {

void write(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string engine_error(int code, const std::string& message) {
  return "{\"code\":" + std::to_string(code) + ",\"message\":\"" + message + "\"}";
}

void check_refused(const Response& response, int code, const std::string& message) {
  CHECK(response.status == 400);
  CHECK(response.headers.at("content-type") == "application/json");
  CHECK(response.body == engine_error(code, message));
}

void until_ready(std::uint16_t port) {
  REQUIRE(eventually([&] { return request(port, "/readyz").status == 200; }));
}

constexpr std::string_view upgrade_headers =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

}  // namespace

TEST_CASE("Requests that open no connection get Engine.IO's errors") {
  RunningBroker broker;
  for (const std::string path : {"/conat", "/conat/"}) {
    const auto get = [&](const std::string& query, std::string_view headers = {}) {
      return request(broker.port(), path + query, "GET", headers);
    };
    INFO(path);
    check_refused(get(""), 0, "Transport unknown");
    check_refused(get("?EIO=4&transport=polling"), 0, "Transport unknown");
    check_refused(get("?EIO=4&transport=foo"), 0, "Transport unknown");
    check_refused(get("?EIO=4&transport=websocket&sid=unknown"), 1, "Session ID unknown");
    check_refused(get("?EIO=4&transport=websocket&sid=", upgrade_headers), 1, "Session ID unknown");
    check_refused(get("?EIO=4&transport=websocket"), 3, "Bad request");
    check_refused(get("?EIO=3&transport=websocket"), 5, "Unsupported protocol version");
    check_refused(get("?EIO=3&transport=websocket", upgrade_headers), 5,
                  "Unsupported protocol version");
    check_refused(get("?transport=websocket", upgrade_headers), 5, "Unsupported protocol version");
    // The order of the checks: the transport, the session, the version.
    check_refused(get("?EIO=3&transport=foo&sid=x"), 0, "Transport unknown");
    check_refused(get("?EIO=3&transport=websocket&sid=x"), 1, "Session ID unknown");
    check_refused(request(broker.port(), path + "?EIO=4&transport=websocket", "POST"), 2,
                  "Bad handshake method");
  }
}

TEST_CASE("A handshake must be RFC 6455's") {
  RunningBroker broker;
  const std::string target = "/conat/?EIO=4&transport=websocket";
  const auto refused = [&](std::string_view headers) {
    check_refused(request(broker.port(), target, "GET", headers), 3, "Bad request");
  };
  refused("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
  refused(
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  refused(
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: short\r\n");
  refused(
      "Connection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  CHECK(request(broker.port(), target, "GET", upgrade_headers).status == 101);
  CHECK(request(broker.port(), "/conat?EIO=4&transport=websocket", "GET", upgrade_headers).status ==
        101);
  // Names and tokens in any case, among others, and parameters that are encoded.
  CHECK(request(broker.port(), "/conat/?t=1&transport=%77ebsocket&EIO=4", "GET",
                "CONNECTION: keep-alive, upgrade\r\nConnection: x\r\nupgrade: WebSocket\r\n"
                "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
            .status == 101);
}

TEST_CASE("Frames sent right behind the handshake are not lost") {
  RunningBroker broker;
  Connection connection(broker.port());
  Bytes frame;
  append_masked_frame(frame, WebSocketOpcode::text, as_bytes("40"), 7);
  connection.send(upgrade_request() + std::string(as_text(frame)));
  REQUIRE(eventually([&] {
    return connection.received().find("40{\"sid\":") != std::string::npos || !connection.receive();
  }));
  CHECK(connection.received().find("40{\"sid\":") != std::string::npos);
}

TEST_CASE("Health, readiness and metrics") {
  RunningBroker broker({"--shards", "3"});
  const Response health = request(broker.port(), "/healthz");
  CHECK(health.status == 200);
  CHECK(health.body == "ok");
  until_ready(broker.port());

  WebSocket socket(broker.port());
  socket.sign_in();
  const Response metrics = request(broker.port(), "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.headers.at("content-type").find("text/plain; version=0.0.4") == 0);
  std::uint64_t connections = 0;
  for (const char* shard : {"0", "1", "2"}) {
    const std::string name =
        "\nconat_connections_opened_total{shard=\"" + std::string(shard) + "\"} ";
    const auto at = metrics.body.find(name);
    REQUIRE(at != std::string::npos);
    connections += std::stoull(metrics.body.substr(at + name.size()));
  }
  CHECK(connections >= 1);
  CHECK(metrics.body.find("# TYPE conat_deliveries_total counter\n") != std::string::npos);
}

TEST_CASE("Without persistence it is ready at once and leaves the data directory alone") {
  RunningBroker broker({"--no-persist"});
  CHECK(request(broker.port(), "/readyz").status == 200);
  CHECK(std::filesystem::is_empty(broker.data()));
}

TEST_CASE("The built-in page") {
  RunningBroker broker;
  const Response page = request(broker.port(), "/");
  CHECK(page.status == 200);
  CHECK(page.headers.at("content-type") == "text/html; charset=utf-8");
  CHECK(page.body.find("<html") != std::string::npos);
}

TEST_CASE("Files of a directory") {
  TemporaryDirectory web;
  write(web.path() / "index.html", "<html>here</html>");
  write(web.path() / "assets/module-1a2b.wasm", std::string_view("\0asm\1\0\0\0", 8));
  write(web.path() / "assets/main-3c4d.js", "export {};");
  write(web.path() / "with space.css", "p {}");
  write(web.path() / "deep/index.html", "deep");
  RunningBroker broker({"--web", web.path().string()});
  const auto get = [&](std::string_view target, std::string_view headers = {}) {
    return request(broker.port(), target, "GET", headers);
  };

  SECTION("types, caching, names") {
    CHECK(get("/").body == "<html>here</html>");
    CHECK(get("/?query=1").body == "<html>here</html>");
    CHECK(get("/").headers.at("cache-control") == "no-cache");
    const Response wasm = get("/assets/module-1a2b.wasm");
    CHECK(wasm.headers.at("content-type") == "application/wasm");
    CHECK(wasm.headers.at("cache-control") == "public, max-age=31536000, immutable");
    CHECK(wasm.body == std::string("\0asm\1\0\0\0", 8));
    CHECK(get("/assets/main-3c4d.js").headers.at("content-type") ==
          "text/javascript; charset=utf-8");
    CHECK(get("/with%20space.css").headers.at("content-type") == "text/css; charset=utf-8");
    CHECK(get("/deep/").body == "deep");
  }
  SECTION("what is not there") {
    for (const char* target : {"/nothere", "/assets", "/assets/", "/index.html/", "/%", "/%zz",
                               "/%00", "/index.html%00", "//index.html", "*"}) {
      INFO(target);
      CHECK(get(target).status == 404);
    }
  }
  SECTION("no way out of the directory") {
    write(web.path().parent_path() / (web.path().filename().string() + ".secret"), "secret");
    const std::string name = web.path().filename().string() + ".secret";
    for (const std::string prefix : {"/../", "/..%2f", "/%2e%2e/", "/assets/../../", "/./../",
                                     "/..%5c", "//../", "/assets/%2e%2e/%2e%2e/"}) {
      INFO(prefix);
      CHECK(get(prefix + name).status == 404);
    }
    CHECK(get("/../../../../../../etc/passwd").status == 404);
    std::filesystem::remove(web.path().parent_path() / name);
  }
  SECTION("revalidation") {
    const std::string etag = get("/").headers.at("etag");
    CHECK(etag.size() > 10);
    const Response same = get("/", "If-None-Match: \"other\", W/" + etag + "\r\n");
    CHECK(same.status == 304);
    CHECK(same.body.empty());
    CHECK(same.headers.at("etag") == etag);
    CHECK(get("/", "If-None-Match: \"other\"\r\n").status == 200);
    CHECK(get("/", "If-None-Match: *\r\n").status == 304);
  }
  SECTION("HEAD and other methods") {
    const Response head = request(broker.port(), "/", "HEAD");
    CHECK(head.status == 200);
    CHECK(head.headers.at("content-length") == "17");
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
      INFO(method);
      const Response response = request(broker.port(), "/", method);
      CHECK(response.status == 405);
      CHECK(response.headers.at("allow") == "GET, HEAD");
    }
  }
  SECTION("one connection for several requests, also sent at once") {
    Connection connection(broker.port());
    const std::string one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string other = "GET /deep/ HTTP/1.1\r\nHost: x\r\n\r\n";
    connection.send(one);
    CHECK(connection.receive_response().body == "<html>here</html>");
    connection.send(one + other + one);
    CHECK(connection.receive_response().body == "<html>here</html>");
    CHECK(connection.receive_response().body == "deep");
    CHECK(connection.receive_response().body == "<html>here</html>");
    connection.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(connection.receive_response().body == "<html>here</html>");
    CHECK(connection.receive_until_closed());
  }
  SECTION("HTTP/1.0") {
    Connection connection(broker.port());
    connection.send("GET / HTTP/1.0\r\n\r\n");
    CHECK(connection.receive_response().body == "<html>here</html>");
    CHECK(connection.receive_until_closed());
  }
}

TEST_CASE("A large file reaches a client in one piece, also one that reads slowly at first") {
  TemporaryDirectory web;
  std::string large(20'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 97) large[i] = static_cast<char>(i % 251);
  write(web.path() / "large.bin", large);
  RunningBroker broker({"--web", web.path().string()});
  Connection connection(broker.port());
  connection.send("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(connection.receive_response().body == large);
  CHECK(connection.receive_response().status == 404);
}

TEST_CASE("Everything below a base path") {
  for (const std::string option : {"/base", "base/", "/base/"}) {
    RunningBroker broker({"--path", option});
    INFO(option);
    CHECK(broker.line().find("/base (development mode") != std::string::npos);
    CHECK(request(broker.port(), "/base/").status == 200);
    const Response redirect = request(broker.port(), "/base");
    CHECK(redirect.status == 308);
    CHECK(redirect.headers.at("location") == "/base/");
    CHECK(request(broker.port(), "/base/healthz").status == 200);
    CHECK(request(broker.port(), "/healthz").status == 200);
    CHECK(request(broker.port(), "/").status == 404);
    CHECK(request(broker.port(), "/based/").status == 404);
    CHECK(request(broker.port(), "/conat/?EIO=4&transport=websocket", "GET", upgrade_headers)
              .status == 404);
    WebSocket socket(broker.port(), "/base/conat");
    socket.sign_in();
  }
}

}  // namespace conat::test
