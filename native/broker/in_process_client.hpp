// One of the broker's own clients: a machine of the core whose transport is a connection of its
// shard's Broker inside the process, over frames in memory instead of a socket.
//
// What goes from one side to the other waits in small queues until pump() moves it on, so neither
// is ever entered while it is at work. Thread safety: none, the shard's thread.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "conat/broker/broker.hpp"
#include "conat/client/client.hpp"
#include "conat/wire/websocket.hpp"

namespace conat::server {

class InProcessClient {
 public:
  explicit InProcessClient(Broker& broker);
  virtual ~InProcessClient() = default;
  InProcessClient(const InProcessClient&) = delete;
  InProcessClient& operator=(const InProcessClient&) = delete;

  // What it is, for the log.
  virtual const char* name() const = 0;
  virtual void start(TimeMs now) = 0;
  virtual bool ready() const = 0;
  virtual void on_time(TimeMs now) = 0;
  virtual std::optional<TimeMs> deadline() const = 0;

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

  // Moves everything on until both sides are quiet. `drain_broker` carries out the broker's
  // effects.
  void pump(TimeMs now, const std::function<void()>& drain_broker);

 protected:
  // Inside the process a reconnect costs nothing and needs no patience.
  static ClientOptions client_options();

  virtual Client& client() = 0;
  // Takes the machine's effects and carries them out; those of the transport by the function
  // below. Returns whether there were any.
  virtual bool carry_out_effects(TimeMs now) = 0;
  void carry_out_transport(TimeMs now, ClientEffect& effect);
  // The machine was given something to do.
  void wake() { idle_ = false; }

 private:
  bool deliver_to_client(TimeMs now);
  void read_frames(TimeMs now, const SharedBytes& frames);
  void queue(const WireMessages& messages);
  bool deliver_to_broker(TimeMs now);
  void disconnect();

  Broker& broker_;
  std::optional<ConnectionId> connection_;
  WebSocketReader reader_;
  std::deque<SharedBytes> inbound_;  // frames from the broker
  Bytes outbound_;                   // frames for the broker
  Bytes scratch_;
  bool idle_ = true;  // nothing has happened since pump()
  bool disconnected_ = false;
  bool paused_ = false;
};

}  // namespace conat::server
