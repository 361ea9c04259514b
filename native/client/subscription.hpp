// The messages of a subscription, or the answers to a request to many, one after the other:
//
//   while (auto message = co_await subscription.next()) use(message->subject);
//
// It ends by close() or its destruction, by its limits, with its client, and when the server
// refuses it; disconnects and restarts of the server never end it.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/async_queue.hpp"
#include "client/settings.hpp"
#include "conat/wire/message.hpp"

namespace conat::native {

class Subscription {
 public:
  ~Subscription();
  Subscription(Subscription&& other) noexcept = default;
  Subscription& operator=(Subscription&& other) noexcept;

  // The next message; nothing when it has ended and everything was read.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return next_within(Milliseconds(0), std::forward<Token>(token));
  }
  // Also nothing when none comes in time (0: no limit): then ended() is false.
  template <class Token = DefaultToken>
  auto next_within(Milliseconds limit, Token&& token = {}) {
    return initiate<std::optional<Message>>(
        loop(), token, [queue = queue(), limit](Completion<std::optional<Message>> done) {
          queue->next(limit, std::move(done));
        });
  }

  // Ends it; what nobody has read is forgotten, or returned.
  void close();
  std::vector<Message> drain();

  bool ended() const;
  // Why, when that was not by close() or its limits.
  const std::optional<Error>& error() const;
  // How many messages wait to be read.
  std::size_t buffered() const;
  const std::string& subject() const;  // the pattern

 private:
  friend class Client;
  friend class PubSub;
  friend class Socket;
  class State;
  using Queue = AsyncQueue<Message>;

  explicit Subscription(std::shared_ptr<State> state);
  asio::io_context& loop() const;
  const std::shared_ptr<Queue>& queue() const;

  std::shared_ptr<State> state_;
};

}  // namespace conat::native
