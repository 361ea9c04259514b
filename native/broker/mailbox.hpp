// What one shard has for another: filled in batches at the end of the sender's turns, emptied whole
// by the receiver.
//
// The bound works by holding the sender up: put() says when too much waits, and then the sender
// reads nothing from its clients until the receiver has called take(). Nothing is ever dropped.
// Thread safety: all functions may be called from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "conat/broker/peer.hpp"

namespace conat::server {

class Mailbox {
 public:
  // Bytes from which on the sender stops reading.
  static constexpr std::size_t full_bytes = 32u << 20;

  struct PutResult {
    bool wake_receiver;  // it was empty
    bool full;           // hold up until take() returned sender_waits
  };
  // Moves all of `batch` in, which is empty afterwards.
  PutResult put(std::vector<PeerMessage>& batch);

  struct TakeResult {
    bool sender_waits;  // it was told that this is full
  };
  // Replaces `out` by everything that waits.
  TakeResult take(std::vector<PeerMessage>& out);

 private:
  std::mutex mutex_;
  std::vector<PeerMessage> messages_;
  std::size_t bytes_ = 0;
  bool sender_waits_ = false;
};

}  // namespace conat::server
