#include "cli/options.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "cli/values.hpp"

using namespace conat;
using namespace conat::cli;

namespace {

ParsedOptions parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "conat");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("commands and options, global ones before and behind the command") {
  const auto pub =
      parse({"--server", "https://x/y", "pub", "a.b", "{\"c\":1}", "--timeout", "2.5"});
  REQUIRE(pub.options.has_value());
  CHECK(pub.options->command == Command::publish);
  CHECK(pub.options->subject == "a.b");
  CHECK(pub.options->value == "{\"c\":1}");
  CHECK(pub.options->server.url() == "https://x/y");
  CHECK(pub.options->timeout_ms == 2500);

  const auto none = parse({"pub", "a"});
  REQUIRE(none.options.has_value());
  CHECK_FALSE(none.options->value.has_value());

  const auto negative = parse({"pub", "a", "--", "-5"});
  REQUIRE(negative.options.has_value());
  CHECK(negative.options->value == "-5");

  const auto sub = parse({"sub", "a.>", "--count", "3", "--queue", "q", "--json"});
  REQUIRE(sub.options.has_value());
  CHECK(sub.options->command == Command::subscribe);
  CHECK(sub.options->count == 3);
  CHECK(sub.options->queue == "q");
  CHECK(sub.options->json);

  const auto reply = parse({"reply", "a", "--echo"});
  REQUIRE(reply.options.has_value());
  CHECK(reply.options->queue == "0");

  const auto set = parse({"kv", "set", "board", "k", "[1]", "--account", "me"});
  REQUIRE(set.options.has_value());
  CHECK(set.options->command == Command::kv_set);
  CHECK(set.options->path == "accounts/me/board");
  CHECK(set.options->scope == "account-me");
  CHECK(set.options->key == "k");
  CHECK(set.options->value == "[1]");

  const auto auth = parse({"pub", "a", "--auth", "{\"token\":\"t\"}"});
  REQUIRE(auth.options.has_value());
  CHECK(auth.options->auth.find("token")->text_or("") == "t");
}

TEST_CASE("wrong usage ends with its own code, help with none") {
  const std::vector<std::vector<const char*>> wrong = {
      {},
      {"bogus"},
      {"pub"},
      {"kv"},
      {"kv", "set", "a", "b"},
      {"reply", "a"},
      {"reply", "a", "--echo", "--command", "x"},
      {"pub", "a", "--timeout", "0"},
      {"pub", "a", "--timeout", "nan"},
      {"pub", "a", "--auth", "[]"},
      {"pub", "a", "--headers", "{"},
      {"pub", "a", "--server", "gopher://x"},
      {"kv", "ls", "a", "--account", "x", "--project", "y"},
  };
  for (const auto& arguments : wrong) {
    INFO("last argument " << (arguments.empty() ? "(none)" : arguments.back()));
    const auto parsed = parse(arguments);
    CHECK_FALSE(parsed.options.has_value());
    CHECK(parsed.exit_code == exit_usage);
  }
  CHECK(parse({"--help"}).exit_code == exit_ok);
  CHECK(parse({"kv", "--help"}).exit_code == exit_ok);
}

TEST_CASE("values are JSON if they parse, else text") {
  CHECK(parse_value("5") == Value(5));
  CHECK(parse_value("{\"a\":[true,null]}").find("a") != nullptr);
  CHECK(parse_value("hello there") == Value("hello there"));
  CHECK(parse_value("") == Value(""));
  CHECK(parse_value("{\"a\":") == Value("{\"a\":"));
  CHECK(show_value(Value("text")) == "text");
  CHECK(show_value(Value(Value::Array{Value(1), Value("x")})) == "[1,\"x\"]");
  CHECK(*decode_or_bytes(PayloadEncoding::msgpack, Bytes{0xc1}).if_binary() == Bytes{0xc1});
}
