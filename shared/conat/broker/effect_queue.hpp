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
    items_.push_back({connection, std::move(bytes), Kind::send, false});
  }
  void close(effect::Close closing) {
    items_.push_back({closings_.size(), {}, Kind::close, false});
    closings_.push_back(std::move(closing));
  }
  void pause_reading(ConnectionId connection, bool paused) {
    items_.push_back({connection, {}, Kind::pause, paused});
  }
  void authenticate(ConnectionId connection, Value auth, bool renewal) {
    items_.push_back({questions_.size(), {}, Kind::authenticate, false});
    questions_.push_back({connection, std::move(auth), renewal});
  }
  void to_peer(ShardIndex shard, PeerMessage message) {
    if (shard < open_blocks_.size()) open_blocks_[shard] = kNone;
    put(shard, std::move(message));
  }
  // Joins what goes to a shard without another message to it in between. `body`: see ForwardBlock.
  void forward(ShardIndex shard, const peer::ForwardedPublish& forwarded,
               peer::ForwardBlock::SharedBody& body) {
    if (shard >= open_blocks_.size()) open_blocks_.resize(shard + 1u, kNone);
    std::size_t& open = open_blocks_[shard];
    if (open == kNone) {
      open = messages_.size();
      put(shard, peer::ForwardBlock());
    }
    auto& block = std::get<peer::ForwardBlock>(messages_[open].message);
    block.add(forwarded, body);
    if (block.full()) open = kNone;
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
        effect = std::move(closings_[static_cast<std::size_t>(item.connection)]);
        break;
      case Kind::pause:
        effect = effect::PauseReading{item.connection, item.flag};
        break;
      case Kind::authenticate:
        effect = std::move(questions_[static_cast<std::size_t>(item.connection)]);
        break;
      case Kind::peer: {
        const auto place = static_cast<std::size_t>(item.connection);
        const ShardIndex shard = messages_[place].shard;
        if (shard < open_blocks_.size() && open_blocks_[shard] == place) {
          open_blocks_[shard] = kNone;
        }
        effect = std::move(messages_[place]);
        break;
      }
    }
    return true;
  }

 private:
  enum class Kind : std::uint8_t { send, close, pause, peer, authenticate };
  struct Item {
    // peer, close, authenticate: the place in messages_, closings_, questions_
    std::uint64_t connection;
    SharedBytes bytes;
    Kind kind;
    bool flag;
  };
  static constexpr std::size_t kNone = ~std::size_t{0};
  // After a burst no more than this is kept.
  static constexpr std::size_t kKeptItems = 16'384;

  void put(ShardIndex shard, PeerMessage message) {
    items_.push_back({messages_.size(), {}, Kind::peer, false});
    messages_.push_back({shard, std::move(message)});
  }

  void reset() {
    items_.clear();
    messages_.clear();
    questions_.clear();
    closings_.clear();
    head_ = 0;
    if (items_.capacity() > kKeptItems) std::vector<Item>().swap(items_);
    if (messages_.capacity() > kKeptItems) std::vector<effect::ToPeer>().swap(messages_);
    if (closings_.capacity() > kKeptItems) std::vector<effect::Close>().swap(closings_);
    if (questions_.capacity() > kKeptItems) std::vector<effect::Authenticate>().swap(questions_);
  }

  std::vector<Item> items_;
  std::size_t head_ = 0;
  std::vector<effect::ToPeer> messages_;
  std::vector<effect::Authenticate> questions_;
  std::vector<effect::Close> closings_;
  std::vector<std::size_t> open_blocks_;  // by shard: the place in messages_, or kNone
};

}  // namespace conat
