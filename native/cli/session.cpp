#include "cli/session.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>

#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

native::NativeClientOptions client_options(const Options& options) {
  native::NativeClientOptions result;
  result.client.auth = options.auth;
  if (options.text_packets) result.client.encoding = PacketEncoding::text;
  // A person waits: try again sooner than a program would.
  result.client.reconnection_delay_ms = 200;
  result.client.reconnection_delay_max_ms = 2000;
  return result;
}

std::string seconds(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(ms) / 1000);
  return text;
}

}  // namespace

Session::Session(Options options)
    : options_(std::move(options)),
      client_(loop_, options_.server, client_options(options_)),
      timer_(loop_),
      signals_(loop_, SIGINT, SIGTERM) {}

int Session::run(std::function<void()> begin) {
  std::signal(SIGPIPE, SIG_IGN);
  begin_ = std::move(begin);
  signals_.async_wait([this](boost::system::error_code error, int) {
    if (!error) finish(interrupt_code_);
  });
  watch_connection();
  client_.connect();
  timer_.expires_after(std::chrono::milliseconds(options_.timeout_ms));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) on_connect_timeout();
  });
  loop_.run();
  return exit_code_;
}

void Session::expect(std::string what) {
  timer_.expires_after(std::chrono::milliseconds(options_.timeout_ms));
  timer_.async_wait([this, what = std::move(what)](boost::system::error_code error) {
    if (error) return;
    complain(what + ": no answer within " + seconds(options_.timeout_ms) +
             (connection_error_.empty() ? "" : " (" + connection_error_ + ")"));
    finish(exit_timeout);
  });
}

void Session::done_waiting() { timer_.cancel(); }

void Session::finish(int exit_code) {
  if (finished_) return;
  finished_ = true;
  exit_code_ = exit_code;
  timer_.cancel();
  boost::system::error_code ignored;
  signals_.cancel(ignored);
  signals_.clear(ignored);  // from here on an interrupt ends the program as it would any other
  client_.close();
}

void Session::fail(const Error& error) {
  if (finished_) return;
  if (options_.json) {
    Value::Map map{{"error", Value(error.text)}};
    if (error.code.number != 0) map.emplace_back("code", Value(error.code.number));
    if (!error.code.word.empty()) map.emplace_back("code", Value(error.code.word));
    std::fprintf(stderr, "%s\n", encode_json(Value(std::move(map))).c_str());
  } else {
    complain(error.text);
  }
  finish(error.code.number == 408 || error.code.number == 503 ? exit_timeout : exit_error);
}

void Session::print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  if (std::fflush(stdout) != 0) finish(exit_ok);
}

void Session::complain(const std::string& text) {
  std::fprintf(stderr, "conat: %s\n", text.c_str());
}

void Session::watch_connection() {
  client_.on_connection_error([this](const std::string& reason) {
    connection_error_ = reason;
    if (signed_in_once_ && !finished_) complain(reason + "; connecting again");
  });
  client_.on_info([this](const Value& info, bool signed_in) {
    if (finished_) return;
    if (!signed_in) {
      const Value* user = info.find("user");
      const Value* error = user == nullptr ? nullptr : user->find("error");
      return fail(Error(
          ErrorKind::permission_denied,
          "the server refuses you: " + std::string(error == nullptr ? "?" : error->text_or("?"))));
    }
    connection_error_.clear();
    if (signed_in_once_) return;
    signed_in_once_ = true;
    timer_.cancel();
    begin_();
  });
}

void Session::on_connect_timeout() {
  complain("cannot reach " + options_.server.url() + " within " + seconds(options_.timeout_ms) +
           ": " + (connection_error_.empty() ? "no answer" : connection_error_));
  finish(exit_error);
}

}  // namespace conat::cli
