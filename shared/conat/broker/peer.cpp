#include "conat/broker/peer.hpp"

namespace conat {

std::size_t memory_bytes(const PeerMessage& message) {
  std::size_t bytes = sizeof(PeerMessage);
  if (const auto* block = std::get_if<peer::ForwardBlock>(&message)) {
    bytes += block->memory_bytes();
  } else if (const auto* change = std::get_if<peer::InterestChanged>(&message)) {
    bytes += change->pattern.size() + change->queue.size();
  }
  return bytes;
}

}  // namespace conat
