// A persistence server as a client of a broker: a Client and Sockets listening on `persist.*`, and
// the PersistServer behind them. The shell carries its transport (in-process, or a real connection)
// and its storage.
//
// Thread safety: none, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "conat/client/client.hpp"
#include "conat/stream/persist_server.hpp"

namespace conat {

// Transport effects of its client, and storage work (OpenStream, Submit, CloseStream).
using PersistHostEffect = std::variant<ClientEffect, PersistEffect>;

// Counted since the start, for /metrics.
struct PersistStatistics {
  // What a request may ask for; the last name stands for everything else.
  static constexpr std::array<std::string_view, 11> commands = {
      "set",  "setMany",   "get",        "getAll",   "delete", "config",
      "keys", "inventory", "changefeed", "serverId", "other"};
  std::array<std::uint64_t, commands.size()> requests{};  // by command
  std::uint64_t failed = 0;                               // requests answered with an error
  std::size_t sockets = 0;                                // connected now
};

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
  PersistStatistics statistics() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
