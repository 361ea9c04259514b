#include "conat/broker/sender_holds.hpp"

#include <algorithm>

namespace conat {

bool SenderHolds::hold(TimeMs now, Sender sender, std::uint32_t holder, peer::HoldKind kind) {
  State& state = senders_[sender];
  if (std::find(state.holders.begin(), state.holders.end(), holder) == state.holders.end()) {
    state.holders.push_back(holder);
  }
  const bool firm = kind == peer::HoldKind::firm;
  if (state.held) {
    if (firm) state.brief = false;
    return false;
  }
  const bool serves_others =
      kind == peer::HoldKind::brief || state.fed_others || state.published_bytes < proof_bytes_;
  const bool briefly = !firm && serves_others;
  if (briefly && now < state.rests_until) return false;
  state.held = true;
  state.brief = briefly;
  state.held_since = now;
  if (briefly) due_at_ = earlier(due_at_, now + brief_hold_ms);
  return true;
}

void SenderHolds::let_go(TimeMs now, State& state) {
  state.held = false;
  state.fed_others = false;
  state.published_bytes = 0;
  if (state.brief) state.rests_until = now + rest_factor * (now - state.held_since);
}

bool SenderHolds::release(TimeMs now, Sender sender, std::uint32_t holder) {
  const auto place = senders_.find(sender);
  if (place == senders_.end()) return false;
  State& state = place->second;
  std::erase(state.holders, holder);
  if (!state.holders.empty() || !state.held) return false;
  let_go(now, state);
  return true;
}

void SenderHolds::published(Sender sender, std::size_t bytes, bool fed_others) {
  State& state = senders_[sender];
  state.published_bytes += bytes;
  state.fed_others |= fed_others;
}

std::vector<SenderHolds::Sender> SenderHolds::take_due(TimeMs now) {
  std::vector<Sender> due;
  if (!due_at_ || now < *due_at_) return due;
  due_at_.reset();
  for (auto& [sender, state] : senders_) {
    if (!state.held || !state.brief) continue;
    if (now - state.held_since >= brief_hold_ms) {
      let_go(now, state);
      due.push_back(sender);
    } else {
      due_at_ = earlier(due_at_, state.held_since + brief_hold_ms);
    }
  }
  return due;
}

}  // namespace conat
