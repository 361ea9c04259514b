// Puts the messages that arrive at one side of a socket into order, each exactly once.
//
// What came early is held, within bounds. A message that does not fit is dropped: it is missing
// then, and will be asked for. Thread safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "conat/wire/message.hpp"

namespace conat::socket_parts {

// Bytes that all sockets of one client hold together.
struct HeldBudget {
  std::size_t used = 0;
  std::size_t limit = 0;
};

class ReceiveWindow {
 public:
  explicit ReceiveWindow(HeldBudget& budget) : budget_(budget) {}
  ~ReceiveWindow() { discard_held(); }
  ReceiveWindow(const ReceiveWindow&) = delete;
  ReceiveWindow& operator=(const ReceiveWindow&) = delete;

  enum class Arrival : std::uint8_t { in_order, early, duplicate };
  // `in_order`: the message is left with the caller, who delivers it and then everything that
  // take_held() gives. Otherwise it is held or dropped here.
  Arrival accept(std::uint64_t sequence, MessageData& message);
  // The next message in order that was held; counts as delivered.
  bool take_held(MessageData& message);

  // The sequence number up to which everything was delivered.
  std::uint64_t delivered() const { return delivered_; }
  bool has_gap() const { return highest_ > delivered_; }
  // The lowest sequence numbers that are missing, up to the highest one seen, ascending.
  std::vector<std::uint64_t> missing(std::size_t at_most) const;
  // Forgets what came early, and that it came.
  void discard_held();

 private:
  std::size_t cost(const MessageData& message) const;

  HeldBudget& budget_;
  std::uint64_t delivered_ = 0;
  std::uint64_t highest_ = 0;  // seen since the last discard_held()
  std::map<std::uint64_t, MessageData> held_;
  std::size_t held_bytes_ = 0;
};

}  // namespace conat::socket_parts
