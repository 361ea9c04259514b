// The senders of this shard that readers, here or on sibling shards, ask to hold up: whose
// transport is not read from for now. The other half of back pressure is ReaderCongestion.
//
// A sender that serves only readers which are behind is held for as long as they ask: that delays
// nobody else. It is taken for such a one when it has published `proof_bytes` since it was last let
// go and none of it went to a reader that keeps up. Any other is held briefly: at most
// brief_hold_ms, and then not again for 24 times as long as it was held, so that the readers which
// keep up keep at least 96 % of their rate, however slow the others are. For one of the broker's
// own clients senders are held firmly, until it has caught up: it is not cut off, and depends on
// nobody. No other hold lasts for ever, since a reader that makes no progress gives up the right to
// it: senders that wait for each other, or for themselves, come free.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "conat/base/time.hpp"
#include "conat/broker/peer.hpp"

namespace conat {

class SenderHolds {
 public:
  using Sender = std::uint64_t;
  static constexpr std::int64_t brief_hold_ms = 250;
  static constexpr std::int64_t rest_factor = 24;
  // Readers on this shard together count as one holder.
  static constexpr std::uint32_t this_shard = 0xffffffff;

  explicit SenderHolds(std::size_t proof_bytes) : proof_bytes_(proof_bytes) {}

  // A holder asks to hold a sender. Returns true when reading from the sender is to stop now.
  bool hold(TimeMs now, Sender sender, std::uint32_t holder, peer::HoldKind kind);
  // Returns true when reading is to go on now.
  bool release(TimeMs now, Sender sender, std::uint32_t holder);
  // A sender that is known here (from its first hold on) published so much; `fed_others`: to a
  // reader that keeps up, too.
  void published(Sender sender, std::size_t bytes, bool fed_others);
  void forget(Sender sender) { senders_.erase(sender); }
  // Those whose brief hold is over: reading is to go on.
  std::vector<Sender> take_due(TimeMs now);
  // Never late; early when what was due has been settled otherwise.
  std::optional<TimeMs> deadline() const { return due_at_; }

 private:
  struct State {
    std::vector<std::uint32_t> holders;
    bool held = false;
    bool brief = false;
    bool fed_others = false;
    std::size_t published_bytes = 0;  // since it was let go
    TimeMs held_since = 0;
    TimeMs rests_until = 0;  // not held briefly again before
  };

  static void let_go(TimeMs now, State& state);

  std::size_t proof_bytes_;
  std::unordered_map<Sender, State> senders_;
  std::optional<TimeMs> due_at_;
};

}  // namespace conat
