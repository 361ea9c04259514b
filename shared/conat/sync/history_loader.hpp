// Loads what is before the messages that a stream was opened with.
//
// One load at a time, each repeated until the connection held for all of it. What is deleted while
// it runs is left out. Thread safety: none.
#pragma once

#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include "conat/sync/core_stream_store.hpp"
#include "conat/sync/stream_client.hpp"

namespace conat {

class HistoryLoader {
 public:
  // The outcome of one load().
  struct Done {
    CallId call = 0;
    std::optional<Error> error;
  };

  HistoryLoader(StreamClients& streams, StreamClientId stream, CoreStreamStore& store)
      : streams_(streams), stream_(stream), store_(store) {}

  // Everything from `start_seq` on (0 or 1: from the beginning). Done comes from one of the
  // others, or at once when it is here already.
  std::optional<Done> load(TimeMs now, CallId call, StreamSequence start_seq);

  // The stream's session is complete.
  void on_connected(TimeMs now);
  // Before the store is told.
  void on_updates(const std::vector<StreamUpdate>& updates);
  // Whether the answer was for a load; what it brought is told.
  bool on_answer(TimeMs now, const stream_client_effect::Answer& answer,
                 CoreStreamStore::Changes* told, std::vector<Done>& done);

 private:
  struct Load {
    CallId call;
    StreamSequence start_seq;
  };

  void begin(TimeMs now);
  void repeat_later(TimeMs now, const Error& error, std::vector<Done>& done);
  void finish(TimeMs now, CoreStreamStore::Changes* told, std::vector<Done>& done);

  StreamClients& streams_;
  StreamClientId stream_;
  CoreStreamStore& store_;
  std::deque<Load> loads_;  // the first one is running, or waits for the connection
  CallId request_ = 0;      // of the stream client; 0: none is out
  std::uint64_t next_part_ = 0;
  std::vector<StreamMessage> messages_;
  std::unordered_set<StreamSequence> deleted_;
};

}  // namespace conat
