// What one side of a socket has written and the other has not yet acknowledged.
//
// Messages get their sequence numbers, from 1, when they are accepted; the number is put into their
// header, so that sending and resending copy nothing. In order: acknowledged ones are forgotten,
// then come those that were sent, then those that wait to be sent. Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>

#include "conat/base/result.hpp"
#include "conat/wire/message.hpp"

namespace conat::socket_parts {

class SendWindow {
 public:
  SendWindow(std::size_t max_messages, std::size_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  // Errors: socket_buffer_full. One message always fits by its bytes.
  Status push(MessageData message);
  // The oldest message that was never sent, which counts as sent from now on; null when there is
  // none. Valid until the window changes.
  const MessageData* take_unsent();
  // The youngest of the messages that were sent; null when there is none.
  const MessageData* last_sent() const;
  // A message that was sent and not acknowledged.
  const MessageData* find(std::uint64_t sequence) const;

  enum class Acknowledged : std::uint8_t { nothing, some, all };
  // Forgets everything up to `sequence`. A number that was never sent is ignored.
  Acknowledged acknowledge(std::uint64_t sequence);

  std::size_t size() const { return messages_.size(); }
  std::size_t sent() const { return sent_; }
  std::size_t unsent() const { return messages_.size() - sent_; }
  // True when the other side has acknowledged something.
  bool was_acknowledged() const { return first_ > 1; }
  std::uint64_t first() const { return first_; }

 private:
  std::size_t max_messages_;
  std::size_t max_bytes_;
  std::deque<MessageData> messages_;
  std::uint64_t first_ = 1;  // the sequence number of messages_.front()
  std::size_t sent_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace conat::socket_parts
