// What the broker wants done, in order, until the shell takes it. Sends are stored compactly and
// the memory is reused: a delivery allocates nothing. Thread safety: none.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "conat/broker/broker.hpp"

namespace conat {

class EffectQueue {
 public:
  void send(ConnectionId connection, SharedBytes bytes) {
    items_.push_back({connection, std::move(bytes), nullptr, Kind::send, false});
  }
  void close(ConnectionId connection, const char* reason, bool flush) {
    items_.push_back({connection, {}, reason, Kind::close, flush});
  }
  void pause_reading(ConnectionId connection, bool paused) {
    items_.push_back({connection, {}, nullptr, Kind::pause, paused});
  }
  void to_peer(ShardIndex shard, PeerMessage message) {
    items_.push_back({messages_.size(), {}, nullptr, Kind::peer, false});
    messages_.push_back({shard, std::move(message)});
  }

  bool next(BrokerEffect& effect) {
    if (head_ == items_.size()) {
      reset();
      return false;
    }
    Item& item = items_[head_++];
    switch (item.kind) {
      case Kind::send:
        effect = effect::Send{item.connection, std::move(item.bytes)};
        break;
      case Kind::close:
        effect = effect::Close{item.connection, item.reason, item.flag};
        break;
      case Kind::pause:
        effect = effect::PauseReading{item.connection, item.flag};
        break;
      case Kind::peer:
        effect = std::move(messages_[static_cast<std::size_t>(item.connection)]);
        break;
    }
    return true;
  }

 private:
  enum class Kind : std::uint8_t { send, close, pause, peer };
  struct Item {
    std::uint64_t connection;  // peer: the place in messages_
    SharedBytes bytes;
    const char* reason;
    Kind kind;
    bool flag;
  };
  // After a burst no more than this is kept.
  static constexpr std::size_t kKeptItems = 16'384;

  void reset() {
    items_.clear();
    messages_.clear();
    head_ = 0;
    if (items_.capacity() > kKeptItems) std::vector<Item>().swap(items_);
    if (messages_.capacity() > kKeptItems) std::vector<effect::ToPeer>().swap(messages_);
  }

  std::vector<Item> items_;
  std::size_t head_ = 0;
  std::vector<effect::ToPeer> messages_;
};

}  // namespace conat
