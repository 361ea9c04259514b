// The completion scripts: bash's is run by a real bash; all of them name every command.
#include <catch2/catch.hpp>
#include <fstream>

#include "cli/child_process.hpp"
#include "cli/options.hpp"
#include "conatd/process.hpp"

using namespace conat;
using namespace conat::cli;

namespace {

// The words that bash offers behind `line`, one per line.
std::string complete(const std::vector<std::string>& words) {
  const conat::test::TemporaryDirectory directory;
  const std::string script = (directory.path() / "conat.bash").string();
  std::ofstream(script) << completion_script("bash");
  std::string list;
  for (const std::string& word : words) list += " '" + word + "'";
  // As input, so that no quoting is needed around the quotes.
  const std::string input = ". " + script + "\nCOMP_WORDS=(" + list +
                            ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) +
                            "\n_conat\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
  const auto output = run_shell_command("bash -eu", "", input, 60'000, 1 << 20);
  INFO((output.ok() ? "" : output.error().text));
  REQUIRE(output.ok());
  return *output;
}

bool offers(const std::string& output, const std::string& word) {
  return ("\n" + output).find("\n" + word + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("bash completes commands, their commands, and options") {
  const std::string first = complete({"conat", ""});
  for (const char* word : {"pub", "sub", "request", "reply", "kv", "stream", "interest", "stats",
                           "info", "bench", "context", "completion", "--server", "--json"}) {
    INFO(word);
    CHECK(offers(first, word));
  }
  CHECK(complete({"conat", "str"}) == "stream\n");
  CHECK(complete({"conat", "kv", "w"}) == "watch\n");
  CHECK(offers(complete({"conat", "stream", "tail", "log", "--"}), "--follow"));
  CHECK(offers(complete({"conat", "stream", "tail", "log", "--"}), "--server"));
  CHECK_FALSE(offers(complete({"conat", "stream", "tail", "log", "--"}), "--echo"));
  CHECK(complete({"conat", "completion", "f"}) == "fish\n");
  // An option's value is no command, and nothing is offered for it.
  CHECK(offers(complete({"conat", "--server", "kv", ""}), "pub"));
  CHECK(complete({"conat", "--server", ""}) == "\n");
}

TEST_CASE("every shell's script names every command") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    INFO(shell);
    const std::string script = completion_script(shell);
    for (const char* word : {"watch", "tail", "interest", "completion", "ca-file"}) {
      CHECK(script.find(word) != std::string::npos);
    }
  }
  CHECK(completion_script("tcsh").empty());
}
