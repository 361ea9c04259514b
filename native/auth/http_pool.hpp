// A bounded number of kept-alive connections to one service, and a bounded queue before them.
//
// Each request has one time limit for everything: waiting, connecting and the answer. Thread
// safety: none, the context's thread (which runs alone).
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "auth/http_connection.hpp"

namespace conat::auth {

class HttpPool : public std::enable_shared_from_this<HttpPool> {
 public:
  struct Limits {
    std::size_t max_connections = 16;
    std::size_t max_waiting = 1000;
    std::int64_t timeout_ms = 5000;
    std::int64_t idle_ms = 30'000;  // an unused connection is closed after this long
  };
  struct Reply {
    enum class Kind : std::uint8_t { answer, timeout, busy, failed, closed };
    Kind kind = Kind::failed;
    std::string failure;  // kind failed: why
    HttpAnswer answer;    // kind answer
  };
  using Done = std::function<void(Reply)>;

  HttpPool(boost::asio::io_context& context, std::unique_ptr<HttpConnector> connector,
           Limits limits);

  // `done` is called once, maybe at once.
  void post(std::string body, Done done);
  // Ends everything; what is under way gets `closed`.
  void close();

  std::size_t open_connections() const { return idle_.size() + running_.size(); }

 private:
  struct Job {
    Job(boost::asio::io_context& context, std::string text, Done callback)
        : body(std::move(text)), done(std::move(callback)), timer(context) {}
    std::string body;
    Done done;
    boost::asio::steady_timer timer;
    std::shared_ptr<HttpConnection> connection;
  };
  using Jobs = std::list<std::shared_ptr<Job>>;

  void start(const std::shared_ptr<Job>& job, bool fresh);
  void start_waiting();
  void on_result(const std::shared_ptr<Job>& job, HttpResult result);
  void on_timeout(const std::shared_ptr<Job>& job);
  void finish(const std::shared_ptr<Job>& job, Reply reply);
  void arm_idle_timer();

  boost::asio::io_context& context_;
  std::unique_ptr<HttpConnector> connector_;
  Limits limits_;
  struct Idle {
    std::chrono::steady_clock::time_point until;
    std::shared_ptr<HttpConnection> connection;
  };
  std::deque<Idle> idle_;  // the earliest first; the last one is used next
  Jobs running_;
  Jobs waiting_;
  boost::asio::steady_timer idle_timer_;
  bool idle_timer_armed_ = false;
  bool closed_ = false;
};

}  // namespace conat::auth
