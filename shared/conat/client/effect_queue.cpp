#include "conat/client/effect_queue.hpp"

#include <algorithm>
#include <iterator>

namespace conat::client_parts {

void EffectQueue::send(WireMessages messages) {
  if (messages.empty()) return;
  if (!effects_.empty()) {
    if (auto* last = std::get_if<client_effect::SendMessages>(&effects_.back())) {
      last->messages.insert(last->messages.end(), std::make_move_iterator(messages.begin()),
                            std::make_move_iterator(messages.end()));
      return;
    }
  }
  effects_.push_back(client_effect::SendMessages{std::move(messages)});
}

void EffectQueue::drop_sends() {
  effects_.erase(
      std::remove_if(effects_.begin(), effects_.end(),
                     [](const ClientEffect& effect) {
                       return std::holds_alternative<client_effect::SendMessages>(effect);
                     }),
      effects_.end());
}

bool EffectQueue::pop(ClientEffect& effect) {
  if (effects_.empty()) return false;
  effect = std::move(effects_.front());
  effects_.pop_front();
  return true;
}

}  // namespace conat::client_parts
