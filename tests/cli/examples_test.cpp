// The example programs, run against the real conatd.
#include <catch2/catch.hpp>

#include "cli/child_process.hpp"
#include "conatd/process.hpp"

using namespace conat::test;

namespace {

std::string output_of(const std::string& program, std::uint16_t port) {
  const std::string command = program + " http://127.0.0.1:" + std::to_string(port);
  const auto output = conat::cli::run_shell_command(command, "", "", 60'000, 1 << 20);
  INFO((output.ok() ? *output : output.error().text));
  REQUIRE(output.ok());
  return *output;
}

}  // namespace

TEST_CASE("example: messages") {
  const RunningBroker broker;
  CHECK(output_of(EXAMPLE_MESSAGES, broker.port()) ==
        "delivered to 1\n"
        "news.today: It works\n"
        "twice 21 is 42\n"
        "request -- no subscribers matching 'nobody.there'\n");
}

TEST_CASE("example: a board that two change at once") {
  const RunningBroker broker;
  CHECK(output_of(EXAMPLE_BOARD, broker.port()) == "{\"text\":\"Hello, Bob\",\"x\":99}\n");
}

TEST_CASE("example: a conversation in a stream") {
  const RunningBroker broker;
  CHECK(output_of(EXAMPLE_CHAT, broker.port()) ==
        "Ann has 1\n"
        "{\"from\":\"Ann\",\"text\":\"Tea?\"}\n"
        "{\"from\":\"Bob\",\"text\":\"Gladly\"}\n"
        "deleted 2\n");
}
