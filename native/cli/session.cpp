#include "cli/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

std::string seconds(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(ms) / 1000);
  return text;
}

}  // namespace

Session::Session(Options options, Context server)
    : options_(std::move(options)),
      server_(std::move(server)),
      timer_(loop_),
      signals_(loop_, SIGINT, SIGTERM) {}

native::ClientSettings Session::client_settings() const {
  native::ClientSettings settings;
  settings.address = server_.server;
  settings.auth = server_.auth_object();
  const std::string cookie = server_.cookie_header();
  if (!cookie.empty()) settings.headers.emplace_back("Cookie", cookie);
  if (!server_.inbox_prefix.empty()) settings.inbox_prefix = server_.inbox_prefix;
  settings.verify_certificate = !server_.insecure;
  settings.ca_file = server_.ca_file;
  if (options_.text_packets) settings.encoding = PacketEncoding::text;
  // A person waits: try again sooner than a program would.
  settings.reconnection_delay = Milliseconds(200);
  settings.reconnection_delay_max = Milliseconds(2000);
  settings.auto_connect = false;
  return settings;
}

int Session::run(Work work) {
  std::signal(SIGPIPE, SIG_IGN);
  work_ = std::move(work);
  auto client = native::connect(loop_, client_settings());
  if (!client.ok()) return fail(client.error());
  client_ = std::move(*client);
  signals_.async_wait([this](boost::system::error_code error, int) {
    if (!error) finish(interrupt_code_);
  });
  watch_connection();
  client_->connect();
  timer_.expires_after(Milliseconds(options_.timeout_ms));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) on_connect_timeout();
  });
  loop_.run();
  return exit_code_;
}

void Session::start() {
  native::asio::co_spawn(loop_, work_(*this), [this](std::exception_ptr thrown, int exit_code) {
    if (thrown) complain("internal error");
    finish(thrown ? exit_error : exit_code);
  });
}

void Session::expect(std::string what) {
  timer_.expires_after(Milliseconds(options_.timeout_ms));
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
  client_->close();
}

int Session::fail(const Error& error) {
  const int code = error.code.number == 408 || error.code.number == 503 ? exit_timeout : exit_error;
  if (finished_) return code;
  if (options_.json) {
    Value::Map map{{"error", Value(error.text)}};
    if (error.code.number != 0) map.emplace_back("code", Value(error.code.number));
    if (!error.code.word.empty()) map.emplace_back("code", Value(error.code.word));
    std::fprintf(stderr, "%s\n", encode_json(Value(std::move(map))).c_str());
  } else {
    complain(error.text);
  }
  return code;
}

void Session::print(const std::string& line) { print_raw(line + "\n"); }

void Session::print_raw(const std::string& text) {
  if (finished_) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) finish(exit_ok);
}

void Session::complain(const std::string& text) {
  std::fprintf(stderr, "conat: %s\n", text.c_str());
}

void Session::watch_connection() {
  client_->on_connection_error([this](const std::string& reason) {
    connection_error_ = reason;
    if (signed_in_once_ && !finished_) complain(reason + "; connecting again");
  });
  client_->on_info([this](const Value& info, bool signed_in) {
    if (finished_) return;
    if (!signed_in) {
      const Value* user = info.find("user");
      const Value* error = user == nullptr ? nullptr : user->find("error");
      return finish(fail(Error(
          ErrorKind::permission_denied,
          "the server refuses you: " + std::string(error == nullptr ? "?" : error->text_or("?")))));
    }
    connection_error_.clear();
    if (signed_in_once_) return;
    signed_in_once_ = true;
    timer_.cancel();
    start();
  });
}

void Session::on_connect_timeout() {
  complain("cannot reach " + server_.server + " within " + seconds(options_.timeout_ms) + ": " +
           (connection_error_.empty() ? "no answer" : connection_error_));
  finish(exit_error);
}

}  // namespace conat::cli
