// One run of the program: the loop, the client, the time limits, and how it ends.
//
// Nothing waits for ever: the connection has options.timeout_ms, and so has each step that a
// command starts with expect(). Thread safety: none, the loop's thread.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "cli/options.hpp"
#include "client/native_client.hpp"

namespace conat::cli {

class Session {
 public:
  explicit Session(Options options);

  // Connects, calls `begin` when signed in, and returns the exit code when finish() or fail() was
  // called.
  int run(std::function<void()> begin);

  const Options& options() const { return options_; }
  native::NativeClient& client() { return client_; }
  boost::asio::io_context& loop() { return loop_; }

  // Ends the run, with exit_timeout unless the next call of done_waiting() comes in time.
  void expect(std::string what);
  void done_waiting();
  // From now on an interrupt is the normal end.
  void runs_until_interrupted() { interrupt_code_ = exit_ok; }

  void finish(int exit_code);
  // Says what went wrong and ends: exit_timeout for 408 and 503, else exit_error.
  void fail(const Error& error);
  // A line on standard output, at once. A reader that has left ends the run.
  void print(const std::string& line);
  void complain(const std::string& text);

 private:
  void watch_connection();
  void on_connect_timeout();

  Options options_;
  boost::asio::io_context loop_{1};
  native::NativeClient client_;
  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  std::function<void()> begin_;
  std::string connection_error_;
  bool signed_in_once_ = false;
  bool finished_ = false;
  int exit_code_ = exit_ok;
  int interrupt_code_ = exit_error;
};

}  // namespace conat::cli
