// conat stats against the real system service of a conatd, and what its users may not.
#include <catch2/catch.hpp>
#include <sstream>

#include "cli/program.hpp"
#include "conat/wire/codec.hpp"
#include "conatd/process.hpp"

using namespace conat::test;
using conat::Value;

namespace {

constexpr const char* kPassword = "open+sesame/=";
constexpr const char* kSystem = R"({"hub_id":"system"})";

// With a system account, and a guest beside it.
class BrokerWithSystemAccount {
 public:
  BrokerWithSystemAccount()
      : broker_({"--id", "b1", "--system-password", kPassword, "--anonymous-user",
                 R"({"account_id":"guest"})"}) {}
  std::string address() const { return "http://127.0.0.1:" + std::to_string(broker_.port()); }

 private:
  RunningBroker broker_;
};

// One serves all tests of this file; what they find depends on nobody but themselves.
std::string server() {
  static BrokerWithSystemAccount broker;
  return broker.address();
}

struct Run {
  int code;
  std::string output;
  std::string errors;
};

Run run(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--timeout", "40"});
  Program program(arguments);
  const int code = program.wait();
  return {code, program.output(), program.errors()};
}

std::vector<std::string> as_system(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--server", server(), "--system-password", kPassword});
  return arguments;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// A value in what --json printed, by the names on the way to it.
Value at(const std::string& json, const std::vector<std::string>& path) {
  const auto value = conat::decode_json(json);
  INFO(json);
  REQUIRE(value.ok());
  const Value* found = &*value;
  for (const std::string& name : path) {
    found = found->find(name);
    REQUIRE(found != nullptr);
  }
  return *found;
}

}  // namespace

TEST_CASE("conat stats: the connections of the broker, as a table and as JSON") {
  Program sub(as_system({"sub", "stats.*"}));
  sub.wait_for_errors("subscribed");
  const Run json = run(as_system({"stats", "--json"}));
  CHECK(json.errors == "");
  REQUIRE(json.code == 0);
  REQUIRE(lines_of(json.output).size() == 1);
  const Value all = at(json.output, {});
  REQUIRE(all.if_map() != nullptr);
  REQUIRE(all.if_map()->size() == 1);
  const Value connections = at(json.output, {"b1"});
  REQUIRE(connections.if_map() != nullptr);
  REQUIRE(connections.if_map()->size() == 2);  // the subscriber, and who asks
  std::string subscriber;
  for (const auto& [id, connection] : *connections.if_map()) {
    CHECK(id.size() == 20);
    CHECK(conat::encode_json(*connection.find("user")) == kSystem);
    CHECK(connection.find("address")->text_or("") == "127.0.0.1");
    CHECK(connection.find("connected")->integer_or(0) > 1'700'000'000'000);
    CHECK(connection.find("active")->integer_or(0) >= connection.find("connected")->integer_or(0));
    CHECK(conat::encode_json(*connection.find("recv")) == R"({"messages":0,"bytes":0})");
    const std::string sent = conat::encode_json(*connection.find("send"));
    if (*connection.find("subs") == Value(2)) {  // its inbox and its pattern
      subscriber = id;
      CHECK(sent == R"({"messages":0,"bytes":0})");
    } else {
      CHECK(*connection.find("subs") == Value(1));
      CHECK(sent == R"({"messages":1,"bytes":8})");  // its request, ["stats",[]]
    }
  }
  REQUIRE(subscriber.size() == 20);

  const Run text = run(as_system({"stats"}));
  REQUIRE(text.code == 0);
  const auto lines = lines_of(text.output);
  CHECK(words_of(lines.at(0)) ==
        std::vector<std::string>{"BROKER", "CONNECTION", "USER", "ADDRESS", "SUBS", "IN", "OUT"});
  int rows = 0;
  for (const std::string& line : lines) {
    const auto words = words_of(line);
    REQUIRE(words.size() >= 2);
    if (words[1] != subscriber) continue;
    ++rows;
    CHECK(words == std::vector<std::string>{"b1", subscriber, kSystem, "127.0.0.1", "2", "0", "0",
                                            "B", "0", "0", "B"});
  }
  CHECK(rows == 1);
}

TEST_CASE("conat stats --usage: how many connections each user has") {
  Program guest({"sub", "public.x", "--server", server(), "--timeout", "40"});
  guest.wait_for_errors("subscribed");
  const Run json = run(as_system({"stats", "--usage", "--json"}));
  REQUIRE(json.code == 0);
  const std::int64_t total = at(json.output, {"b1", "total"}).integer_or(0);
  CHECK(total >= 2);
  CHECK(at(json.output, {"b1", "perUser", R"({"account_id":"guest"})"}) == Value(1));
  CHECK(at(json.output, {"b1", "perUser", kSystem}) == Value(total - 1));

  const Run text = run(as_system({"stats", "--usage"}));
  REQUIRE(text.code == 0);
  const auto lines = lines_of(text.output);
  REQUIRE(lines.size() == 4);
  CHECK(words_of(lines[0]) == std::vector<std::string>{"BROKER", "USER", "CONNECTIONS"});
  CHECK(words_of(lines[1]) == std::vector<std::string>{"b1", R"({"account_id":"guest"})", "1"});
  CHECK(words_of(lines[2]).at(1) == kSystem);
  CHECK(words_of(lines[3]).at(1) == "(all)");
}

TEST_CASE("conat stats: who may not, where there is no system account, and the wrong cluster") {
  const Run refused = run({"stats", "--server", server()});
  CHECK(refused.code == 1);
  CHECK(refused.output == "");
  CHECK(refused.errors.find("permission denied") != std::string::npos);
  CHECK(refused.errors.find(R"({"account_id":"guest"})") != std::string::npos);

  const std::string nobody =
      "there is no system service for the cluster 'other' (is a system account configured?)";
  const Run other = run(as_system({"stats", "--cluster", "other"}));
  CHECK(other.code == 3);
  CHECK(other.errors == "conat: " + nobody + "\n");

  const RunningBroker without;
  const std::string address = "http://127.0.0.1:" + std::to_string(without.port());
  for (const char* flag : {"--json", "--usage"}) {
    const Run none = run({"stats", flag, "--server", address});
    CHECK(none.code == 3);
    CHECK(none.output == "");
    const std::string text =
        "there is no system service for the cluster 'default' (is a system account configured?)";
    CHECK(none.errors == (std::string(flag) == "--json"
                              ? "{\"error\":\"" + text + "\",\"code\":503}\n"
                              : "conat: " + text + "\n"));
  }
}

TEST_CASE("conat: an account gets answers below an inbox of its own") {
  const std::vector<std::string> own{"--inbox-prefix", "_INBOX.account-guest", "--server",
                                     server()};
  std::vector<std::string> arguments{"reply", "account.guest.echo", "--echo"};
  arguments.insert(arguments.end(), own.begin(), own.end());
  Program echo(arguments);
  echo.wait_for_errors("subscribed");
  arguments = {"request", "account.guest.echo", "21"};
  const Run refused = run({"request", "account.guest.echo", "21", "--server", server()});
  CHECK(refused.code == 1);
  CHECK(refused.errors.find("conat: Error: permission denied subscribing to '_INBOX.") == 0);
  arguments.insert(arguments.end(), own.begin(), own.end());
  const Run answered = run(arguments);
  CHECK(answered.errors == "");
  CHECK(answered.output == "21\n");
  const Run wrong = run({"request", "a", "1", "--inbox-prefix", "_INBOX.*", "--server", server()});
  CHECK(wrong.code == 1);
  CHECK(wrong.errors ==
        "conat: inbox_prefix '_INBOX.*' must be a valid subject without wildcards\n");
}
