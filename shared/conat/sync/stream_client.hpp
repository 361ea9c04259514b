// Clients of persistent streams: one object for each open store, over a socket to the persistence
// server, with a changefeed that delivers every change exactly once and in order through
// disconnects and restarts.
//
// A session: connect a socket to the scope's server, write the opening message, ask for the
// changefeed, then for all messages behind the last one known, and hold back what the feed says
// meanwhile. When the same socket comes back after a mere loss of the network, the requests are
// repeated on it; when it was closed, or the server does not know it any more, a new one is made
// (1.5 s * 1.8^n, at most 30 s, 25% jitter; the series starts again after 60 s of stability).
//
// Sequence numbers that a feed leaves out are asked for before it goes on; mostly there is nothing
// to them any more.
//
// Deletes that happened while it was away are found by comparing the number of messages: the
// receiver tells how many it holds (set_held); when the server has fewer, or when nobody told,
// everything is read again.
//
// Bounds: a feed that grows beyond limits::max_queue_bytes while a session starts ends that
// session. Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conat/socket/sockets.hpp"
#include "conat/sync/stream_message.hpp"

namespace conat {

using StreamClientId = std::uint32_t;  // never 0

enum class StreamFollow : std::uint8_t {
  nothing,     // requests only
  changes,     // what changes from the opening on; no Snapshot at first
  everything,  // a Snapshot from start_seq on, then every change
};

struct StreamOpenOptions {
  std::string scope = "hub";  // "hub", "account-{id}", "project-{id}"
  std::string path;           // e.g. "hub/name"
  std::string service = "persist";
  bool ephemeral = false;
  bool sync = false;
  Value compression;  // as the server knows it; null: its default
  Value config;       // applied at each opening; null: none
  StreamFollow follow = StreamFollow::everything;
  StreamSequence start_seq = 0;  // 0: from the beginning
};

struct StreamCallOptions {
  std::int64_t timeout_ms = limits::request_timeout_ms;
  bool many = false;           // more than one reply: Answer.last tells the final one
  std::optional<Owner> owner;  // who gets the Answer; default: the stream's owner
};

namespace stream_client_effect {
// What the receiver must catch up with. It comes once in each session, before its Changes.
struct Snapshot {
  Owner owner;
  StreamClientId stream;
  // True: the server has exactly `messages` (from start_seq on); all else is gone. False:
  // everything told before is still there, except older messages of the keys in `messages`, which
  // are new.
  bool complete;
  std::vector<StreamMessage> messages;  // ascending
};
struct Changes {
  Owner owner;
  StreamClientId stream;
  std::vector<StreamUpdate> changes;
};
// 400, 403 or 429 at the first opening: for good, the stream is closed. All requests were answered
// so.
struct Failed {
  Owner owner;
  StreamClientId stream;
  Error error;
};
// true: the session is complete, after its Snapshot.
struct ConnectionChanged {
  Owner owner;
  StreamClientId stream;
  bool connected;
  StreamFollow follow = StreamFollow::nothing;  // in this session
};
// The answer to a request: the reply's message (null payload with error headers becomes an Error).
struct Answer {
  Owner owner;
  StreamClientId stream;
  CallId call;
  Result<MessageData> reply;
  bool last = true;
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
  StreamClients(const StreamClients&) = delete;
  StreamClients& operator=(const StreamClients&) = delete;

  // The first delay before a new socket, for streams opened afterwards. Default 1500 ms.
  void set_reconnect_delay(std::int64_t delay_ms);

  // Errors: permission_denied when the path does not belong to the scope.
  Result<StreamClientId> open(TimeMs now, Owner owner, StreamOpenOptions options);
  // Nothing more is reported for it, answers to its calls neither.
  void close(TimeMs now, StreamClientId stream);

  // Requests; each is answered by exactly one Answer (with `many`: one that is the last). A request
  // waits for the session's socket. When the connection breaks it fails with a retryable error
  // (408, 503) and may have taken effect: the caller repeats it with the same msgID. An unknown
  // stream: an Answer with `closed`.
  CallId set_many(TimeMs now, StreamClientId stream, const std::vector<StreamSet>& items,
                  const StreamCallOptions& options = {});
  CallId command(TimeMs now, StreamClientId stream, std::string_view name, const Value& arguments,
                 const StreamCallOptions& options = {});
  // A request that the caller has encoded: command and arguments in the headers.
  CallId request(TimeMs now, StreamClientId stream, MessageData data,
                 const StreamCallOptions& options = {});
  // From now on a stream that was opened for requests alone also tells what changes; `changes`
  // takes effect when ConnectionChanged says so (again). Others stay as they are.
  void follow_changes(TimeMs now, StreamClientId stream);
  // How many messages the receiver holds after all that it was told; see above. It may be told at
  // any time, the last word counts. nullopt: not known.
  void set_held(StreamClientId stream, std::optional<std::uint64_t> count);

  // The receiver has caught up with what is before, too: from now on it is told from here on.
  void set_start_seq(StreamClientId stream, StreamSequence start_seq);

  bool connected(StreamClientId stream) const;

  void on_socket_effect(TimeMs now, SocketEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(StreamClientEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
