// The real conat against the real conatd.
#include "cli/program.hpp"

#include <catch2/catch.hpp>
#include <csignal>

#include "conatd/process.hpp"

using namespace conat::test;

namespace {

// One broker serves all tests of this file; each uses subjects and stores of its own.
std::string server() {
  static RunningBroker broker;
  return "http://127.0.0.1:" + std::to_string(broker.port());
}

std::vector<std::string> with_server(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--server", server(), "--timeout", "40"});
  return arguments;
}

struct Run {
  int code;
  std::string output;
  std::string errors;
};

Run run(std::vector<std::string> arguments, const std::string& input = "") {
  Program program(with_server(std::move(arguments)), input);
  const int code = program.wait();
  return {code, program.output(), program.errors()};
}

}  // namespace

TEST_CASE("conat: pub and sub") {
  Program sub(with_server({"sub", "news.*", "--count", "3"}));
  sub.wait_for_errors("subscribed");
  CHECK(run({"pub", "news.a", "{\"title\":\"It works\"}"}).output ==
        "published 16 bytes to 1 subscriber\n");
  CHECK(run({"pub", "news.b", "-", "--json"}, "piped in\n").output ==
        "{\"bytes\":9,\"count\":1}\n");
  CHECK(run({"pub", "news.c", "--text-packets", "--headers", "{\"h\":1}"}).code == 0);
  CHECK(sub.wait() == 0);
  CHECK(sub.output() == "[news.a] {\"title\":\"It works\"}\n[news.b] piped in\n[news.c] null\n");
}

TEST_CASE("conat: every sub gets every message, unless they share a queue") {
  Program first(with_server({"sub", "all", "--count", "1"}));
  Program second(with_server({"sub", "all", "--count", "1"}));
  Program member(with_server({"sub", "all", "--queue", "q"}));
  Program other(with_server({"sub", "all", "--queue", "q"}));
  for (Program* sub : {&first, &second, &member, &other}) sub->wait_for_errors("subscribed");
  CHECK(run({"pub", "all", "1"}).output == "published 1 byte to 3 subscribers\n");
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
}

TEST_CASE("conat: sub as JSON, ended by an interrupt") {
  Program sub(with_server({"sub", "json.>", "--json"}));
  REQUIRE(run({"interest", "json.x", "--wait"}).code == 0);
  REQUIRE(run({"pub", "json.x", "[1,2]", "--headers", "{\"h\":\"v\"}"}).code == 0);
  sub.wait_for_output("\n");
  sub.signal(SIGINT);
  CHECK(sub.wait() == 0);
  CHECK(sub.output() == "{\"subject\":\"json.x\",\"value\":[1,2],\"headers\":{\"h\":\"v\"}}\n");
  CHECK(sub.errors() == "");
}

TEST_CASE("conat: request and reply") {
  Program echo(with_server({"reply", "echo.*", "--echo", "--count", "2"}));
  echo.wait_for_errors("subscribed");
  CHECK(run({"request", "echo.x", "{\"deep\":[1,null]}"}).output == "{\"deep\":[1,null]}\n");
  CHECK(run({"request", "echo.y", "text", "--json"}).output == "{\"value\":\"text\"}\n");
  CHECK(echo.wait() == 0);

  Program shell(with_server(
      {"reply", "count.*", "--command", "tr -d '\\n\"' | wc -c; echo $CONAT_SUBJECT >&2"}));
  shell.wait_for_errors("subscribed");
  CHECK(run({"request", "count.x", "seven77"}).output == "7\n");
  shell.wait_for_errors("count.x");

  Program failing(with_server({"reply", "failing", "--command", "exit 4"}));
  failing.wait_for_errors("subscribed");
  const Run failed = run({"request", "failing"});
  CHECK(failed.code == 1);
  CHECK(failed.errors == "conat: the command ended with code 4\n");
}

TEST_CASE("conat: nobody there, no answer, no interest") {
  const Run none = run({"request", "nobody.there"});
  CHECK(none.code == 3);
  CHECK(none.errors == "conat: request -- no subscribers matching 'nobody.there'\n");
  const Run json = run({"request", "nobody.there", "--json"});
  CHECK(json.errors ==
        "{\"error\":\"request -- no subscribers matching 'nobody.there'\",\"code\":503}\n");
  Program silent(with_server({"sub", "silent"}));
  silent.wait_for_errors("subscribed");
  Program asking({"--server", server(), "request", "silent", "--timeout", "1"});
  CHECK(asking.wait() == 3);
  CHECK(asking.errors() == "conat: timeout\n");
  const Run no = run({"interest", "nobody.there"});
  CHECK(no.code == 3);
  CHECK(no.output == "no\n");
  CHECK(run({"interest", "silent"}).output == "yes\n");
}

TEST_CASE("conat: key-value stores") {
  Program watch(with_server({"kv", "watch", "board", "--count", "2"}));
  watch.wait_for_errors("watching");
  CHECK(run({"kv", "set", "board", "note-1", "{\"text\":\"Hello\"}"}).code == 0);
  CHECK(run({"kv", "get", "board", "note-1"}).output == "{\"text\":\"Hello\"}\n");
  CHECK(run({"kv", "ls", "board", "--json"}).output == "{\"note-1\":{\"text\":\"Hello\"}}\n");
  CHECK(run({"kv", "delete", "board", "note-1"}).code == 0);
  const Run gone = run({"kv", "get", "board", "note-1"});
  CHECK(gone.code == 1);
  CHECK(gone.errors == "conat: there is no key 'note-1'\n");
  CHECK(run({"kv", "delete", "board", "note-1"}).code == 1);
  CHECK(watch.wait() == 0);
  CHECK(watch.output() == "note-1\t{\"text\":\"Hello\"}\nnote-1\t(deleted)\n");
}

TEST_CASE("conat: a message of many chunks passes whole") {
  std::string text;
  for (int i = 0; text.size() < 20'000'000; ++i) text += std::to_string(i) + " ";
  Program sub(with_server({"sub", "big", "--count", "1"}));
  sub.wait_for_errors("subscribed");
  CHECK(run({"pub", "big", "-"}, text).code == 0);
  CHECK(sub.wait() == 0);
  CHECK(sub.output() == "[big] " + text + "\n");
}

TEST_CASE("conat: a server that is not there, or is something else") {
  Program away({"--server", "http://127.0.0.1:1", "--timeout", "0.5", "pub", "a"});
  CHECK(away.wait() == 1);
  CHECK(
      away.errors() ==
      "conat: cannot reach http://127.0.0.1:1 within 0.5 s: cannot connect: Connection refused\n");
  Program other({"--server", server() + "/elsewhere", "--timeout", "2", "pub", "a"});
  CHECK(other.wait() == 1);
  CHECK(other.errors().find("HTTP 404") != std::string::npos);
  Program nowhere({"--server", "http://no-such-host.invalid", "--timeout", "2", "pub", "a"});
  CHECK(nowhere.wait() == 1);
  CHECK(nowhere.errors().find("cannot reach http://no-such-host.invalid") != std::string::npos);
}

TEST_CASE("conat: a subscriber comes back after the broker's restart") {
  TemporaryDirectory data;
  auto broker = std::make_unique<RunningBroker>();
  const std::string port = std::to_string(broker->port());
  const std::string url = "http://127.0.0.1:" + port;
  Program sub({"--server", url, "sub", "after", "--count", "1"});
  sub.wait_for_errors("subscribed");
  broker->process().signal(SIGTERM);
  REQUIRE(broker->process().wait().has_value());
  sub.wait_for_errors("connecting again");
  Process second({"--port", port, "--data", data.path().string()});
  Program pub({"--server", url, "--timeout", "40", "pub", "after", "5", "--wait"});
  CHECK(pub.wait() == 0);
  CHECK(sub.wait() == 0);
  CHECK(sub.output() == "[after] 5\n");
}

TEST_CASE("conat: help has examples") {
  Program help({"--help"});
  CHECK(help.wait() == 0);
  CHECK(help.output().find("Examples:") != std::string::npos);
  CHECK(help.output().find("Exit codes:") != std::string::npos);
}
