// Asks a service who is connecting: POSTs the handshake as JSON and takes the user from the answer.
//
// Sent:
//   {"address": "192.0.2.7",
//    "headers": {"host": "…", "authorization": "…", …},   names in lower case; one that came
//    several
//                                                         times is joined with ", "
//    "cookies": {"name": "value", …},
//    "auth": {"token": "…"} or null}                      of the Socket.IO CONNECT, or the renewal
// Headers that only concern the WebSocket (Connection, Upgrade, Sec-WebSocket-…) are left out: they
// differ each time, and answers are remembered by what was sent.
//
// Answered, with status 200:
//   {"user": {"account_id": "…"}, "admin": true, "projects": ["…"], "expires": 1700000000000}
//   {"error": "text for the client", "code": 403}
// `expires` is in ms since 1970. A status 401 or 403 refuses, too, with that JSON or without.
// Whatever else comes, or nothing in time, is a failure: the client is told so with code 503 and
// may try again.
//
// Answers are remembered for a short time, failures are not; the same question is asked only once
// at a time. Redirects are not followed: they would take credentials elsewhere.
//
// Thread safety: ask() from any thread; everything happens on the context's thread, which must be
// the only one that runs it. close() (or the end of the context) before the destruction of the
// context.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/expiring_cache.hpp"
#include "auth/http_pool.hpp"
#include "auth/outcome.hpp"
#include "auth/request.hpp"

namespace conat::auth {

struct HttpCallbackOptions {
  std::string url;
  // Sent with every request, so that the service knows us: {"Authorization", "Bearer …"}.
  std::vector<std::pair<std::string, std::string>> headers;
  std::filesystem::path ca_file;  // for https; empty: the system's list
  std::int64_t timeout_ms = 5000;
  std::int64_t cache_ttl_ms = 10'000;  // 0: answers are not remembered
  std::size_t max_cached = 10'000;
  std::size_t max_connections = 16;
  std::size_t max_waiting = 1000;  // clients whose question is on its way or waits
  std::size_t max_answer_bytes = 64 * 1024;
};

// Why clients were told 503.
enum class HttpCallbackFailure : std::uint8_t {
  timeout,      // no answer in time
  unreachable,  // no connection, or it broke
  answer,       // a status or JSON that means nothing
  busy,         // too many sign-ins at the same time
  closed,       // the broker ends
};
inline constexpr std::size_t http_callback_failure_count = 5;
// For metrics.
const char* http_callback_failure_text(HttpCallbackFailure failure);

struct HttpCallbackCounters {
  std::uint64_t asked = 0;                                          // by clients
  std::uint64_t sent = 0;                                           // to the service
  std::uint64_t cached = 0;                                         // answered from memory
  std::array<std::uint64_t, http_callback_failure_count> failed{};  // clients told 503

  std::uint64_t failed_for(HttpCallbackFailure why) const {
    return failed[static_cast<std::size_t>(why)];
  }
};

class HttpCallback : public std::enable_shared_from_this<HttpCallback> {
 public:
  using Done = std::function<void(Outcome)>;

  // The error's text says what is wrong with the options.
  static Result<std::shared_ptr<HttpCallback>> open(boost::asio::io_context& context,
                                                    HttpCallbackOptions options);

  // `done` is called once, on the context's thread, or never if the context ends.
  void ask(const Request& request, Done done);
  // On the context's thread, or when it does not run: ends what is under way with 503.
  void close();

  HttpCallbackCounters counters() const;

  // What is sent for a request; here for tests and tools.
  static std::string question(const Request& request);
  // What an answer means.
  static Outcome read_answer(unsigned status, std::string_view body, UnixMs now);

 private:
  HttpCallback(boost::asio::io_context& context, HttpCallbackOptions options,
               std::shared_ptr<HttpPool> pool);
  void look_up(std::string question, Done done);
  void on_reply(const Digest& key, HttpPool::Reply reply);
  void count_failures(HttpCallbackFailure why, std::size_t clients);

  boost::asio::io_context& context_;
  HttpCallbackOptions options_;
  std::shared_ptr<HttpPool> pool_;
  ExpiringCache<Outcome> cache_;
  std::unordered_map<Digest, std::vector<Done>, DigestHash> asking_;
  std::size_t waiting_ = 0;
  std::atomic<std::uint64_t> asked_{0}, sent_{0}, cached_{0};
  std::array<std::atomic<std::uint64_t>, http_callback_failure_count> failed_{};
};

}  // namespace conat::auth
