// Clients, the shards of one broker, a persistence server and its disk, connected by links that
// delay bytes, cut them into pieces, stop carrying them, or break; in one thread and in virtual
// time. One seed gives one history.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conat/broker/broker.hpp"
#include "conat/fabric/fabric.hpp"
#include "conat/fabric/persist_host.hpp"
#include "conat/wire/websocket.hpp"
#include "simulation/disk.hpp"

namespace conat::simulation {

struct WorldOptions {
  std::uint64_t seed = 1;
  ShardIndex shards = 1;
  std::int64_t max_latency_ms = 20;
  std::int64_t max_disk_delay_ms = 10;
  // The persistence server lives in the broker's process: it is reached without delay and falls
  // with it. Otherwise it is a client as any other.
  bool host_in_broker = true;
};

class World {
 public:
  using OnEffect = std::function<void(std::size_t client, FabricEffect& effect)>;
  using OnTrace = std::function<void(const std::string& line)>;

  World(WorldOptions options, OnEffect on_effect, OnTrace on_trace);

  std::size_t add_client(ClientOptions options);
  std::size_t clients() const { return nodes_.size() - 1; }
  bool alive(std::size_t client) const { return nodes_[client + 1].fabric != nullptr; }
  Fabric& fabric(std::size_t client) { return *nodes_[client + 1].fabric; }
  Disk& disk() { return disk_; }
  Random& random() { return random_; }
  TimeMs now() const { return now_; }
  // What a client's own clock shows, which its calls are given.
  TimeMs clock(std::size_t client) const { return now_ + nodes_[node_of(client)].ahead_ms; }
  std::uint64_t events() const { return events_; }
  void trace(const std::string& line);

  void run_for(std::int64_t ms);

  // ---- troubles; `client` is an index or `host` ----
  static constexpr std::size_t host = static_cast<std::size_t>(-1);
  // The link breaks: a random part of what is under way is lost, both sides notice.
  void cut(std::size_t client);
  // The link carries nothing until then, and nobody notices but by silence.
  void freeze(std::size_t client, std::int64_t ms);
  // The link is dead for ever, without a word.
  void black_hole(std::size_t client) { freeze(client, 1'000'000'000); }
  void set_unreachable(std::size_t client, bool unreachable);
  // The client is gone with all that it had not saved, and does not come back.
  void crash_client(std::size_t client);
  // A clock that does not go backwards goes on at a later time, as after a suspension.
  void advance_clock(std::size_t client, std::int64_t ms);
  void crash_host(std::int64_t down_ms);
  void crash_broker(std::int64_t down_ms);
  // Everything runs and is reachable again; what was frozen for a while moves.
  void heal();

 private:
  struct Parcel {
    TimeMs due;
    Bytes bytes;  // empty: the end of the stream
  };
  struct Link {
    std::size_t node;
    std::size_t shard;
    ConnectionId connection;
    std::deque<Parcel> up;
    std::deque<Parcel> down;
    WebSocketReader reader{WebSocketRole::client, 64u << 20};
    bool client_listens = true;
    bool broker_listens = true;
    bool paused = false;  // by the broker
    TimeMs frozen_until = 0;
    std::int64_t latency_ms = 0;
  };
  // Node 0 is the persistence server, the others are clients.
  struct Node {
    std::unique_ptr<Fabric> fabric;
    std::unique_ptr<PersistHost> host;
    Link* link = nullptr;
    std::optional<TimeMs> connect_at;
    bool unreachable = false;
    std::int64_t ahead_ms = 0;  // its clock is ahead of the world's

    Client& client() { return fabric ? fabric->client() : host->client(); }
    bool runs() const { return fabric != nullptr || host != nullptr; }
    // In the world's time, as all that is here.
    std::optional<TimeMs> deadline() const;
    void on_time(TimeMs now);
    void on_transport_closed(TimeMs now) { client().on_transport_closed(now + ahead_ms); }
  };
  struct PeerParcel {
    TimeMs due;
    ShardIndex from;
    ShardIndex to;
    PeerMessage message;
  };

  static std::size_t node_of(std::size_t client) { return client == host ? 0 : client + 1; }

  std::optional<TimeMs> next_time() const;
  void step();
  void start_broker();
  void start_host();
  void drop_links();
  void drop_link(Node& node);
  void drain();
  void drain_node(std::size_t index);
  void drain_fabric(std::size_t index);
  void drain_host();
  bool carry_out(std::size_t index, ClientEffect& effect);
  void drain_broker(std::size_t shard);
  void open(std::size_t index);
  void deliver_up(Link& link);
  void deliver_down(Link& link);
  void read_frames(Link& link, Bytes& bytes);
  void client_lost(Link& link);
  void send(Link& link, std::deque<Parcel>& queue, Bytes bytes);
  Link* find(std::size_t shard, ConnectionId connection);
  TimeMs arrival(const Link& link, TimeMs not_before);

  WorldOptions options_;
  OnEffect on_effect_;
  OnTrace on_trace_;
  Random random_;
  TimeMs now_ = 1'000'000;
  std::uint64_t events_ = 0;
  Disk disk_;
  std::vector<std::unique_ptr<Broker>> shards_;  // empty while the broker is down
  std::optional<TimeMs> broker_at_;
  std::optional<TimeMs> host_at_;
  std::vector<Node> nodes_;
  std::list<Link> links_;
  std::deque<PeerParcel> peers_;
};

}  // namespace conat::simulation
