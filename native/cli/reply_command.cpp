// reply: by a command of the shell, or an echo.
// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/post.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

// Commands that run at the same time; further requests wait.
constexpr std::size_t kMaxCommands = 16;
constexpr std::size_t kMaxWaitingRequests = 10'000;
constexpr std::int64_t kCommandTimeoutMs = 30'000;
constexpr std::size_t kMaxOutputBytes = 64u << 20;

// The way of the commands' threads to the loop, which may have ended before they do.
class Door {
 public:
  explicit Door(native::asio::io_context& loop) : loop_(&loop) {}
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) native::asio::post(*loop_, std::move(work));
  }
  void close() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  native::asio::io_context* loop_;
};

class Replier : public std::enable_shared_from_this<Replier> {
 public:
  Replier(Session& session, native::Subscription& requests)
      : session_(session), requests_(requests), door_(std::make_shared<Door>(session.loop())) {}

  void on_request(const Message& message) {
    if (ended_ || message.reply_subject().empty()) return;
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

  // No command reaches the session any more.
  void end() {
    ended_ = true;
    door_->close();
  }

 private:
  void start_next() {
    if (ended_ || running_ >= kMaxCommands || waiting_.empty()) return;
    ++running_;
    Message request = std::move(waiting_.front());
    waiting_.pop_front();
    const std::string input =
        encode_json(decode_or_bytes(request.data.encoding, request.data.raw)) + "\n";
    std::thread([door = door_, weak = weak_from_this(), request = std::move(request), input,
                 command = session_.options().shell_command] {
      auto output =
          run_shell_command(command, request.subject, input, kCommandTimeoutMs, kMaxOutputBytes);
      door->post([weak, request, output = std::move(output)] {
        const auto self = weak.lock();
        if (self && !self->ended_) self->on_output(request, output);
      });
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
    session_.client().respond(request, std::move(answer), {},
                              [self = shared_from_this()](const Result<PublishResult>&) {
                                if (self->ended_) return;
                                ++self->answered_;
                                const std::uint64_t limit = self->session_.options().count;
                                if (limit != 0 && self->answered_ >= limit) self->requests_.close();
                              });
  }

  Session& session_;
  native::Subscription& requests_;
  std::shared_ptr<Door> door_;
  std::deque<Message> waiting_;
  std::size_t running_ = 0;
  std::uint64_t answered_ = 0;
  bool ended_ = false;
};

}  // namespace

Awaitable<int> reply_command(Session& session) {
  const Options& options = session.options();
  native::SubscribeSettings settings;
  settings.queue = options.queue;
  settings.timeout = session.timeout();
  auto requests = co_await session.client().subscribe(options.subject, settings);
  if (!requests.ok()) co_return session.fail(requests.error());
  session.runs_until_interrupted();
  if (!options.json) session.complain("subscribed to " + options.subject);
  const auto replier = std::make_shared<Replier>(session, *requests);
  while (const auto request = co_await requests->next()) replier->on_request(*request);
  replier->end();
  if (requests->error()) co_return session.fail(*requests->error());
  co_return exit_ok;
}

}  // namespace conat::cli
