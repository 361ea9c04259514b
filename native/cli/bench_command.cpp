// bench: messages per second from one connection to another, and the time of a request.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

using BenchClock = std::chrono::steady_clock;

// Sent and not yet received at most: a bench measures, it does not fill buffers.
constexpr std::uint64_t kWindowMessages = 10'000;
constexpr std::uint64_t kWindowBytes = 8u << 20;
constexpr std::uint64_t kMaxRequests = 10'000;

double seconds_since(BenchClock::time_point begin) {
  return std::chrono::duration<double>(BenchClock::now() - begin).count();
}

std::string rounded(double number) { return std::to_string(std::llround(number)); }

struct Throughput {
  double seconds = 0;
  double per_second = 0;
};

// Publishes `count` messages, each received once, with a window between the two.
Awaitable<Result<Throughput>> throughput(Session& session, const native::Client& publisher,
                                         const std::string& subject) {
  const Options& options = session.options();
  auto subscription = co_await session.client().subscribe(subject);
  if (!subscription.ok()) co_return subscription.error();
  const MessageData message = MessageData::of(Value(Bytes(options.bench_bytes)));
  const std::uint64_t window = std::clamp<std::uint64_t>(
      kWindowBytes / std::max<std::uint64_t>(options.bench_bytes, 1), 1, kWindowMessages);
  const BenchClock::time_point begin = BenchClock::now();
  std::uint64_t sent = 0;
  for (std::uint64_t received = 0; received < options.bench_messages; ++received) {
    while (sent < options.bench_messages && sent - received < window) {
      const auto published = publisher.publish_now(subject, message);
      if (!published.ok()) co_return published.error();
      ++sent;
    }
    const auto next = co_await subscription->next_within(session.timeout());
    if (!next) {
      co_return Error(ErrorKind::timeout, "only " + std::to_string(received) + " of " +
                                              std::to_string(sent) + " messages came");
    }
  }
  const double seconds = std::max(seconds_since(begin), 1e-9);
  co_return Throughput{seconds, static_cast<double>(options.bench_messages) / seconds};
}

Awaitable<void> answer_all(native::Client client, std::shared_ptr<native::Subscription> requests) {
  while (const auto request = co_await requests->next()) {
    co_await client.respond(*request, Value(1));
  }
}

// The times of requests one after the other, in microseconds, sorted.
Awaitable<Result<std::vector<double>>> latencies(Session& session, const native::Client& asking,
                                                 const std::string& subject) {
  const Options& options = session.options();
  auto subscribed = co_await session.client().subscribe(subject);
  if (!subscribed.ok()) co_return subscribed.error();
  const auto requests = std::make_shared<native::Subscription>(std::move(*subscribed));
  native::asio::co_spawn(session.loop(), answer_all(session.client(), requests),
                         native::asio::detached);
  const std::uint64_t count =
      std::clamp<std::uint64_t>(options.bench_messages / 100, 1, kMaxRequests);
  const MessageData message = MessageData::of(Value(Bytes(options.bench_bytes)));
  native::RequestSettings settings;
  settings.timeout = session.timeout();
  std::vector<double> times;
  for (std::uint64_t i = 0; i < count; ++i) {
    const BenchClock::time_point begin = BenchClock::now();
    const auto reply = co_await asking.request(subject, message, settings);
    if (!reply.ok()) {
      requests->close();
      co_return reply.error();
    }
    times.push_back(seconds_since(begin) * 1e6);
  }
  requests->close();
  std::sort(times.begin(), times.end());
  co_return times;
}

}  // namespace

Awaitable<int> bench_command(Session& session) {
  const Options& options = session.options();
  auto publisher = native::connect(session.loop(), session.client_settings());
  if (!publisher.ok()) co_return session.fail(publisher.error());
  publisher->connect();
  const Status ready = co_await publisher->wait_until_signed_in(session.timeout());
  if (!ready.ok()) co_return session.fail(ready.error());
  const std::string subject = "bench." + session.client().id();
  const auto result = co_await throughput(session, *publisher, subject);
  if (!result.ok()) co_return session.fail(result.error());
  const auto times = co_await latencies(session, *publisher, subject + ".request");
  if (!times.ok()) co_return session.fail(times.error());
  const double median = (*times)[times->size() / 2];
  const double slow = (*times)[times->size() * 99 / 100];
  if (options.json) {
    Value::Map map{{"messages", Value(options.bench_messages)},
                   {"bytes", Value(options.bench_bytes)},
                   {"messages_per_second", Value(result->per_second)},
                   {"requests", Value(std::uint64_t{times->size()})},
                   {"request_p50_us", Value(median)},
                   {"request_p99_us", Value(slow)}};
    session.print(encode_json(Value(std::move(map))));
    co_return exit_ok;
  }
  const std::uint64_t bytes_per_second =
      static_cast<std::uint64_t>(result->per_second * static_cast<double>(options.bench_bytes));
  session.print(plural(options.bench_messages, "message") + " of " +
                plural(options.bench_bytes, "byte") + ": " + rounded(result->per_second) +
                " per second, " + readable_bytes(bytes_per_second) + "/s");
  session.print(plural(times->size(), "request") + ": median " + rounded(median) + " us, 99% " +
                rounded(slow) + " us");
  co_return exit_ok;
}

}  // namespace conat::cli
