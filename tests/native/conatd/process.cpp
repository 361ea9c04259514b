#include "conatd/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <regex>

extern char** environ;

namespace conat::test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

Arguments with_data(Arguments arguments, const std::filesystem::path& data) {
  arguments.insert(arguments.begin(), {"--port", "0", "--data", data.string()});
  return arguments;
}

int milliseconds_until(std::chrono::steady_clock::time_point end) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

std::chrono::steady_clock::time_point after(Seconds limit) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "conat-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Process::Process(const Arguments& arguments, const Arguments& environment,
                 const std::string& input) {
  int output[2];
  int errors[2];
  REQUIRE(::pipe2(output, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(errors, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO);
  std::vector<std::string> argv{CONATD_BINARY};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<std::string> env(environment);
  for (char** variable = environ; *variable != nullptr; ++variable) env.emplace_back(*variable);
  const int error = ::posix_spawn(&pid_, CONATD_BINARY, &actions, nullptr, pointers(argv).data(),
                                  pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(output[1]);
  ::close(errors[1]);
  output_ = output[0];
  errors_ = errors[0];
  REQUIRE(error == 0);
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(output_);
  ::close(errors_);
}

std::optional<std::string> Process::read_line(Seconds limit) {
  const auto end = after(limit);
  while (true) {
    if (const auto newline = buffer_.find('\n'); newline != std::string::npos) {
      std::string line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return line;
    }
    pollfd waiting{output_, POLLIN, 0};
    if (::poll(&waiting, 1, milliseconds_until(end)) <= 0) return std::nullopt;
    char bytes[4096];
    const ssize_t count = ::read(output_, bytes, sizeof bytes);
    if (count <= 0) return std::nullopt;
    buffer_.append(bytes, static_cast<std::size_t>(count));
  }
}

void Process::signal(int number) { REQUIRE(::kill(pid_, number) == 0); }

std::optional<int> Process::wait(Seconds limit) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  REQUIRE(handle >= 0);
  pollfd waiting{handle, POLLIN, 0};
  const int ready = ::poll(&waiting, 1, milliseconds_until(after(limit)));
  ::close(handle);
  if (ready != 1) return std::nullopt;
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  if (!WIFEXITED(status)) return std::nullopt;
  return WEXITSTATUS(status);
}

std::string Process::errors() {
  std::string text;
  char bytes[4096];
  ssize_t count;
  while ((count = ::read(errors_, bytes, sizeof bytes)) > 0) {
    text.append(bytes, static_cast<std::size_t>(count));
  }
  return text;
}

std::size_t Process::descriptors() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd")) {
    ++count;
  }
  return count;
}

std::size_t Process::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

RunningBroker::RunningBroker(const Arguments& more_arguments)
    : process_(with_data(more_arguments, data_.path())) {
  const auto line = process_.read_line();
  if (!line) {
    process_.signal(SIGKILL);
    process_.wait();
    FAIL("conatd did not start: " << process_.errors());
  }
  line_ = *line;
  std::smatch match;
  REQUIRE(std::regex_search(line_, match, std::regex("^conatd listening on http://[^ ]+:(\\d+)")));
  port_ = static_cast<std::uint16_t>(std::stoi(match[1]));
}

}  // namespace conat::test
