#include "conat/broker/peer.hpp"

namespace conat {

std::size_t memory_bytes(const PeerMessage& message) {
  std::size_t bytes = sizeof(PeerMessage);
  if (const auto* forward = std::get_if<peer::Forward>(&message)) {
    const peer::ForwardedPublish& publish = *forward->publish;
    bytes += sizeof(publish) + publish.subject.size() + publish.elements.size();
    for (const Bytes& attachment : publish.attachments) bytes += attachment.size();
    bytes += forward->groups.size() * sizeof(peer::Group);
  } else if (const auto* change = std::get_if<peer::InterestChanged>(&message)) {
    bytes += change->pattern.size() + change->queue.size();
  }
  return bytes;
}

}  // namespace conat
