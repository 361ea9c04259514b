// conatd as a child process of a test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace conat::test {

using Arguments = std::vector<std::string>;
using Seconds = std::chrono::duration<double>;

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Process {
 public:
  // Starts conatd. `environment` holds NAME=value; `input` is the file that it reads as its
  // standard input.
  explicit Process(const Arguments& arguments, const Arguments& environment = {},
                   const std::string& input = "/dev/null");
  // Kills what still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // The next line of the standard output, without its end; nullopt at the end or after `limit`.
  std::optional<std::string> read_line(Seconds limit = Seconds(20));
  void signal(int number);
  // The exit code; nullopt if it still runs after `limit` or was ended by a signal.
  std::optional<int> wait(Seconds limit = Seconds(20));
  // Everything it has written to standard error; call after wait().
  std::string errors();
  // Open descriptors now.
  std::size_t descriptors() const;
  // Resident memory now, in bytes.
  std::size_t resident_bytes() const;

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  int errors_ = -1;
  std::string buffer_;
};

// A conatd that listens on a free port with a data directory of its own.
class RunningBroker {
 public:
  explicit RunningBroker(const Arguments& more_arguments = {});

  Process& process() { return process_; }
  std::uint16_t port() const { return port_; }
  const std::string& line() const { return line_; }
  const std::filesystem::path& data() const { return data_.path(); }

 private:
  TemporaryDirectory data_;
  Process process_;
  std::string line_;
  std::uint16_t port_ = 0;
};

// Looks again and again, without pause in between but giving way, until `condition` holds.
template <class Condition>
bool eventually(Condition condition, Seconds limit = Seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

}  // namespace conat::test
