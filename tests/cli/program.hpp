// The program `conat` as a child process of a test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace conat::test {

class Program {
 public:
  // Starts it; `input` is its standard input.
  explicit Program(const std::vector<std::string>& arguments, const std::string& input = "");
  // Kills what still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Waits for its end; fails the test when that takes longer than two minutes.
  int wait();
  // Waits until it has written that; fails the test after two minutes.
  void wait_for_output(const std::string& text);
  void wait_for_errors(const std::string& text);
  void signal(int number) const;
  const std::string& output() const { return output_; }
  const std::string& errors() const { return errors_; }

 private:
  // Reads what comes next; false when both streams have ended.
  bool read_some(std::chrono::steady_clock::time_point end);
  void wait_for(const std::string& where, const std::string& text);

  pid_t pid_ = -1;
  int streams_[2] = {-1, -1};
  std::string output_;
  std::string errors_;
};

}  // namespace conat::test
