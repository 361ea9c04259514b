// One run of the program against a server: the loop, the client, the time limits, and how it ends.
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
#include "client/client.hpp"

namespace conat::cli {

using native::Awaitable;
using native::Milliseconds;

class Session {
 public:
  // A command: works on a signed-in session and returns the exit code.
  using Work = std::function<Awaitable<int>(Session& session)>;

  Session(Options options, Context server);

  // Connects, works when signed in, and returns the exit code.
  int run(Work work);

  const Options& options() const { return options_; }
  const Context& server() const { return server_; }
  const native::Client& client() const { return *client_; }
  native::asio::io_context& loop() { return loop_; }
  // For another connection of the same kind; it has to be told to connect.
  native::ClientSettings client_settings() const;
  Milliseconds timeout() const { return Milliseconds(options_.timeout_ms); }

  // Ends the run, with exit_timeout unless the next call of done_waiting() comes in time.
  void expect(std::string what);
  void done_waiting();
  // From now on an interrupt is the normal end.
  void runs_until_interrupted() { interrupt_code_ = exit_ok; }

  // Says what went wrong; returns exit_timeout for 408 and 503, else exit_error.
  int fail(const Error& error);
  // A line on standard output, at once. A reader that has left ends the run.
  void print(const std::string& line);
  void print_raw(const std::string& text);
  // A line on standard error.
  void complain(const std::string& text);

 private:
  void start();
  void watch_connection();
  void on_connect_timeout();
  void finish(int exit_code);

  Options options_;
  Context server_;
  native::asio::io_context loop_{1};
  std::optional<native::Client> client_;
  native::asio::steady_timer timer_;
  native::asio::signal_set signals_;
  Work work_;
  std::string connection_error_;
  bool signed_in_once_ = false;
  bool finished_ = false;
  int exit_code_ = exit_ok;
  int interrupt_code_ = exit_error;
};

}  // namespace conat::cli
