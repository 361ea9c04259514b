#include <catch2/catch.hpp>

#include "client/handshake.hpp"
#include "client/server_address.hpp"

using namespace conat;
using namespace conat::native;

TEST_CASE("server addresses as people write them") {
  const struct {
    const char* url;
    bool tls;
    const char* host;
    int port;
    const char* base;
    const char* authority;
  } cases[] = {
      {"http://127.0.0.1:8080", false, "127.0.0.1", 8080, "", "127.0.0.1:8080"},
      {"https://example.org", true, "example.org", 443, "", "example.org"},
      {"https://example.org:8443/a/b/", true, "example.org", 8443, "/a/b", "example.org:8443"},
      {"example.org/base", false, "example.org", 80, "/base", "example.org"},
      {"localhost:3000//", false, "localhost", 3000, "", "localhost:3000"},
      {"ws://[::1]:9000/x", false, "::1", 9000, "/x", "[::1]:9000"},
      {"wss://[fe80::1]", true, "fe80::1", 443, "", "[fe80::1]"},
  };
  for (const auto& expected : cases) {
    INFO(expected.url);
    const auto address = parse_server_address(expected.url);
    REQUIRE(address.ok());
    CHECK(address->tls == expected.tls);
    CHECK(address->host == expected.host);
    CHECK(address->port == expected.port);
    CHECK(address->base_path == expected.base);
    CHECK(address->authority() == expected.authority);
    CHECK(address->target() == std::string(expected.base) + "/conat/?EIO=4&transport=websocket");
  }
}

TEST_CASE("what is no server address") {
  for (const char* url :
       {"", "http://", "ftp://x", "http://x:0", "http://x:65536", "http://x:12a",
        "http://x:", "http://[::1", "http://a b", "http://x/a?b", "http://x/#", "http://user@x",
        "http://x\r\nHost: y", "http://x/\r\nHost: y", "http://[::1]8080"}) {
    INFO(url);
    CHECK_FALSE(parse_server_address(url).ok());
  }
}

TEST_CASE("the handshake's proof is the one of RFC 6455's example") {
  CHECK(websocket_accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  Random random(1);
  const std::string key = websocket_key(random);
  CHECK(key.size() == 24);
  CHECK(key.substr(22) == "==");
  CHECK(websocket_key(random) != key);
}
