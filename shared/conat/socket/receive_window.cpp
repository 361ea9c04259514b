#include "conat/socket/receive_window.hpp"

#include <algorithm>

#include "conat/base/limits.hpp"

namespace conat::socket_parts {

std::size_t ReceiveWindow::cost(const MessageData& message) const {
  constexpr std::size_t kOverhead = 128;
  return message.raw.size() + message.headers.encoded().size() + kOverhead;
}

ReceiveWindow::Arrival ReceiveWindow::accept(std::uint64_t sequence, MessageData& message) {
  if (sequence <= delivered_) return Arrival::duplicate;
  if (sequence == delivered_ + 1) {
    ++delivered_;
    return Arrival::in_order;
  }
  highest_ = std::max(highest_, sequence);
  if (held_.find(sequence) != held_.end()) return Arrival::duplicate;
  const std::size_t bytes = cost(message);
  const bool fits = held_.size() < limits::socket_max_held_messages &&
                    held_bytes_ + bytes <= limits::socket_max_held_bytes &&
                    budget_.used + bytes <= budget_.limit;
  if (fits) {
    held_.emplace(sequence, std::move(message));
    held_bytes_ += bytes;
    budget_.used += bytes;
  }
  return Arrival::early;
}

bool ReceiveWindow::take_held(MessageData& message) {
  // A gap filled by resending may have left behind what is delivered already.
  while (!held_.empty() && held_.begin()->first <= delivered_ + 1) {
    auto first = held_.begin();
    const bool is_next = first->first == delivered_ + 1;
    const std::size_t bytes = cost(first->second);
    held_bytes_ -= bytes;
    budget_.used -= bytes;
    if (is_next) message = std::move(first->second);
    held_.erase(first);
    if (is_next) {
      ++delivered_;
      return true;
    }
  }
  return false;
}

std::vector<std::uint64_t> ReceiveWindow::missing(std::size_t at_most) const {
  std::vector<std::uint64_t> result;
  std::uint64_t next = delivered_ + 1;
  for (auto held = held_.begin(); next <= highest_ && result.size() < at_most; ++next) {
    while (held != held_.end() && held->first < next) ++held;
    if (held != held_.end() && held->first == next) continue;
    result.push_back(next);
  }
  return result;
}

void ReceiveWindow::discard_held() {
  held_.clear();
  budget_.used -= held_bytes_;
  held_bytes_ = 0;
  highest_ = delivered_;
}

}  // namespace conat::socket_parts
