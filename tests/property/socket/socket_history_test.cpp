// Random histories: writes both ways while the transports of both sides break. Whatever was
// accepted arrives exactly once and in order, or the socket reports its end.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "unit/socket/socket_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

// One client's socket. Its server's end may be replaced by another while nothing was delivered and
// acknowledged either way: then the stream begins anew on both sides.
struct Stream {
  SocketId client = 0;
  std::string id;
  int client_wrote = 0;
};

struct History {
  explicit History(std::uint64_t seed, ShardIndex shards)
      : random(seed), world(2, options(seed, shards)) {
    world.on_request = [this](std::size_t node, socket_effect::Request& request) {
      world.sockets[node]->respond(world.world.now(), request.reply_subject, request.data);
    };
    ListenOptions listening;
    listening.max_queue = 50;
    // Short enough that long outages end sockets.
    listening.keep_alive_ms = 4000;
    listening.keep_alive_timeout_ms = 3000;
    world.listen(1, "s", listening);
    for (int i = 0; i < 3; ++i) {
      ConnectOptions connecting;
      connecting.max_queue = 50;
      connecting.keep_alive_ms = 4000;
      connecting.keep_alive_timeout_ms = 3000;
      Stream stream;
      stream.client = world.connect_ready(0, "s", connecting);
      stream.id = std::string(world.sockets[0]->id(stream.client));
      streams.push_back(stream);
    }
  }
  // The server's end that belongs to a stream now.
  SocketId server_of(const Stream& stream) const {
    SocketId result = 0;
    for (const auto& connected : world.logs[1].connected) {
      const std::string& subject = connected.subject;
      if (subject.substr(subject.rfind('.') + 1) == stream.id) result = connected.socket;
    }
    return result;
  }
  static WorldOptions options(std::uint64_t seed, ShardIndex shards) {
    WorldOptions result;
    result.seed = seed;
    result.shards = shards;
    result.max_latency_ms = 20;
    return result;
  }

  void write(std::size_t node, SocketId socket, int& next) {
    const int burst = 1 + static_cast<int>(random.below(10));
    for (int i = 0; i < burst; ++i) {
      const Status status = world.write(node, socket, Value(next));
      CHECK(world.sockets[node]->unacknowledged(socket) <= 50);
      if (status) {
        ++next;
      } else {
        const std::string& word = status.error().code.word;
        CHECK((word == "ENOBUFS" || word == "EPIPE"));
        return;
      }
    }
  }
  void act() {
    Stream& stream = streams[random.below(static_cast<std::uint32_t>(streams.size()))];
    switch (random.below(12)) {
      case 0:
        world.world.cut(0);
        break;
      case 1:
        world.world.cut(1);
        break;
      case 2: {
        const std::size_t node = random.below(2);
        world.world.set_unreachable(node, true);
        world.world.cut(node);
        world.run(random.below(random.below(4) == 0 ? 20'000 : 1500));
        world.world.set_unreachable(node, false);
        break;
      }
      case 3:
        world.sockets[0]->disconnect(world.world.now(), stream.client);
        world.collect(0);
        break;
      case 4:
        if (world.state(0, stream.client) != SocketState::closed) {
          calls.push_back(world.request(0, stream.client, Value(1)));
        }
        break;
      case 5:
        world.run(random.below(3000));
        break;
      default:
        write(0, stream.client, stream.client_wrote);
        write(1, server_of(stream), server_wrote[server_of(stream)]);
        world.run(random.below(60));
    }
  }
  // The numbers 0, 1, 2 ... up to `most`; all of them if `whole`.
  void check(std::size_t node, SocketId socket, int most, bool whole) {
    const std::vector<int> got = world.numbers(node, socket);
    INFO("node " << node << " got " << got.size() << " of " << most);
    CHECK(got.size() <= static_cast<std::size_t>(most));
    if (whole) CHECK(got.size() == static_cast<std::size_t>(most));
    bool in_order = true;
    for (std::size_t i = 0; i < got.size(); ++i)
      in_order = in_order && got[i] == static_cast<int>(i);
    CHECK(in_order);
  }
  void finish() {
    world.run(90'000);
    for (const Stream& stream : streams) {
      const SocketState client = world.state(0, stream.client);
      const SocketId end = server_of(stream);
      const SocketState server = world.state(1, end);
      const bool alive = client != SocketState::closed;
      // Both ends agree on the end.
      CHECK(alive == (server != SocketState::closed));
      if (alive) {
        CHECK(client == SocketState::ready);
        CHECK(world.sockets[0]->unacknowledged(stream.client) == 0);
        CHECK(world.sockets[1]->unacknowledged(end) == 0);
        ++survived;
      }
      check(1, end, stream.client_wrote, alive);
      check(0, stream.client, server_wrote[end], alive);
    }
    for (const auto& connected : world.logs[1].connected) {
      check(1, connected.socket, 1'000'000, false);
    }
    for (const CallId call : calls) {
      INFO("call " << call);
      CHECK(world.logs[0].replies[call].size() == 1);
    }
  }

  Random random;
  SocketWorld world;
  std::vector<Stream> streams;
  std::map<SocketId, int> server_wrote;
  std::vector<CallId> calls;
  int survived = 0;
};

// How many sockets came through.
int run_histories(std::uint64_t first, std::uint64_t last) {
  int survived = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("seed " << seed);
    History history(seed, seed % 2 == 0 ? 1 : 2);
    for (int step = 0; step < 60; ++step) history.act();
    history.finish();
    survived += history.survived;
  }
  return survived;
}

}  // namespace

TEST_CASE("random breaks and writes lose nothing, double nothing, reorder nothing", "[property]") {
  // Long outages end some sockets; most come through.
  CHECK(run_histories(1, 40) > 60);
}

TEST_CASE("many more random histories of sockets", "[.][soak]") { run_histories(1000, 1500); }
