// Clients of persistent streams: one object for each open store, over a socket to the persistence
// server, with a changefeed that delivers every change exactly once and in order through
// disconnects and restarts.
//
// Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conat/socket/sockets.hpp"
#include "conat/stream/stream.hpp"

namespace conat {

using StreamClientId = std::uint32_t;  // never 0

struct StreamOpenOptions {
  std::string scope = "hub";          // "hub", "account-{id}", "project-{id}"
  std::string path;                   // e.g. "hub/name"
  std::string service = "persist";
  bool ephemeral = false;
  bool sync = false;
  Value config;                       // applied after opening; null: none
};

namespace stream_client_effect {
// The state of the server at one moment, then every change after it: a snapshot is sent after the
// first opening and after each reconnect when changes may have been missed. Receivers replace what
// they have: messages with seq in [from_seq, ...] not listed here are gone.
struct Snapshot {
  Owner owner;
  StreamClientId stream;
  std::vector<StoredMessage> messages;  // ascending
};
struct Changes {
  Owner owner;
  StreamClientId stream;
  std::vector<StreamChange> changes;
};
struct Failed {  // 403 or 429 on opening: for good
  Owner owner;
  StreamClientId stream;
  Error error;
};
struct ConnectionChanged {
  Owner owner;
  StreamClientId stream;
  bool connected;
};
// The answer to a request: the reply's message (null payload with error headers becomes an Error).
struct Answer {
  Owner owner;
  StreamClientId stream;
  CallId call;
  Result<MessageData> reply;
};
}  // namespace stream_client_effect

using StreamClientEffect =
    std::variant<stream_client_effect::Snapshot, stream_client_effect::Changes,
                 stream_client_effect::Failed, stream_client_effect::ConnectionChanged,
                 stream_client_effect::Answer>;

class StreamClients {
 public:
  StreamClients(Sockets& sockets, Random random);
  ~StreamClients();

  Result<StreamClientId> open(TimeMs now, Owner owner, StreamOpenOptions options);
  void close(TimeMs now, StreamClientId stream);

  // Requests; each is answered by exactly one Answer. They fail with a retryable error (408, 503)
  // when the connection breaks: the caller repeats them with the same msgID.
  CallId set_many(TimeMs now, StreamClientId stream, const std::vector<SetRequest>& items,
                  std::int64_t timeout_ms);
  CallId command(TimeMs now, StreamClientId stream, std::string_view name, const Value& arguments,
                 std::int64_t timeout_ms);

  void on_socket_effect(TimeMs now, SocketEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(StreamClientEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
