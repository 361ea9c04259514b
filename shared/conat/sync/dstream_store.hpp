// One append-only stream, without its connection: what the stream told, what is acknowledged, and
// what is unsaved, in this order. DStreams holds the stores and carries between them and
// StreamClients.
//
//   publish      batch           answer            told by the stream
//   ---> waiting -----> under way -----> acknowledged -----> in the log
//           ^             |    |
//           |             |    +-- refused for good: dropped
//           +- no answer: unknown, the same message again
//
// After a reconnect, messages may have come whose msgID is not told with them: they may be those
// whose outcome is unknown. Until it is known (they are sent again first) what is new in the log
// stays behind a horizon, not shown and not told; so nothing is shown twice. The server recognizes
// a msgID for two minutes; of a message whose outcome is unknown for longer, one with the same
// bytes behind the horizon is taken to be it. A store that is kept (local first) needs no horizon:
// its messages name themselves.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/sync/dstream.hpp"

namespace conat {

class DStreamStore {
 public:
  using Effects = std::deque<DStreamEffect>;

  // One message as it is shown. Views, valid until the store changes.
  struct Entry {
    std::int64_t id = 0;                // seq, or for an unsaved one a negative number of its own
    std::optional<StreamSequence> seq;  // unless unsaved
    std::optional<UnixMs> time;         // when the stream has told it
    std::optional<std::string_view> key;
    PayloadEncoding encoding = PayloadEncoding::msgpack;
    ByteView raw;
    ByteView headers;  // when the stream has told it
  };

  // Effects carry `owner` and `id` and are appended to `effects`.
  DStreamStore(Owner owner, DStreamId id, bool autosave, StreamSequence start_seq, Random random,
               Effects& effects);

  // ---- the user: see DStreams ----
  std::size_t size() const { return told_count() + saved_.size() + local_.size(); }
  Entry entry(std::size_t index) const;  // below size()
  // How many messages the stream has told, and how many of all have a number.
  std::size_t told_count() const;
  std::size_t numbered_count() const { return told_count() + saved_.size(); }
  StreamSequence start_seq() const { return core_.start_seq(); }
  bool has_unsaved_changes() const { return !local_.empty(); }
  std::size_t unsaved_count() const { return local_.size(); }
  bool is_stable() const { return local_.empty() && saved_.empty(); }
  bool autosave() const { return autosave_; }

  Status publish(EncodedValue value, Headers headers, std::int64_t ttl_ms);
  void save(TimeMs now, CallId call);
  void forget(const std::vector<StreamSequence>& seqs);
  // No effects from now on.
  void detach();

  // ---- local first (dstream_offline.cpp): see DStreams ----
  bool kept() const { return kept_; }
  Bytes kept_state() const;
  Bytes kept_changes() const;
  Status restore(TimeMs now, ByteView state, ByteView changes, bool open_now);

  // ---- the stream ----
  CoreStreamStore& core() { return core_; }
  void on_snapshot(TimeMs now, bool complete, const std::vector<StreamMessage>& messages);
  void on_updates(const std::vector<StreamUpdate>& updates);
  void on_connection(TimeMs now, bool connected);
  void on_failed(const Error& error);
  // Older messages came.
  void tell(CoreStreamStore::Changes changes);
  std::size_t held() const { return core_.log().size(); }

  // ---- sending ----
  using BatchId = std::uint64_t;
  struct Batch {
    BatchId id = 0;
    std::vector<StreamSet> items;  // valid until the store is called again
  };
  // The next batch to be sent now. Its answer is handed to on_batch_answered.
  bool next_batch(TimeMs now, Batch& batch);
  void on_batch_answered(TimeMs now, BatchId batch, Result<std::vector<Result<SetResult>>> answer);
  void on_time(TimeMs now);
  // When on_time() and next_batch() should be called.
  std::optional<TimeMs> deadline() const;

 private:
  struct Local {
    std::uint64_t number = 0;  // in the order of publish()
    std::string message_id;
    EncodedValue value;
    Headers headers;
    std::int64_t ttl_ms = 0;
    TimeMs sent_at = 0;    // the first time; 0: not yet
    bool unknown = false;  // sent, and the outcome is not known
  };
  struct Saved {
    StreamSequence seq = 0;
    EncodedValue value;
    std::uint64_t session = 0;  // in which it was acknowledged
    bool repeated = false;      // it may have been told before this session
  };
  using OpenBatch = std::vector<std::uint64_t>;

  std::deque<Local>::iterator find(std::uint64_t number);
  void take_local(std::deque<Local>::iterator local);
  void mark_unknown(Local& local);
  void forget_unknown(Local& local);

  // ---- what the stream told (dstream_store.cpp) ----
  void note_echoes(const std::vector<StreamUpdate>& updates);
  void find_forgotten(TimeMs now);
  void keep(Saved saved);
  void drop_saved();
  void end_horizon();
  void after_change();
  void check_stable();

  // ---- local first (dstream_offline.cpp) ----
  static bool read_local(const Value& item, Local& local);
  void adopt(TimeMs now, std::vector<Local> locals);
  void note_stored(const std::vector<StreamMessage>& messages);

  // ---- sending (dstream_saving.cpp) ----
  std::uint64_t number_limit() const;
  bool has_work() const;
  void stored(TimeMs now, std::deque<Local>::iterator local, StreamSequence seq);
  void failed(TimeMs now, std::deque<Local>::iterator local, Error error);
  void back_off(TimeMs now);
  void finish_attempt();
  void answer(std::vector<CallId>& calls, const std::optional<Error>& error);

  template <class Effect>
  void emit(Effect effect) {
    if (!detached_) effects_.push_back(std::move(effect));
  }

  Owner owner_;
  DStreamId id_;
  bool kept_ = false;  // messages name their change
  bool autosave_;
  Random random_;
  Effects& effects_;
  bool detached_ = false;
  bool opened_ = false;
  bool connected_ = false;
  bool stable_ = true;  // as last told
  std::uint64_t session_ = 0;

  CoreStreamStore core_;
  std::optional<StreamSequence> horizon_;
  CoreStreamStore::Changes behind_horizon_;

  std::deque<Saved> saved_;  // ascending
  std::deque<Local> local_;  // by number
  std::uint64_t last_number_ = 0;
  std::set<std::uint64_t> waiting_;  // numbers of what is to be sent
  std::size_t unknown_ = 0;
  std::unordered_map<std::string, std::uint64_t> sent_;  // msgID -> number, while local
  std::unordered_map<BatchId, OpenBatch> batches_;
  BatchId last_batch_ = 0;

  TimeMs send_at_ = 0;  // not before
  std::optional<TimeMs> drop_repeated_at_;
  std::uint32_t failures_ = 0;
  std::vector<CallId> saves_;  // with autosave
  // Without autosave: one attempt for all up to attempt_number_.
  std::vector<CallId> attempt_;
  std::uint64_t attempt_number_ = 0;
  std::optional<Error> attempt_error_;
};

}  // namespace conat
