// A world of clients and the shards of one broker, connected by links that delay bytes, cut them
// into pieces and lose them, in one thread and in virtual time. One seed gives one history.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "conat/broker/broker.hpp"
#include "conat/client/client.hpp"
#include "conat/wire/websocket.hpp"

namespace conat::test {

// Whoever asks clients for something, in tests where that does not matter.
inline const Owner kUser{Layer::user, 1};

struct WorldOptions {
  std::uint64_t seed = 1;
  ShardIndex shards = 1;
  std::int64_t max_latency_ms = 5;
  BrokerOptions broker;
};

class World {
 public:
  // What a client reports besides its transport's work.
  using OnEffect = std::function<void(std::size_t client, ClientEffect& effect)>;

  World(WorldOptions options, OnEffect on_effect);

  // Clients alternate between the two encodings unless told.
  std::size_t add_client(ClientOptions options = {},
                         std::optional<PacketEncoding> encoding = std::nullopt);
  // A client that lives elsewhere, inside something that takes some of its effects: `next` moves
  // out those that are left.
  std::size_t add_client(Client& client, std::function<bool(ClientEffect&)> next);
  Client& client(std::size_t index) { return *members_[index].client; }
  std::size_t clients() const { return members_.size(); }
  Broker& broker(std::size_t shard) { return *shards_[shard]; }
  Random& random() { return random_; }
  TimeMs now() const { return now_; }

  // Something above the clients that has timers of its own.
  struct Timers {
    std::function<std::optional<TimeMs>()> deadline;
    std::function<void(TimeMs)> on_time;
  };
  void set_timers(Timers timers) { timers_ = std::move(timers); }

  // Runs everything that is due up to then.
  void run_for(std::int64_t ms);
  // Runs until `done`, at most for `limit_ms`; tells whether it came true.
  bool run_until(const std::function<bool()>& done, std::int64_t limit_ms);

  // The network between a client and the broker breaks: what is under way is lost on both sides, a
  // random part of it excepted.
  void cut(std::size_t client);
  // The broker ends in order, and another one takes its place that knows nothing.
  void restart_broker();
  // Attempts to connect fail while set.
  void set_unreachable(std::size_t client, bool unreachable);
  bool connected(std::size_t client) const { return members_[client].link != nullptr; }

 private:
  struct Parcel {
    TimeMs due;
    Bytes bytes;  // empty: the end of the stream
  };
  struct Link {
    std::size_t client;
    std::size_t shard;
    ConnectionId connection;
    std::deque<Parcel> up;
    std::deque<Parcel> down;
    WebSocketReader reader{WebSocketRole::client, 64u << 20};
    bool client_listens = true;
    bool broker_listens = true;
    bool paused = false;  // by the broker
  };
  struct Member {
    std::unique_ptr<Client> owned;
    Client* client = nullptr;
    std::function<bool(ClientEffect&)> next;
    Link* link = nullptr;
    std::optional<TimeMs> connect_at;
    bool unreachable = false;
  };
  struct PeerParcel {
    TimeMs due;
    ShardIndex from;
    ShardIndex to;
    PeerMessage message;
  };

  void start_broker();
  std::optional<TimeMs> next_time() const;
  void step();
  void drain();
  void drain_client(std::size_t index);
  void drain_broker(std::size_t shard);
  void open(std::size_t index);
  void deliver_up(Link& link);
  void deliver_down(Link& link);
  void send(std::deque<Parcel>& queue, Bytes bytes);
  Link* find(std::size_t shard, ConnectionId connection);
  TimeMs arrival(TimeMs not_before);

  WorldOptions options_;
  OnEffect on_effect_;
  Timers timers_;
  Random random_;
  TimeMs now_ = 1'000'000;
  std::vector<std::unique_ptr<Broker>> shards_;
  std::vector<Member> members_;
  std::list<Link> links_;
  std::deque<PeerParcel> peers_;
};

}  // namespace conat::test
