// Items that arrive, for whoever asks for the next: the buffer behind subscriptions and watchers.
//
// Thread safety: none, the loop's thread. Invariant: nobody waits while there are items.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "client/completion.hpp"
#include "conat/base/result.hpp"

namespace conat::native {

// What becomes of an item for which there is no room.
enum class Overflow : std::uint8_t {
  drop_oldest,  // the oldest one that nobody has read goes
  error,        // the queue ends with the error ENOBUFS, behind the items that it has
};

template <class T>
class AsyncQueue : public std::enable_shared_from_this<AsyncQueue<T>> {
 public:
  // `max_items` 0: no bound but memory.
  AsyncQueue(asio::io_context& loop, std::size_t max_items, Overflow overflow)
      : loop_(loop), max_items_(max_items), overflow_(overflow) {}

  asio::io_context& loop() const { return loop_; }
  bool ended() const { return ended_; }
  const std::optional<Error>& error() const { return error_; }
  std::size_t size() const { return items_.size(); }

  // False when that was one too many and the queue has ended.
  bool push(T item) {
    if (ended_) return false;
    if (!waiting_.empty()) {
      Waiting first = std::move(waiting_.front());
      waiting_.pop_front();
      if (first.timer) first.timer->cancel();
      first.done(std::move(item));
      return true;
    }
    if (max_items_ != 0 && items_.size() >= max_items_) {
      if (overflow_ == Overflow::error) {
        finish(Error(ErrorKind::socket_buffer_full,
                     "more than " + std::to_string(max_items_) + " items wait to be read"));
        return false;
      }
      items_.pop_front();
    }
    items_.push_back(std::move(item));
    return true;
  }

  // Nothing more comes. What is there can still be read.
  void finish(std::optional<Error> error = std::nullopt) {
    if (ended_) return;
    ended_ = true;
    error_ = std::move(error);
    std::deque<Waiting> waiting;
    waiting.swap(waiting_);
    for (Waiting& each : waiting) {
      if (each.timer) each.timer->cancel();
      each.done(std::nullopt);
    }
  }

  // Takes all that nobody has read.
  std::vector<T> drain() {
    std::vector<T> rest(std::make_move_iterator(items_.begin()),
                        std::make_move_iterator(items_.end()));
    items_.clear();
    return rest;
  }

  // Completes with the next item; with nothing at the end, or after `limit` (0: never).
  void next(std::chrono::milliseconds limit, Completion<std::optional<T>> done) {
    if (!items_.empty()) {
      T item = std::move(items_.front());
      items_.pop_front();
      return done(std::move(item));
    }
    if (ended_) return done(std::nullopt);
    Waiting waiting{++last_waiting_, std::move(done), nullptr};
    if (limit.count() > 0) {
      waiting.timer = std::make_unique<asio::steady_timer>(loop_, limit);
      waiting.timer->async_wait(
          [self = this->shared_from_this(), id = waiting.id](boost::system::error_code error) {
            if (!error) self->give_up(id);
          });
    }
    waiting_.push_back(std::move(waiting));
  }

 private:
  struct Waiting {
    std::uint64_t id;
    Completion<std::optional<T>> done;
    std::unique_ptr<asio::steady_timer> timer;
  };

  void give_up(std::uint64_t id) {
    for (auto waiting = waiting_.begin(); waiting != waiting_.end(); ++waiting) {
      if (waiting->id != id) continue;
      const auto done = std::move(waiting->done);
      waiting_.erase(waiting);
      return done(std::nullopt);
    }
  }

  asio::io_context& loop_;
  std::size_t max_items_;
  Overflow overflow_;
  std::deque<T> items_;
  std::deque<Waiting> waiting_;
  std::uint64_t last_waiting_ = 0;
  bool ended_ = false;
  std::optional<Error> error_;
};

}  // namespace conat::native
