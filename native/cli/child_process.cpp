#include "cli/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <vector>

extern char** environ;

namespace conat::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void set(int fd) { fd_ = fd; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
  bool make() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read.set(fds[0]);
    write.set(fds[1]);
    return true;
  }
};

Error failed(const std::string& what) { return Error(ErrorKind::internal, what); }

std::vector<std::string> environment_with(const std::string& subject) {
  std::vector<std::string> result;
  constexpr std::string_view kName = "CONAT_SUBJECT=";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::string_view(*entry).substr(0, kName.size()) != kName) result.emplace_back(*entry);
  }
  result.push_back(std::string(kName) + subject);
  return result;
}

// The child leads a process group of its own, so that everything it starts can be ended with it.
Result<pid_t> spawn(const std::string& command, const std::string& subject, const Pipe& input,
                    const Pipe& output) {
  std::vector<std::string> environment = environment_with(subject);
  std::vector<char*> pointers;
  for (std::string& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = command;
  char* arguments[] = {shell.data(), flag.data(), text.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, pointers.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return failed(std::string("cannot start the shell: ") + std::strerror(error));
  return child;
}

// Feeds and reads the child until it closes its output. Nothing: done. Else what is wrong.
std::string exchange(Pipe& input, Pipe& output, const std::string& data, std::string& result,
                     std::int64_t timeout_ms, std::size_t max_output_bytes) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  std::size_t written = 0;
  std::array<char, 65'536> buffer;
  if (data.empty()) input.write.close();
  while (output.read.open()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return "the command took too long";
    pollfd waits[2] = {{output.read.get(), POLLIN, 0}, {input.write.get(), POLLOUT, 0}};
    const int ready = ::poll(waits, input.write.open() ? 2 : 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return "poll failed";
    if (ready <= 0) continue;
    if (input.write.open() && waits[1].revents != 0) {
      const ssize_t size = ::write(input.write.get(), data.data() + written, data.size() - written);
      if (size > 0) written += static_cast<std::size_t>(size);
      // A child that does not read its input is its own business.
      if (written == data.size() || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        input.write.close();
      }
    }
    if (waits[0].revents != 0) {
      const ssize_t size = ::read(output.read.get(), buffer.data(), buffer.size());
      if (size == 0 || (size < 0 && errno != EINTR)) output.read.close();
      if (size > 0) result.append(buffer.data(), static_cast<std::size_t>(size));
      if (result.size() > max_output_bytes) return "the command's output is too long";
    }
  }
  return {};
}

}  // namespace

Result<std::string> run_shell_command(const std::string& command, const std::string& subject,
                                      const std::string& input, std::int64_t timeout_ms,
                                      std::size_t max_output_bytes) {
  Pipe to_child;
  Pipe from_child;
  if (!to_child.make() || !from_child.make()) return failed("cannot make a pipe");
  ::fcntl(to_child.write.get(), F_SETFL, O_NONBLOCK);
  const Result<pid_t> child = spawn(command, subject, to_child, from_child);
  if (!child.ok()) return child.error();
  to_child.read.close();
  from_child.write.close();
  std::string output;
  const std::string wrong =
      exchange(to_child, from_child, input, output, timeout_ms, max_output_bytes);
  if (!wrong.empty()) ::kill(-*child, SIGKILL);
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!wrong.empty()) return failed(wrong);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  return failed(WIFEXITED(status)
                    ? "the command ended with code " + std::to_string(WEXITSTATUS(status))
                    : std::string("the command was killed"));
}

}  // namespace conat::cli
