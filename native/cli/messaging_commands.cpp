// pub, sub, request, reply, interest.
// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/post.hpp>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

// Commands that reply runs at the same time; further requests wait.
constexpr std::size_t kMaxCommands = 16;
constexpr std::size_t kMaxWaitingRequests = 10'000;
constexpr std::int64_t kCommandTimeoutMs = 30'000;
constexpr std::size_t kMaxOutputBytes = 64u << 20;

MessageData message_of(const Options& options) {
  return MessageData::of(options.value ? parse_value(*options.value) : Value(),
                         Headers(options.headers));
}

Value described(const Message& message, bool with_subject) {
  Value::Map map;
  if (with_subject) map.emplace_back("subject", Value(message.subject));
  map.emplace_back("value", decode_or_bytes(message.data.encoding, message.data.raw));
  if (!message.data.headers.empty()) map.emplace_back("headers", message.data.headers.value());
  return Value(std::move(map));
}

std::string shown(const Options& options, const Message& message, bool with_subject) {
  if (options.json) return encode_json(described(message, with_subject));
  const std::string value = show_value(decode_or_bytes(message.data.encoding, message.data.raw));
  return with_subject ? "[" + message.subject + "] " + value : value;
}

std::string plural(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// Runs the commands of `reply`, a bounded number at a time.
class Replier : public std::enable_shared_from_this<Replier> {
 public:
  explicit Replier(Session& session) : session_(session) {}

  void on_request(const Message& message) {
    if (message.reply_subject().empty()) return;
    if (session_.options().echo) {
      MessageData answer = message.data;
      answer.headers.erase(header::reply);
      return respond(message, std::move(answer));
    }
    if (waiting_.size() >= kMaxWaitingRequests) {
      return respond_error(message, "too many requests are waiting");
    }
    waiting_.push_back(message);
    start_next();
  }

 private:
  void start_next() {
    if (running_ >= kMaxCommands || waiting_.empty()) return;
    ++running_;
    Message request = std::move(waiting_.front());
    waiting_.pop_front();
    const std::string input =
        encode_json(decode_or_bytes(request.data.encoding, request.data.raw)) + "\n";
    std::thread([self = shared_from_this(), request = std::move(request), input,
                 command = session_.options().shell_command]() mutable {
      auto output =
          run_shell_command(command, request.subject, input, kCommandTimeoutMs, kMaxOutputBytes);
      boost::asio::io_context& loop = self->session_.loop();
      boost::asio::post(loop, [self = std::move(self), request = std::move(request),
                               output = std::move(output)] { self->on_output(request, output); });
    }).detach();
  }

  void on_output(const Message& request, const Result<std::string>& output) {
    --running_;
    if (output.ok()) {
      std::string_view text = *output;
      if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
      respond(request, MessageData::of(parse_value(text)));
    } else {
      session_.complain(output.error().text);
      respond_error(request, output.error().text);
    }
    start_next();
  }

  void respond_error(const Message& request, const std::string& text) {
    respond(request, MessageData::of(Value(), Headers(Value(Value::Map{{"error", Value(text)}}))));
  }

  void respond(const Message& request, MessageData answer) {
    session_.client().respond(request, std::move(answer),
                              [self = shared_from_this()](const Result<PublishResult>&) {
                                ++self->answered_;
                                const std::uint64_t limit = self->session_.options().count;
                                if (limit != 0 && self->answered_ >= limit)
                                  self->session_.finish(exit_ok);
                              });
  }

  Session& session_;
  std::deque<Message> waiting_;
  std::size_t running_ = 0;
  std::uint64_t answered_ = 0;
};

// Tells the user, on standard error, that messages are received from now on.
native::NativeClient::OnSubscribed on_subscribed(Session& session) {
  return [&session](const std::optional<Error>& error) {
    session.done_waiting();
    if (error) return session.fail(*error);
    session.runs_until_interrupted();
    if (!session.options().json) session.complain("subscribed to " + session.options().subject);
  };
}

SubscribeOptions subscribe_options(const Options& options) {
  SubscribeOptions result;
  result.queue = options.queue;
  result.timeout_ms = options.timeout_ms;
  return result;
}

}  // namespace

void begin_publish(Session& session) {
  const Options& options = session.options();
  PublishOptions publish;
  publish.timeout_ms = options.timeout_ms;
  publish.wait_for_interest = options.wait;
  const auto call = session.client().publish(
      options.subject, message_of(options), publish,
      [&session](const Result<PublishResult>& result) {
        if (!result.ok()) return session.fail(result.error());
        if (session.options().json) {
          session.print(encode_json(Value(Value::Map{{"bytes", Value(std::uint64_t{result->bytes})},
                                                     {"count", Value(result->count)}})));
        } else {
          session.print("published " + plural(result->bytes, "byte") + " to " +
                        plural(result->count, "subscriber"));
        }
        session.finish(exit_ok);
      });
  if (!call.ok()) session.fail(call.error());
}

void begin_subscribe(Session& session) {
  const auto received = std::make_shared<std::uint64_t>(0);
  const auto id = session.client().subscribe(
      session.options().subject, subscribe_options(session.options()),
      [&session, received](const Message& message) {
        const std::uint64_t limit = session.options().count;
        if (limit != 0 && *received >= limit) return;
        session.print(shown(session.options(), message, true));
        if (++*received == limit) session.finish(exit_ok);
      },
      on_subscribed(session));
  if (!id.ok()) session.fail(id.error());
}

void begin_request(Session& session) {
  const Options& options = session.options();
  RequestOptions request;
  request.timeout_ms = options.timeout_ms;
  request.wait_for_interest = options.wait;
  request.many = options.many;
  const auto received = std::make_shared<std::uint64_t>(0);
  const auto call = session.client().request(
      options.subject, message_of(options), request,
      [&session, received](const Result<Message>& reply, bool last) {
        const bool many = session.options().many;
        if (!reply.ok()) {
          // Silence after some answers is the end of many.
          if (many && *received > 0 && reply.error().code.number == 408) {
            return session.finish(exit_ok);
          }
          return session.fail(reply.error());
        }
        ++*received;
        if (const auto error = reply->data.headers.text("error")) {
          return session.fail(Error(ErrorCode{}, std::string(*error)));
        }
        const bool end_mark =
            many && last && decode_or_bytes(reply->data.encoding, reply->data.raw).is_null();
        if (!end_mark) session.print(shown(session.options(), *reply, false));
        if (last) session.finish(exit_ok);
      });
  if (!call.ok()) session.fail(call.error());
}

void begin_reply(Session& session) {
  const auto replier = std::make_shared<Replier>(session);
  const auto id = session.client().subscribe(
      session.options().subject, subscribe_options(session.options()),
      [replier](const Message& message) { replier->on_request(message); }, on_subscribed(session));
  if (!id.ok()) session.fail(id.error());
}

void begin_interest(Session& session) {
  const Options& options = session.options();
  session.expect("interest");
  const auto call = session.client().wait_for_interest(
      options.subject, options.wait ? options.timeout_ms : 0,
      [&session](const Result<bool>& interest) {
        if (!interest.ok()) return session.fail(interest.error());
        const bool yes = *interest;
        if (session.options().json) {
          session.print(encode_json(Value(Value::Map{{"interest", Value(yes)}})));
        } else {
          session.print(yes ? "yes" : "no");
        }
        session.finish(yes ? exit_ok : exit_timeout);
      });
  if (!call.ok()) session.fail(call.error());
}

}  // namespace conat::cli
