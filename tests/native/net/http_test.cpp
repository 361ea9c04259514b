#include <catch2/catch.hpp>
#include <random>

#include "net/http_message.hpp"
#include "net/http_reader.hpp"
#include "net/static_files.hpp"
#include "net/websocket_handshake.hpp"

namespace conat::net {
namespace {

constexpr std::size_t max_header_bytes = 16 * 1024;

HttpRequest read(std::string text) {
  HttpReader reader(max_header_bytes);
  REQUIRE(reader.read(text) == HttpReader::Step::request);
  return reader.request();
}

HttpReader::Step step_of(std::string text) {
  HttpReader reader(max_header_bytes);
  return reader.read(text);
}

}  // namespace

TEST_CASE("A request's parts") {
  const HttpRequest request = read(
      "GET /a/b?x=1&y=%20z+w&x=2&empty&=v#f HTTP/1.1\r\nHost: h\r\nAccept: a, B\r\n"
      "accept: c\r\n\r\n");
  CHECK(request.method == "GET");
  CHECK(request.path == "/a/b");
  CHECK(request.parameter("x") == "1");
  CHECK(request.parameter("y") == " z w");
  CHECK(request.parameter("empty") == "");
  CHECK(!request.parameter("z"));
  CHECK(request.header("HOST") == "h");
  CHECK(request.header("absent").empty());
  CHECK(request.header_has("accept", "b"));
  CHECK(request.header_has("Accept", "C"));
  CHECK(!request.header_has("Accept", "a, b"));
  CHECK(request.keep_alive);
  CHECK(!request.has_body);
  CHECK(read("GET http://host:80/path?q HTTP/1.1\r\n\r\n").path == "/path");
  CHECK(read("GET http://host HTTP/1.1\r\n\r\n").path != "/");
}

TEST_CASE("Connections that end with their request") {
  CHECK(!read("GET / HTTP/1.0\r\n\r\n").keep_alive);
  CHECK(!read("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep_alive);
  // Bodies are not read, so what follows them cannot be found.
  CHECK(!read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n").keep_alive);
  CHECK(!read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").keep_alive);
  CHECK(read("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").keep_alive);
}

TEST_CASE("Requests come in pieces and behind each other") {
  const std::string one = "GET /one HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string two = "GET /two HTTP/1.1\r\nHost: y\r\n\r\n";
  HttpReader reader(max_header_bytes);
  std::string buffer;
  for (const char c : one.substr(0, one.size() - 1)) {
    buffer.push_back(c);
    REQUIRE(reader.read(buffer) == HttpReader::Step::need_more);
  }
  buffer += one.back() + two + "rest";
  REQUIRE(reader.read(buffer) == HttpReader::Step::request);
  CHECK(reader.request().path == "/one");
  REQUIRE(reader.read(buffer) == HttpReader::Step::request);
  CHECK(reader.request().path == "/two");
  CHECK(buffer == "rest");
}

TEST_CASE("What is no request") {
  CHECK(step_of("") == HttpReader::Step::need_more);
  CHECK(step_of("GARBAGE\r\n\r\n") == HttpReader::Step::malformed);
  CHECK(step_of("GET / HTTP/9.9\r\n\r\n") == HttpReader::Step::malformed);
  CHECK(step_of("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n") == HttpReader::Step::malformed);
  CHECK(step_of("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n") ==
        HttpReader::Step::too_large);
  CHECK(step_of("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a')) == HttpReader::Step::too_large);
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::string noise;
    for (int i = 0; i < 100; ++i) noise.push_back(static_cast<char>(random()));
    CHECK(step_of(noise + "\r\n\r\n") == HttpReader::Step::malformed);
  }
}

TEST_CASE("Percent-encoding") {
  CHECK(percent_decode("a%2Fb%c3%A9", false) == "a/b\xc3\xa9");
  CHECK(percent_decode("a+b", false) == "a+b");
  CHECK(percent_decode("a+b%2B", true) == "a b+");
  for (const char* text : {"%", "%2", "a%zz", "%00", "x%0"}) CHECK(!percent_decode(text, false));
}

TEST_CASE("Responses") {
  HttpResponse response = HttpResponse::text(200, "hello");
  response.headers.emplace_back("X-Name", "value");
  const std::string text = to_string(serialize(response, false, true).view());
  CHECK(text.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(text.find("\r\nContent-Length: 5\r\n") != std::string::npos);
  CHECK(text.find("\r\nX-Name: value\r\n") != std::string::npos);
  CHECK(text.find("\r\nConnection: keep-alive\r\n\r\nhello") != std::string::npos);
  const std::string head = to_string(serialize(response, true, false).view());
  CHECK(head.find("\r\nContent-Length: 5\r\n") != std::string::npos);
  CHECK(head.substr(head.size() - 23) == "\r\nConnection: close\r\n\r\n");
  response.status = 304;
  CHECK(to_string(serialize(response, false, true).view()).find("Content-Length") ==
        std::string::npos);
}

TEST_CASE("The handshake's answer is RFC 6455's example") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("Types of files") {
  CHECK(content_type_of("/x.WASM") == "application/wasm");
  CHECK(content_type_of("/x.js") == "text/javascript; charset=utf-8");
  CHECK(content_type_of("/x.map") == "application/json");
  CHECK(content_type_of("/x") == "application/octet-stream");
  CHECK(content_type_of("js") == "application/octet-stream");
}

}  // namespace conat::net
