// A persistence server as a client of a broker: a Client and Sockets listening on `persist.*`, and
// the PersistServer behind them. The shell carries its transport (in-process, or a real connection)
// and its storage.
//
// Thread safety: none, one thread.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "conat/client/client.hpp"
#include "conat/stream/persist_server.hpp"

namespace conat {

// Transport effects of its client, and storage work (OpenStream, Submit, CloseStream).
using PersistHostEffect = std::variant<ClientEffect, PersistEffect>;

class PersistHost {
 public:
  PersistHost(PersistServerOptions options, ClientOptions client_options, Random random);
  ~PersistHost();

  // Connects and listens; call once.
  void start(TimeMs now);
  // True while it listens: signed in, its server's subscriptions confirmed.
  bool ready() const;
  // For the transport's input.
  Client& client();
  void on_storage(TimeMs now, StorageResult result);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(TimeMs now, PersistHostEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
