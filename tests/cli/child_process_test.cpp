#include "cli/child_process.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>

using conat::cli::run_shell_command;

namespace {

constexpr std::int64_t kLong = 60'000;
constexpr std::size_t kMuch = 10u << 20;

// As conat does it: writing to a command that has ended is an error, not the end of the program.
[[maybe_unused]] const auto kBefore = std::signal(SIGPIPE, SIG_IGN);

}  // namespace

TEST_CASE("a command gets input and subject, its output comes back") {
  const auto output =
      run_shell_command("cat; printf %s \"$CONAT_SUBJECT\"", "a.b", "in;", kLong, kMuch);
  REQUIRE(output.ok());
  CHECK(*output == "in;a.b");
}

TEST_CASE("more than a pipe holds goes through in both directions at once") {
  const std::string input(3'000'000, 'x');
  const auto output = run_shell_command("cat", "s", input, kLong, kMuch);
  REQUIRE(output.ok());
  CHECK(*output == input);
}

TEST_CASE("a command need not read its input") {
  const auto output =
      run_shell_command("echo done", "s", std::string(3'000'000, 'x'), kLong, kMuch);
  REQUIRE(output.ok());
  CHECK(*output == "done\n");
}

TEST_CASE("failures are told apart") {
  CHECK(run_shell_command("exit 3", "s", "", kLong, kMuch).error().text ==
        "the command ended with code 3");
  CHECK(run_shell_command("kill -9 $$", "s", "", kLong, kMuch).error().text ==
        "the command was killed");
  CHECK(run_shell_command("yes", "s", "", kLong, 100'000).error().text ==
        "the command's output is too long");
}

TEST_CASE("a command that takes too long is ended, with its children") {
  const auto start = std::chrono::steady_clock::now();
  const auto output = run_shell_command("sleep 600 & sleep 600", "s", "", 100, kMuch);
  CHECK(output.error().text == "the command took too long");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(300));
}
