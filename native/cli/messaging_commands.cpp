// pub, sub, request, interest.
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/values.hpp"

namespace conat::cli {

Awaitable<int> publish_command(Session& session, Value value) {
  const Options& options = session.options();
  MessageData data = MessageData::of(value, Headers(options.headers));
  native::PublishSettings settings;
  settings.timeout = session.timeout();
  settings.wait_for_interest = options.wait;
  const Progress progress(session, Progress::Direction::sending, data.raw.size());
  const auto result = co_await session.client().publish(options.subject, std::move(data), settings);
  if (!result.ok()) co_return session.fail(result.error());
  if (options.json) {
    Value::Map map{{"bytes", Value(std::uint64_t{result->bytes})}, {"count", Value(result->count)}};
    session.print(encode_json(Value(std::move(map))));
  } else {
    session.print("published " + plural(result->bytes, "byte") + " to " +
                  plural(result->count, "subscriber"));
  }
  co_return exit_ok;
}

Awaitable<int> subscribe_command(Session& session) {
  const Options& options = session.options();
  native::SubscribeSettings settings;
  settings.queue = options.queue;
  settings.timeout = session.timeout();
  settings.message_limit = options.count;
  auto subscription = co_await session.client().subscribe(options.subject, settings);
  if (!subscription.ok()) co_return session.fail(subscription.error());
  session.runs_until_interrupted();
  if (!options.json && !options.raw) session.complain("subscribed to " + options.subject);
  while (const auto message = co_await subscription->next()) {
    print_message(session, *message, true);
  }
  if (subscription->error()) co_return session.fail(*subscription->error());
  co_return exit_ok;
}

namespace {

Awaitable<int> request_many(Session& session, Value value) {
  const Options& options = session.options();
  native::RequestManySettings settings;
  settings.headers = options.headers;
  settings.max_wait = session.timeout();
  settings.wait_for_interest = options.wait;
  auto replies = session.client().request_many(options.subject, value, settings);
  if (!replies.ok()) co_return session.fail(replies.error());
  std::uint64_t received = 0;
  while (const auto reply = co_await replies->next()) {
    ++received;
    const auto result = native::service_result(*reply);
    if (!result.ok() && reply->data.headers.has("error")) {
      co_return session.fail(Error(ErrorCode{}, result.error().text));
    }
    print_message(session, *reply, false);
  }
  if (replies->error()) co_return session.fail(*replies->error());
  if (received == 0) co_return session.fail(Error(ErrorKind::timeout, "timeout"));
  co_return exit_ok;
}

}  // namespace

Awaitable<int> request_command(Session& session, Value value) {
  const Options& options = session.options();
  if (options.many) co_return co_await request_many(session, std::move(value));
  MessageData data = MessageData::of(value, Headers(options.headers));
  native::RequestSettings settings;
  settings.timeout = session.timeout();
  settings.wait_for_interest = options.wait;
  const Progress progress(session, Progress::Direction::sending, data.raw.size());
  const auto reply = co_await session.client().request(options.subject, std::move(data), settings);
  if (!reply.ok()) co_return session.fail(reply.error());
  if (reply->data.headers.has("error")) {
    co_return session.fail(Error(ErrorCode{}, native::service_result(*reply).error().text));
  }
  print_message(session, *reply, false);
  co_return exit_ok;
}

Awaitable<int> interest_command(Session& session) {
  const Options& options = session.options();
  session.expect("interest");
  const Milliseconds timeout = options.wait ? session.timeout() : Milliseconds(0);
  const auto interest = co_await session.client().wait_for_interest(options.subject, timeout);
  if (!interest.ok()) co_return session.fail(interest.error());
  if (options.json) {
    session.print(encode_json(Value(Value::Map{{"interest", Value(*interest)}})));
  } else {
    session.print(*interest ? "yes" : "no");
  }
  co_return *interest ? exit_ok : exit_timeout;
}

}  // namespace conat::cli
