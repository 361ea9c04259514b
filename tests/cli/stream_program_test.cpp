// conat stream, stats, info, bench, context and completion against the real conatd.
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "cli/files.hpp"
#include "cli/program.hpp"
#include "conat/wire/codec.hpp"
#include "conatd/process.hpp"

using namespace conat::test;

namespace {

// One broker serves all tests of this file, but those of the system account.
std::string server() {
  static RunningBroker broker;
  return "http://127.0.0.1:" + std::to_string(broker.port());
}

struct Run {
  int code;
  std::string output;
  std::string errors;
};

Run run(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), {"--server", server(), "--timeout", "40"});
  Program program(arguments, input);
  const int code = program.wait();
  return {code, program.output(), program.errors()};
}

// A line without the time in it.
std::string without_times(const std::string& text) {
  return std::regex_replace(text, std::regex("\\d{4}-\\d\\d-\\d\\d [0-9:.]+Z"), "TIME");
}

}  // namespace

TEST_CASE("conat stream: publish, get, ls, tail, delete, config, info") {
  CHECK(run({"stream", "publish", "log", "one"}).output == "1\n");
  CHECK(run({"stream", "publish", "log", "{\"n\":2}", "--key", "k", "--headers", "{\"h\":1}"})
            .output == "2\n");
  const std::string json = run({"stream", "publish", "log", "-", "--json"}, "3\n").output;
  CHECK(json.rfind("{\"seq\":3,\"time\":", 0) == 0);

  CHECK(without_times(run({"stream", "ls", "log"}).output) ==
        "1\tTIME\tone\n2\tTIME\t[k] {\"n\":2}\n3\tTIME\t3\n");
  CHECK(without_times(run({"stream", "ls", "log", "--from", "2", "--to", "2"}).output) ==
        "2\tTIME\t[k] {\"n\":2}\n");
  const std::string keyed = run({"stream", "get", "log", "--key", "k", "--json"}).output;
  CHECK(std::regex_replace(keyed, std::regex("\"time\":\\d+"), "\"time\":0") ==
        "{\"seq\":2,\"time\":0,\"key\":\"k\",\"value\":{\"n\":2},\"headers\":{\"h\":1}}\n");
  const Run missing = run({"stream", "get", "log", "17"});
  CHECK(missing.code == 1);
  CHECK(missing.errors == "conat: there is no message with number 17\n");
  CHECK(without_times(run({"stream", "tail", "log", "--last", "1"}).output) == "3\tTIME\t3\n");

  std::vector<std::string> following{"--server", server(), "--timeout", "40", "stream",
                                     "tail",     "log",    "-n",        "2",  "-f"};
  Program tail(following);
  tail.wait_for_output("\t3\n");
  tail.wait_for_errors("following");
  CHECK(run({"stream", "publish", "log", "four"}).output == "4\n");
  tail.wait_for_output("four");
  CHECK(run({"stream", "delete", "log", "--to", "2"}).output == "deleted 2 messages\n");
  tail.wait_for_output("2\t(deleted)");
  tail.signal(SIGINT);
  CHECK(tail.wait() == 0);
  CHECK(without_times(tail.output()) ==
        "2\tTIME\t[k] {\"n\":2}\n3\tTIME\t3\n4\tTIME\tfour\n1\t(deleted)\n2\t(deleted)\n");

  const Run config = run({"stream", "config", "log", "max_msgs=1", "desc=my log", "--json"});
  CHECK(config.output.find("\"max_msgs\":1") != std::string::npos);
  CHECK(config.output.find("\"desc\":\"my log\"") != std::string::npos);
  CHECK(run({"stream", "config", "log"}).output.find("max_msgs") == 0);
  CHECK(run({"stream", "config", "log", "max_mesgs=1"}).code == 1);
  CHECK(run({"stream", "config", "log", "nonsense"}).code == 2);
  const Run info = run({"stream", "info", "log", "--json"});
  CHECK(info.output.find("\"count\":1") != std::string::npos);
  CHECK(info.output.find("\"seq\":4") != std::string::npos);
  CHECK(run({"stream", "delete", "log", "--all", "--json"}).output == "{\"seqs\":[4]}\n");
  // The scope belongs to the path.
  CHECK(run({"stream", "ls", "../log"}).code == 1);
}

TEST_CASE("conat stream: a follower goes on after the broker's restart") {
  auto broker = std::make_unique<RunningBroker>();
  const std::string port = std::to_string(broker->port());
  const std::string url = "http://127.0.0.1:" + port;
  Program tail({"--server", url, "--timeout", "40", "stream", "tail", "log", "-f", "--count", "1"});
  tail.wait_for_errors("following");
  broker->process().signal(SIGTERM);
  REQUIRE(broker->process().wait().has_value());
  tail.wait_for_errors("connecting again");
  Process second({"--port", port, "--data", broker->data().string()});
  Program publish({"--server", url, "--timeout", "40", "stream", "publish", "log", "back"});
  CHECK(publish.wait() == 0);
  CHECK(tail.wait() == 0);
  CHECK(without_times(tail.output()) == "1\tTIME\tback\n");
}

TEST_CASE("conat: files and bytes pass unchanged") {
  TemporaryDirectory directory;
  std::string content;
  for (int i = 0; i < 3'000'000; ++i) content += static_cast<char>(i * 31);
  const std::string file = (directory.path() / "file").string();
  std::ofstream(file, std::ios::binary) << content;
  Program sub({"--server", server(), "--timeout", "40", "sub", "files", "-n", "1", "--raw"});
  REQUIRE(run({"interest", "files", "--wait"}).code == 0);
  CHECK(run({"pub", "files", "--bytes", "--file", file}).code == 0);
  CHECK(sub.wait() == 0);
  CHECK((sub.output() == content));
  CHECK(run({"kv", "set", "files", "f", "@" + file, "--bytes"}).code == 0);
  CHECK((run({"kv", "get", "files", "f", "--raw"}).output == content));
  CHECK(run({"pub", "files", "--file", file + ".none"}).code == 1);
  CHECK(run({"kv", "set", "files", "f"}).code == 2);
}

TEST_CASE("conat info and bench") {
  const Run info = run({"info"});
  CHECK(info.code == 0);
  CHECK(info.output.find("max_payload  8000000 bytes\n") != std::string::npos);
  CHECK(info.output.find("server       " + server()) != std::string::npos);
  CHECK(conat::decode_json(run({"info", "--json"}).output)->find("max_payload") != nullptr);
  const Run bench = run({"bench", "--count", "2000", "--bytes", "10", "--json"});
  CHECK(bench.code == 0);
  const auto figures = conat::decode_json(bench.output);
  REQUIRE(figures.ok());
  CHECK(figures->find("messages_per_second")->number_or(0) > 0);
  CHECK(figures->find("requests")->integer_or(0) == 20);
  CHECK(run({"bench", "--count", "0"}).code == 2);
}

TEST_CASE("conat context: saved servers") {
  TemporaryDirectory home;
  REQUIRE(::setenv("XDG_CONFIG_HOME", home.path().c_str(), 1) == 0);
  const auto plain = [](std::vector<std::string> arguments) {
    Program program(arguments);
    const int code = program.wait();
    return Run{code, program.output(), program.errors()};
  };
  std::ofstream((home.path() / "token").string()) << "s3cret\n";
  CHECK(plain({"context", "add", "here", "--server", server(), "--token",
               "@" + (home.path() / "token").string()})
            .code == 0);
  CHECK(plain({"context", "add", "away", "--server", "http://127.0.0.1:1", "--use"}).code == 0);
  const Run listed = plain({"context", "ls"});
  CHECK(listed.output == "   NAME  SERVER" + std::string(server().size() - 6, ' ') +
                             "  CREDENTIALS\n   here  " + server() +
                             "  token\n*  away  http://127.0.0.1:1" +
                             std::string(server().size() - 18, ' ') + "  none\n");
  CHECK(plain({"context", "ls", "--json"}).output.find("s3cret") == std::string::npos);
  CHECK(plain({"context", "ls", "--names"}).output == "here\naway\n");
  CHECK(plain({"pub", "a", "1", "--timeout", "0.3"}).code == 1);
  CHECK(plain({"pub", "a", "1", "--context", "here"}).code == 0);
  CHECK(plain({"context", "use", "here"}).code == 0);
  CHECK(plain({"pub", "a", "1"}).code == 0);
  CHECK(plain({"context", "rm", "here"}).code == 0);
  const Run gone = plain({"context", "use", "here"});
  CHECK(gone.code == 1);
  CHECK(gone.errors == "conat: there is no context 'here'\n");
  CHECK(plain({"context", "add", "nowhere"}).code == 2);
  REQUIRE(::unsetenv("XDG_CONFIG_HOME") == 0);
}

TEST_CASE("conat completion, and the commands that docs/cli.md tells of") {
  Program script({"completion", "bash"});
  CHECK(script.wait() == 0);
  CHECK(script.output().find("complete -F _conat conat") != std::string::npos);
  // Every command has its help with examples, and its place in the document.
  const auto document = conat::cli::read_file(CONAT_SOURCE_DIR "/docs/cli.md", 1 << 20);
  REQUIRE(document.ok());
  const std::vector<std::vector<std::string>> commands{{"pub"},
                                                       {"sub"},
                                                       {"request"},
                                                       {"reply"},
                                                       {"interest"},
                                                       {"kv", "get"},
                                                       {"kv", "set"},
                                                       {"kv", "delete"},
                                                       {"kv", "ls"},
                                                       {"kv", "watch"},
                                                       {"stream", "ls"},
                                                       {"stream", "publish"},
                                                       {"stream", "get"},
                                                       {"stream", "tail"},
                                                       {"stream", "delete"},
                                                       {"stream", "config"},
                                                       {"stream", "info"},
                                                       {"info"},
                                                       {"stats"},
                                                       {"bench"},
                                                       {"context", "add"},
                                                       {"context", "use"},
                                                       {"context", "ls"},
                                                       {"context", "rm"},
                                                       {"completion"}};
  for (const auto& command : commands) {
    std::string name;
    for (const std::string& word : command) name += (name.empty() ? "" : " ") + word;
    INFO(name);
    std::vector<std::string> arguments = command;
    arguments.emplace_back("--help");
    Program help(arguments);
    CHECK(help.wait() == 0);
    CHECK(help.output().find("Examples:\n  ") != std::string::npos);
    CHECK(document->find("`conat " + name) != std::string::npos);
  }
}
