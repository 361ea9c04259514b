// Those who wait for one thing to happen, each with a time limit.
//
// Thread safety: none, the loop's thread. What waits keeps this alive.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include "client/completion.hpp"
#include "conat/base/result.hpp"

namespace conat::native {

class Waiters : public std::enable_shared_from_this<Waiters> {
 public:
  using Done = std::function<void(const Status& outcome)>;

  explicit Waiters(asio::io_context& loop) : loop_(loop) {}

  bool empty() const { return waiting_.empty(); }

  // `done` is called once: by finish(), or with the error 408 after `limit` (0: never).
  void add(std::chrono::milliseconds limit, Done done) {
    const std::uint64_t id = ++last_;
    Waiting& waiting = waiting_[id];
    waiting.done = std::move(done);
    if (limit.count() <= 0) return;
    waiting.timer = std::make_unique<asio::steady_timer>(loop_, limit);
    waiting.timer->async_wait([self = shared_from_this(), id](boost::system::error_code error) {
      if (!error) self->give_up(id);
    });
  }

  // Tells all of them; they may begin to wait anew.
  void finish(const Status& outcome) {
    for (auto& [id, waiting] : std::exchange(waiting_, {})) {
      waiting.timer.reset();
      waiting.done(outcome);
    }
  }

 private:
  struct Waiting {
    Done done;
    std::unique_ptr<asio::steady_timer> timer;
  };

  void give_up(std::uint64_t id) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return;
    const Done done = std::move(found->second.done);
    waiting_.erase(found);
    done(Error(ErrorKind::timeout));
  }

  asio::io_context& loop_;
  std::map<std::uint64_t, Waiting> waiting_;  // the first to wait is told first
  std::uint64_t last_ = 0;
};

}  // namespace conat::native
