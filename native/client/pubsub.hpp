// Values that everybody in a project who listens now gets, and that nothing keeps: cursors,
// presence, "somebody is typing".
//
//   auto cursors = co_await client.pubsub({project_id, "cursors", "a.txt"});
//   cursors->set(object("x", 10));
//   while (auto value = co_await cursors->next()) ...  // one's own as well
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/subscription.hpp"

namespace conat::native {

class Connection;

struct PubSubSettings {
  PubSubSettings(std::string project, std::string what, std::string file = {})
      : project_id(std::move(project)), name(std::move(what)), path(std::move(file)) {}

  // Both are parts of a subject: without dots, spaces and wildcards.
  std::string project_id;
  std::string name;
  std::string path;                   // for one file, any text; empty: the project as a whole
  std::size_t max_buffered = 10'000;  // beyond it the oldest values that nobody read go
};

class PubSub {
 public:
  PubSub(PubSub&&) noexcept = default;
  PubSub& operator=(PubSub&&) = delete;

  // Fire and forget: dropped while there is no connection. Errors: closed, too_large, 403 when the
  // server refused the subject within the last minute, 429.
  Status set(const Value& value);
  // The next value; nothing when it was closed, or the server refuses it: error(). What cannot be
  // decoded is left out.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<Value>>(
        loop(), token, [queue = subscription_->queue()](Completion<std::optional<Value>> done) {
          begin_next(queue, std::move(done));
        });
  }
  const std::optional<Error>& error() const { return subscription_->error(); }
  const std::string& subject() const { return subscription_->subject(); }
  void close();

  // Error: invalid_argument for a name or project that cannot be part of a subject.
  static Result<std::string> subject_of(const PubSubSettings& settings);

 private:
  friend class Client;
  using Queue = AsyncQueue<Message>;
  PubSub(std::shared_ptr<Connection> connection, Subscription subscription)
      : connection_(std::move(connection)),
        subscription_(std::make_unique<Subscription>(std::move(subscription))) {}
  asio::io_context& loop() const { return subscription_->loop(); }
  static void begin_next(const std::shared_ptr<Queue>& queue,
                         Completion<std::optional<Value>> done);

  std::shared_ptr<Connection> connection_;  // null: closed
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace conat::native
