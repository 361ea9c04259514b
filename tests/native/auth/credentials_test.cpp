// Cookies, credentials, and the ids and encodings that tokens are made of.
#include "auth/credentials.hpp"

#include <catch2/catch.hpp>

#include "auth/cookies.hpp"
#include "auth/encoding.hpp"
#include "auth/user_claims.hpp"

namespace conat::auth {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

Request with_headers(Headers headers) {
  Request request;
  request.headers = std::move(headers);
  return request;
}

Pairs cookies_of(std::string header) {
  return read_cookies(with_headers({{"Cookie", std::move(header)}}));
}

Value object(Value::Map entries) { return entries; }

std::string shown(const Request& request, std::vector<std::string> cookies = {}) {
  const auto found = find_credentials(request, cookies);
  if (!found)
    return "error " + std::to_string(found.error().code.number) + ": " + found.error().text;
  switch (found->kind) {
    case Credentials::Kind::none:
      return "none";
    case Credentials::Kind::token:
      return (found->from_cookie ? "cookie " : "token ") + found->token;
    case Credentials::Kind::password:
      return "password " + found->name + "/" + found->password;
  }
  return {};
}

std::string basic(std::string_view text) {
  std::string encoded = encode_base64(as_bytes(text));
  while (encoded.size() % 4 != 0) encoded += '=';
  return "Basic " + encoded;
}

}  // namespace

TEST_CASE("Cookies") {
  CHECK(cookies_of("a=1; b=2") == Pairs{{"a", "1"}, {"b", "2"}});
  CHECK(cookies_of("a=1;b=\"two words\" ;c=x=y;;  d = 4 ") ==
        Pairs{{"a", "1"}, {"b", "two words"}, {"c", "x=y"}, {"d", "4"}});
  CHECK(cookies_of("novalue; =x; ; a=; b=\"") == Pairs{{"a", ""}, {"b", "\""}});
  CHECK(cookies_of("a=%20;a=2") == Pairs{{"a", "%20"}, {"a", "2"}});
  CHECK(cookies_of("").empty());
  CHECK(cookies_of(";;;").empty());
  const Request request =
      with_headers({{"cookie", "x=1"}, {"Host", "h"}, {"COOKIE", "sys=2; x=3"}});
  CHECK(find_cookie(request, "x") == "1");
  CHECK(find_cookie(request, "sys") == "2");
  CHECK(!find_cookie(request, "Sys"));
  CHECK(!find_cookie(request, "sy"));
  Request dropped = request;
  dropped.drop_cookies();
  CHECK(read_cookies(dropped).empty());
  CHECK(dropped.header("host") == "h");
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "n" + std::to_string(i) + "=v;";
  CHECK(cookies_of(many).size() == max_cookies);
}

TEST_CASE("Credentials are looked for in this order: auth, Authorization, cookie") {
  Request request = with_headers({{"Cookie", "other=x; session=c1"}});
  CHECK(shown(request) == "none");
  CHECK(shown(request, {"absent", "session", "other"}) == "cookie c1");
  request.headers.emplace_back("authorization", "bearer b1");
  CHECK(shown(request, {"session"}) == "token b1");
  request.auth = object({{"token", "a1"}});
  CHECK(shown(request, {"session"}) == "token a1");
  request.auth = object({{"username", "ada"}, {"password", "p"}});
  CHECK(shown(request) == "password ada/p");
  // Nothing shown is nothing: the next place is looked at.
  for (const Value& nothing :
       {Value(), object({}), object({{"token", ""}}), object({{"token", nullptr}}), Value("text"),
        Value(7), object({{"username", nullptr}})}) {
    request.auth = nothing;
    CHECK(shown(request) == "token b1");
  }
}

TEST_CASE("The Authorization header") {
  const auto header = [](std::string value) {
    return shown(with_headers({{"Authorization", std::move(value)}}));
  };
  CHECK(header("Bearer abc.def.ghi") == "token abc.def.ghi");
  CHECK(header("  BEARER   abc ") == "token abc");
  CHECK(header(basic("ada:pass:word")) == "password ada/pass:word");
  CHECK(header(basic("ada:")) == "password ada/");
  CHECK(header("basic YTpi") == "password a/b");
  CHECK(header("") == "none");
  const std::string malformed = "error 401: authentication failed: malformed Authorization header";
  CHECK(header("Bearer") == malformed);
  CHECK(header("Bearer a b") == malformed);
  CHECK(header("Basic") == malformed);
  CHECK(header("Basic !!!") == malformed);
  CHECK(header(basic("nocolon")) == malformed);
  CHECK(header(basic("a:\xff")) == malformed);
  CHECK(header("Digest x") ==
        "error 401: authentication failed: Authorization must be Bearer or Basic");
}

TEST_CASE("Malformed credentials are no anonymous client") {
  Request request;
  request.auth = object({{"token", 7}});
  CHECK(shown(request) == "error 401: authentication failed: auth.token must be text");
  const std::string both =
      "error 401: authentication failed: auth.username and auth.password must both be text";
  request.auth = object({{"username", "ada"}});
  CHECK(shown(request) == both);
  request.auth = object({{"password", "p"}});
  CHECK(shown(request) == both);
  request.auth = object({{"username", "ada"}, {"password", Value::Array{}}});
  CHECK(shown(request) == both);
  request.auth = object({{"token", std::string(20'000, 'x')}});
  CHECK(shown(request) == "error 401: authentication failed: credentials too large");
}

TEST_CASE("Base64 and hexadecimal: one text for each sequence of bytes") {
  Bytes bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(decode_base64url(encode_base64url(bytes)) == bytes);
    CHECK(decode_base64(encode_base64(bytes)) == bytes);
    CHECK(decode_hex(encode_hex(bytes)) == bytes);
    bytes.push_back(static_cast<std::uint8_t>(i * 37));
  }
  // RFC 4648, section 10, and the two alphabets.
  CHECK(encode_base64(as_bytes("foobar")) == "Zm9vYmFy");
  CHECK(encode_base64url(as_bytes("fo")) == "Zm8");
  CHECK(encode_base64url(Bytes{0xfb, 0xff}) == "-_8");
  CHECK(encode_base64(Bytes{0xfb, 0xff}) == "+/8");
  for (const char* text : {"A", "AAAAA", "Zm8=", "Zm9", "Zm 8", "-_8=", "+/8", "\xc3\xa4"}) {
    INFO(text);
    CHECK(!decode_base64url(text));
  }
  CHECK(!decode_base64("-_8"));
  CHECK(encode_hex(Bytes{0, 0xaf}) == "00af");
  CHECK(!decode_hex("0"));
  CHECK(!decode_hex("AF"));
  CHECK(!decode_hex("0g"));
}

TEST_CASE("Ids") {
  for (const char* id : {"a", "00000000-0000-4000-8000-000000000001", "Ada_1@home", "\xc3\xa4"}) {
    CHECK(is_valid_id(id));
  }
  for (const char* id : {"", "a.b", ".", "*", ">", "a>", "*a", "a b", "a\tb", "a\nb", "\x7f",
                         "\x01", "\xc2\xa0", "\xe3\x80\x80"}) {
    INFO(id);
    CHECK(!is_valid_id(id));
  }
  CHECK(is_valid_id(std::string(256, 'a')));
  CHECK(!is_valid_id(std::string(257, 'a')));
  CHECK(!is_valid_id(std::string_view("a\0b", 3)));
}

}  // namespace conat::auth
