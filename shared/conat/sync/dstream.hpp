// The append-only streams of one client, with what it has published itself at their end at once.
//
// A message of one's own goes through three phases: unsaved (visible, no number yet), acknowledged
// (it has a number, the stream has not told it yet), told by the stream. It is shown once in each,
// never twice. Messages leave in the order of the publish() calls, in batches, each with a random
// msgID by which a repeated one is recognized (for two minutes, by the server).
//
// Effects carry the Owner given at open(). It sits on StreamClients (see stream_client.hpp). How
// much waits is bounded by memory alone, since it is the user's data; one message has at most
// limits::max_value_bytes. Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "conat/sync/core_stream_store.hpp"
#include "conat/sync/stream_client.hpp"

namespace conat {

using DStreamId = std::uint32_t;  // never 0

struct DStreamOptions {
  StreamOpenOptions stream;  // scope, path, ephemeral, sync, service, config, start_seq
  bool autosave = true;
};

namespace dstream_effect {
// The first load is done, or it failed for good (400, 403, 429: the stream is closed).
struct Opened {
  Owner owner;
  DStreamId stream;
  std::optional<Error> error;
};
// After the first load: the stream told a message, one of one's own or another; or one is gone.
struct Change {
  Owner owner;
  DStreamId stream;
  StreamLogChange change;
};
// The server refused a message for good; it is dropped.
struct Rejected {
  Owner owner;
  DStreamId stream;
  EncodedValue value;
  Error error;
};
struct Stable {  // everything is acknowledged and told by the stream
  Owner owner;
  DStreamId stream;
};
struct ConnectionChanged {
  Owner owner;
  DStreamId stream;
  bool connected;
};
// The answer to save().
struct Saved {
  Owner owner;
  DStreamId stream;
  CallId call;
  std::optional<Error> error;
};
// The answer to load().
struct Loaded {
  Owner owner;
  DStreamId stream;
  CallId call;
  std::optional<Error> error;
};
}  // namespace dstream_effect

using DStreamEffect =
    std::variant<dstream_effect::Opened, dstream_effect::Change, dstream_effect::Rejected,
                 dstream_effect::Stable, dstream_effect::ConnectionChanged, dstream_effect::Saved,
                 dstream_effect::Loaded>;

class DStreamStore;

class DStreams {
 public:
  DStreams(StreamClients& streams, Random random);
  ~DStreams();
  DStreams(const DStreams&) = delete;
  DStreams& operator=(const DStreams&) = delete;

  // Errors: permission_denied. Opened follows.
  Result<DStreamId> open(TimeMs now, Owner owner, DStreamOptions options);
  // Nothing more is reported. With autosave, what is unsaved is still sent, as long as the fabric
  // lives; without, it is lost. Of a store that is kept (see restore()) nothing more is sent:
  // another run goes on with it.
  void close(TimeMs now, DStreamId stream);
  // The stream below, for its commands (config, inventory, delete); 0 when it is closed.
  StreamClientId stream(DStreamId stream) const;

  // What is there now (dstream_store.hpp); null when it is closed.
  const DStreamStore* store(DStreamId stream) const;

  // `ttl_ms` 0: none. Errors: closed, too_large.
  Status publish(TimeMs now, DStreamId stream, EncodedValue value, Headers headers = {},
                 std::int64_t ttl_ms = 0);
  // With autosave answered when nothing is unsaved (acknowledged or rejected); without, it is one
  // attempt, which needs a connection and is answered on the acknowledgement. Errors: closed.
  Result<CallId> save(TimeMs now, DStreamId stream);
  // Also what is before what the stream was opened with, from `start_seq` on. Errors: closed.
  Result<CallId> load(TimeMs now, DStreamId stream, StreamSequence start_seq);
  // The answer to a delete named these: they are gone at once.
  void forget(TimeMs now, DStreamId stream, const std::vector<StreamSequence>& seqs);

  // Local first. What is known of the server, and what is unsaved with all that merging and
  // recognizing it needs, for restore() in another run of the program; empty when closed. From
  // restore() on what is written names its change in a header, by which it is recognized in the
  // stream however much later. Given once after open() with what an earlier run has kept (empty:
  // nothing), and again with the changes of a run that has ended. `open_now`: Opened follows
  // without waiting for the server. Errors: closed; malformed, and nothing has been restored.
  Bytes kept_state(DStreamId stream) const;
  Bytes kept_changes(DStreamId stream) const;
  Status restore(TimeMs now, DStreamId stream, ByteView state, ByteView changes, bool open_now);

  void on_stream_effect(TimeMs now, StreamClientEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(DStreamEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
