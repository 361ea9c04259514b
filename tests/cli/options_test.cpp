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
  CHECK(pub.options->connection.server == "https://x/y");
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

  // The defaults of one command are not those of another.
  CHECK(parse({"sub", "a"}).options->queue.empty());
  CHECK(parse({"sub", "a"}).options->count == 0);
  CHECK(parse({"stream", "delete", "a", "5"}).options->last == 0);
  const auto reply = parse({"reply", "a", "--echo"});
  REQUIRE(reply.options.has_value());
  CHECK(reply.options->queue == "0");

  const auto set = parse({"kv", "set", "board", "k", "[1]", "--account", "me"});
  REQUIRE(set.options.has_value());
  CHECK(set.options->command == Command::kv_set);
  CHECK(set.options->account == "me");
  CHECK(set.options->store == "board");
  CHECK(set.options->key == "k");
  CHECK(set.options->value == "[1]");

  const auto auth = parse({"pub", "a", "--auth", "{\"token\":\"t\"}"});
  REQUIRE(auth.options.has_value());
  CHECK(auth.options->connection.auth.find("token")->text_or("") == "t");
}

TEST_CASE("who one is, from options") {
  const auto given = parse({"pub", "a", "--token", "t", "--cookie", "c=d", "--system-password", "p",
                            "--ca-file", "ca.pem", "--insecure"});
  REQUIRE(given.options.has_value());
  const Context& connection = given.options->connection;
  CHECK(connection.auth_object().find("token")->text_or("") == "t");
  CHECK(connection.cookie_header() == "c=d; sys=p");
  CHECK(connection.ca_file == "ca.pem");
  CHECK(connection.insecure);
  CHECK(connection.has_credentials());
}

TEST_CASE("streams") {
  const auto tail = parse({"stream", "tail", "log", "-n", "3", "-f", "--project", "p"});
  REQUIRE(tail.options.has_value());
  CHECK(tail.options->command == Command::stream_tail);
  CHECK(tail.options->tail == 3);
  CHECK(tail.options->follow);
  CHECK(tail.options->project == "p");
  CHECK(parse({"stream", "tail", "log"}).options->tail == 10);
  const auto list = parse({"stream", "ls", "log", "--from", "2", "--to", "9"});
  REQUIRE(list.options.has_value());
  CHECK(list.options->seq == 2);
  CHECK(list.options->last == 9);
  const auto config = parse({"stream", "config", "log", "max_msgs=5", "desc=x"});
  REQUIRE(config.options.has_value());
  CHECK(config.options->assignments.size() == 2);
}

TEST_CASE("wrong usage ends with its own code, help with none") {
  const std::vector<std::vector<const char*>> wrong = {
      {},
      {"bogus"},
      {"pub"},
      {"kv"},
      {"reply", "a"},
      {"reply", "a", "--echo", "--command", "x"},
      {"pub", "a", "--timeout", "0"},
      {"pub", "a", "--timeout", "nan"},
      {"pub", "a", "--auth", "[]"},
      {"pub", "a", "--headers", "{"},
      {"pub", "a", "--server", "gopher://x"},
      {"kv", "ls", "a", "--account", "x", "--project", "y"},
      {"kv", "set", "a", "b"},
      {"pub", "a", "b", "--file", "c"},
      {"pub", "a", "b", "--text", "--bytes"},
      {"pub", "a", "--token", "@/no/such/file"},
      {"pub", "a", "--cookie", "a\nb"},
      {"stream", "get", "a"},
      {"stream", "get", "a", "1", "--key", "k"},
      {"stream", "delete", "a"},
      {"stream", "delete", "a", "1", "--all"},
      {"bench", "--count", "0"},
      {"completion", "tcsh"},
      {"context"},
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
