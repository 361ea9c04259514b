// The broker's own persistence server: a PersistHost that is a client of its shard's Broker inside
// the process, over frames in memory instead of a socket, and the way between it and the storage.
//
// What goes from one side to the other waits in small queues until pump() moves it on, so neither
// is ever entered while it is at work. Thread safety: none, the shard's thread; storage results are
// posted to it.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "conat/base/random.hpp"
#include "conat/broker/broker.hpp"
#include "conat/fabric/persist_host.hpp"
#include "conat/wire/websocket.hpp"
#include "storage/storage_engine.hpp"

namespace conat::server {

class Persistence {
 public:
  Persistence(Broker& broker, storage::StorageEngine& storage, PersistServerOptions options,
              Random random);

  void start(TimeMs now);
  bool ready() const { return host_.ready(); }
  // Hands nothing to the storage any more.
  void stop() { stopped_ = true; }

  // ---- the broker's effects for its connection ----
  bool owns(ConnectionId connection) const { return connection_ == connection; }
  void on_frames(SharedBytes frames) {
    inbound_.push_back(std::move(frames));
    idle_ = false;
  }
  void on_disconnected() {
    disconnected_ = true;
    idle_ = false;
  }
  void on_pause(bool paused) {
    paused_ = paused;
    idle_ = false;
  }

  void on_storage(TimeMs now, StorageResult result);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const { return host_.deadline(); }

  // Moves everything on until both sides are quiet. `drain_broker` carries out the broker's
  // effects.
  void pump(TimeMs now, const std::function<void()>& drain_broker);

 private:
  bool deliver_inbound(TimeMs now);
  bool carry_out_effects(TimeMs now);
  void carry_out(TimeMs now, ClientEffect& effect);
  void carry_out(PersistEffect& effect);
  void queue(const WireMessages& messages);
  bool deliver_outbound(TimeMs now);
  void disconnect();

  Broker& broker_;
  storage::StorageEngine& storage_;
  PersistHost host_;
  std::optional<ConnectionId> connection_;
  WebSocketReader reader_;
  std::deque<SharedBytes> inbound_;  // frames from the broker
  Bytes outbound_;                   // frames for the broker
  Bytes scratch_;
  std::optional<TimeMs> deadline_;
  bool idle_ = true;  // nothing has happened since pump()
  bool disconnected_ = false;
  bool paused_ = false;
  bool stopped_ = false;
};

}  // namespace conat::server
