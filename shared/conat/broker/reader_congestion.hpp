// The readers of this shard that are behind, and the senders that each of them holds up.
//
// Back pressure has two halves. This one speaks for readers: one whose queue is above the
// high-water mark asks to hold the senders that fill it, until the queue is below the low-water
// mark again or the reader is gone. The other half, SenderHolds, decides for a sender whether to
// comply.
//
// A reader that takes nothing for progress_check_ms loses the right to hold anybody until it has
// caught up: a dead one costs its senders that long once, and is cut off when its queue reaches its
// bound. (The broker's own clients are waited for: they run in the same process and are not cut
// off.) A sender is never held on account of a publish that also went to a reader that keeps up.
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "conat/base/time.hpp"

namespace conat {

class ReaderCongestion {
 public:
  using Reader = std::uint64_t;
  using Sender = std::uint64_t;
  // Long enough for a program that decodes a large message, or waits for a processor, to look
  // alive: without a hold it would be cut off at its bound before it reads on.
  static constexpr std::int64_t progress_check_ms = 2000;
  // Whoever has to be told, on another shard or broker, that a sender is to be held is told so at
  // most this often.
  static constexpr std::int64_t ask_again_ms = 20;
  // Above so many waiting bytes a reader is behind, when its queue may have `max_queue_bytes`.
  static constexpr std::uint64_t high_water_bytes(std::size_t max_queue_bytes) {
    return std::min<std::uint64_t>(8u << 20, max_queue_bytes / 8);
  }

  struct Checked {
    std::vector<Sender> released;  // senders that no reader holds any more
    std::vector<Reader> stuck;     // readers that lost the right to hold anybody
  };

  // A sender filled the queue of a reader above its mark. `written` is what the reader has taken in
  // all. Returns true when the sender is to be held on its account, each time while it is behind.
  // `patient`: the reader never loses that right.
  bool hold(TimeMs now, Reader reader, std::uint64_t written, Sender sender, bool patient);
  // The reader has caught up, or is gone; returns the senders that no reader holds any more.
  std::vector<Sender> release(Reader reader);
  // Checks the readers that are due. `written_of` tells what a reader has taken by now.
  Checked check(TimeMs now, const std::function<std::uint64_t(Reader)>& written_of);
  void forget_sender(Sender sender);

  // Whether some reader holds it.
  bool holds(Sender sender) const { return holders_.count(sender) > 0; }
  bool is_congested(Reader reader) const { return readers_.count(reader) > 0; }
  // Never late; early when what was due has been settled otherwise.
  std::optional<TimeMs> deadline() const { return check_at_; }

 private:
  struct State {
    std::unordered_set<Sender> held;
    std::uint64_t written = 0;  // at the last check
    TimeMs check_at = 0;
    bool patient = false;
    bool stuck = false;  // took nothing for too long: holds nobody
  };

  void let_go(std::unordered_set<Sender>& held, std::vector<Sender>& released);

  std::unordered_map<Reader, State> readers_;
  std::unordered_map<Sender, std::uint32_t> holders_;  // how many readers hold a sender
  std::optional<TimeMs> check_at_;
};

}  // namespace conat
