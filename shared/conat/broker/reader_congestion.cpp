#include "conat/broker/reader_congestion.hpp"

namespace conat {

bool ReaderCongestion::hold(TimeMs now, Reader reader, std::uint64_t written, Sender sender,
                            bool patient) {
  const auto [place, is_new] = readers_.try_emplace(reader);
  State& state = place->second;
  if (is_new) {
    state.patient = patient;
    state.written = written;
    state.check_at = now + progress_check_ms;
    if (!patient) check_at_ = earlier(check_at_, state.check_at);
  }
  if (state.stuck) return false;
  if (state.held.insert(sender).second) ++holders_[sender];
  return true;
}

void ReaderCongestion::let_go(std::unordered_set<Sender>& held, std::vector<Sender>& released) {
  for (const Sender sender : held) {
    const auto holders = holders_.find(sender);
    if (holders == holders_.end() || --holders->second > 0) continue;
    holders_.erase(holders);
    released.push_back(sender);
  }
  held.clear();
}

std::vector<ReaderCongestion::Sender> ReaderCongestion::release(Reader reader) {
  std::vector<Sender> released;
  const auto place = readers_.find(reader);
  if (place == readers_.end()) return released;
  let_go(place->second.held, released);
  readers_.erase(place);
  return released;
}

ReaderCongestion::Checked ReaderCongestion::check(
    TimeMs now, const std::function<std::uint64_t(Reader)>& written_of) {
  Checked checked;
  if (!check_at_ || now < *check_at_) return checked;
  check_at_.reset();
  for (auto& [reader, state] : readers_) {
    if (state.stuck || state.patient) continue;
    if (now >= state.check_at) {
      const std::uint64_t written = written_of(reader);
      state.check_at = now + progress_check_ms;
      state.stuck = written == state.written;
      state.written = written;
    }
    if (state.stuck) {
      let_go(state.held, checked.released);
      checked.stuck.push_back(reader);
    } else {
      check_at_ = earlier(check_at_, state.check_at);
    }
  }
  return checked;
}

void ReaderCongestion::forget_sender(Sender sender) {
  if (holders_.erase(sender) == 0) return;
  for (auto& [reader, state] : readers_) state.held.erase(sender);
}

}  // namespace conat
