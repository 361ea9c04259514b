// A persistence server in a SocketWorld, with its storage in memory.
#pragma once

#include "conat/fabric/persist_host.hpp"
#include "unit/socket/socket_world.hpp"
#include "unit/stream/memory_storage.hpp"

namespace conat::test {

class PersistNode {
 public:
  explicit PersistNode(SocketWorld& world, PersistServerOptions options = {})
      : world_(world), host_(std::move(options), client_options(), Random(7)) {
    index_ = world.world.add_client(host_.client(),
                                    [this](ClientEffect& effect) { return next(effect); });
    world.more_timers.push_back(
        {[this] { return host_.deadline(); }, [this](TimeMs now) { host_.on_time(now); }});
    host_.start(now());
    REQUIRE(world.until([this] { return host_.ready(); }));
  }

  PersistHost& host() { return host_; }
  std::size_t index() const { return index_; }
  MemoryStorage storage;

 private:
  static ClientOptions client_options() {
    ClientOptions options;
    options.reconnection_delay_ms = 10;
    options.reconnection_delay_max_ms = 100;
    return options;
  }
  TimeMs now() const { return world_.world.now(); }
  UnixMs unix_now() const { return 1'700'000'000'000 + now(); }

  bool next(ClientEffect& effect) {
    PersistHostEffect from_host;
    while (host_.next(now(), from_host)) {
      if (auto* transport = std::get_if<ClientEffect>(&from_host)) {
        effect = std::move(*transport);
        return true;
      }
      auto& work = *std::get_if<PersistEffect>(&from_host);
      if (auto* opening = std::get_if<persist_effect::OpenStream>(&work)) {
        storage.open(unix_now(), *opening);
      } else if (auto* submit = std::get_if<persist_effect::Submit>(&work)) {
        storage.submit(*submit);
      } else if (auto* closing = std::get_if<persist_effect::CloseStream>(&work)) {
        storage.close(closing->stream);
      }
      for (StorageResult& result : storage.run(unix_now())) {
        host_.on_storage(now(), std::move(result));
      }
    }
    return false;
  }

  SocketWorld& world_;
  PersistHost host_;
  std::size_t index_ = 0;
};

}  // namespace conat::test
