#include "conat/stream/rate_window.hpp"

namespace conat {

template <class List>
void RateWindow::add_to(List& list, UnixMs time, std::int64_t bytes) {
  if (list.empty() || list.back().time != time) list.push_back({time, 0, 0});
  ++list.back().messages;
  list.back().bytes += bytes;
}

void RateWindow::add(UnixMs now, std::int64_t bytes) {
  advance(now);
  add_to(entries_, now, bytes);
  add_to(added_, now, bytes);
  ++messages_;
  bytes_ += bytes;
}

void RateWindow::advance(UnixMs now) {
  const auto drop = [this](const Entry& entry) {
    messages_ -= entry.messages;
    bytes_ -= entry.bytes;
  };
  while (!entries_.empty() && entries_.back().time > now) {
    drop(entries_.back());
    entries_.pop_back();
  }
  while (!entries_.empty() && entries_.front().time <= now - length_ms) {
    drop(entries_.front());
    entries_.pop_front();
  }
}

void RateWindow::clear() {
  entries_.clear();
  added_.clear();
  messages_ = 0;
  bytes_ = 0;
}

void RateWindow::undo() {
  // An addition that has left the window meanwhile is not there to be undone.
  for (; !added_.empty(); added_.pop_back()) {
    const Entry& gone = added_.back();
    for (Entry& entry : entries_) {
      if (entry.time != gone.time || entry.messages < gone.messages) continue;
      entry.messages -= gone.messages;
      entry.bytes -= gone.bytes;
      messages_ -= gone.messages;
      bytes_ -= gone.bytes;
    }
  }
}

}  // namespace conat
