#include "conat/socket/send_window.hpp"

#include <string>

namespace conat::socket_parts {

Status SendWindow::push(MessageData message) {
  const bool too_many_bytes = !messages_.empty() && bytes_ + message.raw.size() > max_bytes_;
  if (messages_.size() >= max_messages_ || too_many_bytes) {
    return Error(ErrorKind::socket_buffer_full,
                 "WRITE FAILED: socket buffer size " + std::to_string(max_messages_) + " exceeded");
  }
  bytes_ += message.raw.size();
  message.headers.set(header::socket_sequence, Value(std::uint64_t{first_ + messages_.size()}));
  messages_.push_back(std::move(message));
  return Nothing{};
}

const MessageData* SendWindow::take_unsent() {
  if (sent_ == messages_.size()) return nullptr;
  return &messages_[sent_++];
}

const MessageData* SendWindow::last_sent() const {
  return sent_ == 0 ? nullptr : &messages_[sent_ - 1];
}

const MessageData* SendWindow::find(std::uint64_t sequence) const {
  if (sequence < first_ || sequence - first_ >= sent_) return nullptr;
  return &messages_[static_cast<std::size_t>(sequence - first_)];
}

SendWindow::Acknowledged SendWindow::acknowledge(std::uint64_t sequence) {
  if (find(sequence) == nullptr) return Acknowledged::nothing;
  while (first_ <= sequence) {
    bytes_ -= messages_.front().raw.size();
    messages_.pop_front();
    --sent_;
    ++first_;
  }
  return messages_.empty() ? Acknowledged::all : Acknowledged::some;
}

}  // namespace conat::socket_parts
