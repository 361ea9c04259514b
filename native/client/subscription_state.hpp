// What a Subscription has in common with the callbacks that fill it.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "client/subscription.hpp"
#include "conat/client/client.hpp"

namespace conat::native {

class Subscription::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::io_context& loop, std::string pattern, const SubscribeSettings& settings)
      : subject(std::move(pattern)),
        queue(std::make_shared<Queue>(loop, settings.max_buffered, settings.overflow)),
        limit_(settings.message_limit),
        max_wait_(settings.max_wait),
        silence_(loop) {}

  // `give_up` ends what brings the messages. It is called at most once, and keeps the connection.
  void start(std::function<void()> give_up);
  void on_message(Message message);
  // An answer to a request to many. With `null_ends` the last one is only a mark if it is null.
  void on_reply(Result<Message> reply, bool last, bool null_ends);
  void finish(std::optional<Error> error = std::nullopt);

  const std::string subject;
  const std::shared_ptr<Queue> queue;

 private:
  void watch_silence();

  std::uint64_t limit_;
  Milliseconds max_wait_;
  asio::steady_timer silence_;
  std::uint64_t received_ = 0;
  std::function<void()> give_up_;
};

// How such a request is made.
RequestOptions many_options(const RequestManySettings& settings, bool null_ends);

}  // namespace conat::native
