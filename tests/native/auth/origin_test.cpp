// The origin check: own pages, listed ones, foreign ones, and what each may do with cookies.
#include "auth/origin.hpp"

#include <catch2/catch.hpp>

namespace conat::auth {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Request request_of(Headers headers, bool secure = false) {
  Request request;
  request.headers = std::move(headers);
  request.secure = secure;
  return request;
}

OriginPolicy policy_of(std::vector<std::string> allowed, std::vector<std::string> cookies = {},
                       bool trust_forwarded = false) {
  const auto policy = OriginPolicy::make({std::move(allowed), std::move(cookies), trust_forwarded});
  if (!policy) FAIL(policy.error().text);
  return *policy;
}

// "yes" with cookies, "bare" without, "no".
std::string verdict(const OriginPolicy& policy, Headers headers, bool secure = false) {
  const OriginVerdict found = policy.check(request_of(std::move(headers), secure));
  if (!found.allowed) {
    CHECK(!found.may_use_cookies);
    return "no";
  }
  return found.may_use_cookies ? "yes" : "bare";
}

std::string from(const OriginPolicy& policy, std::string origin,
                 std::string host = "broker.example.com") {
  return verdict(policy, {{"Host", std::move(host)}, {"Origin", std::move(origin)}});
}

}  // namespace

TEST_CASE("The own origin, as the Host header has it") {
  const OriginPolicy own;
  CHECK(verdict(own, {{"Host", "h"}}) == "yes");  // no page
  CHECK(from(own, "http://h", "h") == "yes");
  CHECK(from(own, "https://h", "h") == "yes");  // a proxy may have taken TLS off
  CHECK(from(own, "https://h", "h:443") == "yes");
  CHECK(from(own, "http://h:80", "h") == "yes");
  CHECK(from(own, "http://h:8080", "h:8080") == "yes");
  CHECK(from(own, "HTTP://Example.COM", "example.com") == "yes");
  CHECK(from(own, "http://[::1]:8080", "[::1]:8080") == "yes");
  CHECK(from(own, "http://127.0.0.1:8080", "127.0.0.1:8080") == "yes");
  for (const char* origin :
       {"http://h:8081", "http://h", "https://h:443", "http://evil", "http://h:8080.evil.com",
        "http://evil.com/h:8080", "http://h:8080@evil.com", "http://sub.h:8080", "null", "",
        "h:8080", "ftp://h:8080", "http://h:8080 ", "file://", "http://", "http://h:08080x",
        "http://h:99999", "http://127.0.0.1:8080"}) {
    INFO(origin);
    const std::string expected = std::string(origin) == "http://h:8080 " ? "yes" : "no";
    CHECK(from(own, origin, "h:8080") == expected);
  }
  CHECK(from(own, "http://h", "h:80x") == "no");
  CHECK(from(own, "http://h", "") == "no");
  CHECK(verdict(own, {{"Origin", "http://h"}}) == "no");
  // No browser sends two.
  CHECK(verdict(own, {{"Host", "h"}, {"Origin", "http://h"}, {"origin", "http://h"}}) == "no");
  // Where TLS ends here, a page that came without is another one.
  CHECK(verdict(own, {{"Host", "h"}, {"Origin", "https://h"}}, true) == "yes");
  CHECK(verdict(own, {{"Host", "h"}, {"Origin", "http://h"}}, true) == "no");
  CHECK(verdict(own, {{"Host", "h:443"}, {"Origin", "https://h"}}, true) == "yes");
}

TEST_CASE("A list of origins: allowed, but without cookies") {
  const OriginPolicy policy =
      policy_of({"https://app.example.com", "http://localhost:5173", "*.example.org",
                 "https://*.example.net:8443", "plain.example.com", "capacitor://localhost"});
  CHECK(from(policy, "https://broker.example.com") == "yes");
  CHECK(from(policy, "https://app.example.com") == "bare");
  CHECK(from(policy, "https://APP.example.com:443") == "bare");
  CHECK(from(policy, "http://localhost:5173") == "bare");
  CHECK(from(policy, "https://a.example.org") == "bare");
  CHECK(from(policy, "http://a.b.example.org") == "bare");
  CHECK(from(policy, "https://x.example.net:8443") == "bare");
  CHECK(from(policy, "http://plain.example.com") == "bare");
  CHECK(from(policy, "https://plain.example.com") == "bare");
  CHECK(from(policy, "capacitor://localhost") == "bare");
  for (const char* origin :
       {"http://app.example.com", "https://app.example.com:8443", "http://localhost:5174",
        "https://example.org", "https://evilexample.org", "https://a.example.org:444",
        "https://a.example.org.evil.com", "https://x.example.net", "http://x.example.net:8443",
        "https://plain.example.com:1", "https://sub.plain.example.com", "null", "capacitor://other",
        "https://.example.org", "*.example.org", "https://*.example.org"}) {
    INFO(origin);
    CHECK(from(policy, origin) == "no");
  }
}

TEST_CASE("Origins listed for cookies, all origins, and none") {
  const OriginPolicy policy =
      policy_of({"*.example.org"}, {"https://app.example.org", "app://one"});
  CHECK(from(policy, "https://app.example.org") == "yes");
  CHECK(from(policy, "app://one") == "yes");
  CHECK(from(policy, "https://other.example.org") == "bare");
  CHECK(from(policy, "http://app.example.org") == "bare");
  const OriginPolicy open = policy_of({"*"});
  CHECK(from(open, "https://evil.com") == "bare");
  CHECK(from(open, "null") == "bare");
  CHECK(from(open, "https://broker.example.com") == "yes");
  const OriginPolicy sandboxed = policy_of({"null"});
  CHECK(from(sandboxed, "null") == "bare");
  CHECK(from(sandboxed, "https://evil.com") == "no");
}

TEST_CASE("Behind a proxy that is trusted, the own origin is what it says") {
  const Headers headers{{"Host", "10.0.0.1:8080"},
                        {"X-Forwarded-Host", "chat.example.com, inner"},
                        {"X-Forwarded-Proto", "https"},
                        {"Origin", "https://chat.example.com"}};
  CHECK(verdict(OriginPolicy(), headers) == "no");
  const OriginPolicy trusting = policy_of({}, {}, true);
  CHECK(verdict(trusting, headers) == "yes");
  Headers plain = headers;
  plain.back().second = "http://chat.example.com";
  CHECK(verdict(trusting, plain) == "no");
  plain.back().second = "http://10.0.0.1:8080";
  CHECK(verdict(trusting, plain) == "no");
  CHECK(verdict(trusting, {{"Host", "h:8080"}, {"Origin", "http://h:8080"}}) == "yes");
}

TEST_CASE("Entries that are no origins") {
  for (const char* entry : {"", "http://", "*.", "*x.com", "a.*.com", "https://a.com/path", "a b",
                            "http://a:0", "http://a:x", "**.com", "://x", "app://", "app://*.x",
                            "http://user@a", ".example.com", "*..example.com"}) {
    INFO(entry);
    const auto policy = OriginPolicy::make({{entry}, {}, false});
    REQUIRE(!policy.ok());
    CHECK(policy.error().text.find("invalid origin '" + std::string(entry) + "'") == 0);
  }
  CHECK(!OriginPolicy::make({{}, {"*"}, false}).ok());
  CHECK(OriginPolicy::make({{}, {"null"}, false}).ok());  // a host of that name
}

}  // namespace conat::auth
