#include "cli/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>

extern char** environ;

namespace conat::test {
namespace {

constexpr std::chrono::seconds kLimit{120};

// A file without a name that holds the input, so that nobody has to feed a pipe.
int file_with(const std::string& text) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  REQUIRE(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  std::rewind(file);
  const int descriptor = ::fcntl(::fileno(file), F_DUPFD_CLOEXEC, 0);
  std::fclose(file);
  return descriptor;
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const std::string& input) {
  int pipes[2][2];
  for (auto& pipe : pipes) REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const int file = file_with(input);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipes[0][1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDERR_FILENO);
  std::vector<std::string> texts{CONAT_BINARY};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, CONAT_BINARY, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(file);
  for (int i = 0; i < 2; ++i) {
    ::close(pipes[i][1]);
    streams_[i] = pipes[i][0];
  }
  REQUIRE(error == 0);
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int stream : streams_) {
    if (stream >= 0) ::close(stream);
  }
}

int Program::wait() {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (read_some(end)) {
  }
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  INFO("standard error: " << errors_);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

void Program::wait_for_output(const std::string& text) { wait_for("output", text); }
void Program::wait_for_errors(const std::string& text) { wait_for("errors", text); }

void Program::signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

void Program::wait_for(const std::string& where, const std::string& text) {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  const std::string& seen = where == "output" ? output_ : errors_;
  while (seen.find(text) == std::string::npos) {
    INFO("waiting for '" << text << "' in its " << where << "; output: " << output_.substr(0, 2000)
                         << "; errors: " << errors_);
    REQUIRE(read_some(end));
  }
}

bool Program::read_some(std::chrono::steady_clock::time_point end) {
  if (streams_[0] < 0 && streams_[1] < 0) return false;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
  INFO("output so far: " << output_.substr(0, 2000) << "; errors: " << errors_);
  REQUIRE(left > 0);
  pollfd waits[2] = {{streams_[0], POLLIN, 0}, {streams_[1], POLLIN, 0}};
  if (::poll(waits, 2, static_cast<int>(left)) <= 0) return true;
  for (int i = 0; i < 2; ++i) {
    if (streams_[i] < 0 || waits[i].revents == 0) continue;
    char buffer[65'536];
    const ssize_t size = ::read(streams_[i], buffer, sizeof buffer);
    if (size > 0) {
      (i == 0 ? output_ : errors_).append(buffer, static_cast<std::size_t>(size));
    } else if (size == 0) {
      ::close(streams_[i]);
      streams_[i] = -1;
    }
  }
  return true;
}

}  // namespace conat::test
