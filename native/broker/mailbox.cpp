#include "broker/mailbox.hpp"

#include <iterator>
#include <utility>

namespace conat::server {

Mailbox::PutResult Mailbox::put(std::vector<PeerMessage>& batch) {
  std::size_t bytes = 0;
  for (const auto& message : batch) bytes += memory_bytes(message);
  const std::lock_guard lock(mutex_);
  const bool was_empty = messages_.empty();
  if (was_empty) {
    messages_.swap(batch);
  } else {
    messages_.insert(messages_.end(), std::make_move_iterator(batch.begin()),
                     std::make_move_iterator(batch.end()));
  }
  batch.clear();
  bytes_ += bytes;
  if (bytes_ >= full_bytes) sender_waits_ = true;
  return {was_empty, sender_waits_};
}

Mailbox::TakeResult Mailbox::take(std::vector<PeerMessage>& out) {
  out.clear();
  const std::lock_guard lock(mutex_);
  out.swap(messages_);
  bytes_ = 0;
  return {std::exchange(sender_waits_, false)};
}

}  // namespace conat::server
