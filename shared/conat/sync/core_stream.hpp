// The streams that one client holds whole, or from some sequence number on: in order and by key.
//
// Effects carry the Owner given at open(). It sits on StreamClients (see stream_client.hpp), which
// takes the requests that write: publish() here, and `delete`, `config` and the like as commands of
// stream(). What is written shows when the stream tells it, exactly once and in order.
// Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "conat/sync/core_stream_store.hpp"
#include "conat/sync/stream_client.hpp"

namespace conat {

using CoreStreamId = std::uint32_t;  // never 0

namespace core_stream_effect {
// The first load is done, or it failed for good (400, 403, 429: the stream is closed).
struct Opened {
  Owner owner;
  CoreStreamId stream;
  std::optional<Error> error;
};
// After the first load: a message came, or one is gone. load() tells what it brought as well.
struct Change {
  Owner owner;
  CoreStreamId stream;
  StreamLogChange change;
};
// The stream is connected and up to date, or not any more.
struct ConnectionChanged {
  Owner owner;
  CoreStreamId stream;
  bool connected;
};
// The answer to load().
struct Loaded {
  Owner owner;
  CoreStreamId stream;
  CallId call;
  std::optional<Error> error;
};
}  // namespace core_stream_effect

using CoreStreamEffect =
    std::variant<core_stream_effect::Opened, core_stream_effect::Change,
                 core_stream_effect::ConnectionChanged, core_stream_effect::Loaded>;

class CoreStreams {
 public:
  explicit CoreStreams(StreamClients& streams);
  ~CoreStreams();
  CoreStreams(const CoreStreams&) = delete;
  CoreStreams& operator=(const CoreStreams&) = delete;

  // `options.start_seq`: what is before it is not loaded. Errors: permission_denied. Opened
  // follows.
  Result<CoreStreamId> open(TimeMs now, Owner owner, StreamOpenOptions options);
  // Nothing more is reported.
  void close(TimeMs now, CoreStreamId stream);
  // The stream below; 0 when it is closed.
  StreamClientId stream(CoreStreamId stream) const;

  // What is there now; null when it is closed.
  const CoreStreamStore* store(CoreStreamId stream) const;

  // Stores messages; answered by a StreamClientEffect::Answer to `call_options.owner`, which
  // parse_set_many_answer (stream_codec.hpp) reads. With a msgID it may be repeated.
  CallId publish(TimeMs now, CoreStreamId stream, const std::vector<StreamSet>& items,
                 const StreamCallOptions& call_options);
  // Also what is before what the stream was opened with, from `start_seq` on. Errors: closed.
  Result<CallId> load(TimeMs now, CoreStreamId stream, StreamSequence start_seq);
  // The answer to a delete named these: they are gone at once.
  void forget(TimeMs now, CoreStreamId stream, const std::vector<StreamSequence>& seqs);

  void on_stream_effect(TimeMs now, StreamClientEffect effect);
  bool next(CoreStreamEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
