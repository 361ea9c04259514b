// What a linked broker is told of this one's interest: which queue groups have changed since it was
// told last, and how far it has confirmed.
//
// Groups are told as they are when their turn comes, so a group that changes often waits only once:
// memory is bounded by the number of groups, however slow the other side is. Turns come in the
// order in which groups were first touched: a group that is gone is told before another one that
// takes over its pattern and queue. A few batches are under way at a time.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_set>

#include "conat/broker/peer.hpp"

namespace conat {

class InterestExport {
 public:
  // Batches that are not confirmed.
  static constexpr std::size_t max_batches = 16;

  // Something about the group is different now.
  void touch(peer::Group group) {
    if (waits_.insert(group).second) queue_.push_back({++touched_, group});
  }

  // Whether a batch is to be sent: something waits, or not even an empty first one was sent.
  bool due() const { return (!queue_.empty() || last_batch_ == 0) && sent_.size() < max_batches; }
  bool empty() const { return queue_.empty(); }
  // The next group for the batch; not when empty().
  peer::Group take() {
    const peer::Group group = queue_.front().group;
    queue_.pop_front();
    waits_.erase(group);
    return group;
  }
  // The batch of what was taken goes out; returns its number.
  std::uint64_t sent() {
    sent_.push_back(queue_.empty() ? touched_ : queue_.front().number - 1);
    return ++last_batch_;
  }
  // False when it is not the number of the oldest batch under way.
  bool on_applied(std::uint64_t batch) {
    if (sent_.empty() || batch != last_batch_ - sent_.size() + 1) return false;
    confirmed_ = sent_.front();
    sent_.pop_front();
    return true;
  }

  // The other side has everything that was touched before touched() was `point` as soon as
  // has_confirmed(point).
  std::uint64_t touched() const { return touched_; }
  bool has_confirmed(std::uint64_t point) const { return confirmed_ >= point; }

  // It is far behind: nobody waits for it until it has confirmed what there is now.
  void set_lagging() { lags_until_ = touched_; }
  bool lagging() const { return confirmed_ < lags_until_; }

 private:
  struct Touched {
    std::uint64_t number;
    peer::Group group;
  };

  std::deque<Touched> queue_;
  std::unordered_set<peer::Group> waits_;  // those in the queue
  std::uint64_t touched_ = 0;
  std::deque<std::uint64_t> sent_;  // of each batch under way: what it confirms
  std::uint64_t last_batch_ = 0;
  std::uint64_t confirmed_ = 0;
  std::uint64_t lags_until_ = 0;
};

}  // namespace conat
