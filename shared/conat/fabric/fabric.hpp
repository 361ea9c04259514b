// Everything a client program has, composed: Client, Sockets, StreamClients and the synchronized
// structures on them (Dkvs, CoreStreams, DStreams), with the
// events of each layer routed to its owner. What is left over comes out of next(): transport work
// and the user's events. The WASM module, the native client and the simulator drive one Fabric
// each.
//
// Thread safety: none, one thread.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "conat/client/client.hpp"
#include "conat/socket/sockets.hpp"
#include "conat/sync/core_stream.hpp"
#include "conat/sync/dkv.hpp"
#include "conat/sync/dstream.hpp"
#include "conat/sync/stream_client.hpp"

namespace conat {

// What the shell and the user see: the transport effects and those whose owner layer is `user`.
using FabricEffect = std::variant<ClientEffect, SocketEffect, StreamClientEffect, DkvEffect,
                                  CoreStreamEffect, DStreamEffect>;

class Fabric {
 public:
  Fabric(ClientOptions options, Random random);
  ~Fabric();

  // Calls go straight to the layer: fabric.client().publish(...), fabric.dkvs().open(...).
  Client& client();
  Sockets& sockets();
  StreamClients& streams();
  Dkvs& dkvs();
  CoreStreams& core_streams();
  DStreams& dstreams();

  // Runs every layer's timers that are due.
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  // Routes pending effects between the layers, then moves the next outward one out.
  bool next(TimeMs now, FabricEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
