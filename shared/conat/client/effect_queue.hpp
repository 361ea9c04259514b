// The effects of a Client on their way out.
//
// Thread safety: none.
#pragma once

#include <deque>

#include "conat/client/client.hpp"

namespace conat::client_parts {

class EffectQueue {
 public:
  void push(ClientEffect effect) { effects_.push_back(std::move(effect)); }
  // Appends to the SendMessages at the end of the queue, if there is one: bytes that leave in one
  // turn of the shell's loop become one effect.
  void send(WireMessages messages);
  // What was meant for a transport that is gone must not reach the next one.
  void drop_sends();
  bool pop(ClientEffect& effect);

 private:
  std::deque<ClientEffect> effects_;
};

}  // namespace conat::client_parts
