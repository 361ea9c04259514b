// One key-value store, without its stream: what is known of the server, what changed here, what to
// send, and how conflicts end. Dkvs holds the stores and carries between them and StreamClients.
//
// A key with a local change is *pending*. It is saved by a *write*: one item of a batch, with a
// msgID. From the sending to the moment when the outcome is certain (the echo, or an answer and
// what the stream showed) the write stays as it is, whatever the user does to the key; remote
// changes of that key are noted and judged afterwards:
//
//       set/erase         batch            answer ok           echo, snapshot
//   clean ---> waiting ---------> under way --------> acknowledged ---> clean, or waiting
//               ^                  |     |                              when changed meanwhile
//               |                  |     +-- no answer: unknown, the same write again
//               +-- changed by ----+-- refused: the change is dropped
//                   others: merge
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conat/sync/dkv.hpp"
#include "conat/sync/key_table.hpp"

namespace conat {

class DkvStore {
 public:
  using Effects = std::deque<DkvEffect>;

  // Effects carry `owner` and `id` and are appended to `effects`.
  DkvStore(Owner owner, DkvId id, MergeKind merge, bool autosave, Random random, Effects& effects);
  ~DkvStore();

  // ---- the user: see Dkvs ----
  std::optional<EncodedValue> get(std::string_view key) const;
  bool has(std::string_view key) const;
  std::size_t size() const { return visible_; }
  void for_each(
      const std::function<bool(std::string_view, PayloadEncoding, ByteView)>& visit) const;
  std::optional<StreamSequence> seq(std::string_view key) const;
  std::optional<UnixMs> time(std::string_view key) const;
  Headers headers(std::string_view key) const;
  Status set(std::string_view key, EncodedValue value, Headers headers);
  Status erase(std::string_view key);
  void clear();
  void save(TimeMs now, CallId call);
  void resolve_merge(std::uint32_t merge, std::optional<std::optional<EncodedValue>> merged);
  bool has_unsaved_changes() const { return !pending_.empty(); }
  std::vector<std::string> unsaved_changes() const;
  // No effects from now on; conflicts end without asking anybody.
  void detach();
  bool autosave() const { return autosave_; }

  // ---- local first (dkv_offline.cpp): see Dkvs ----
  bool kept() const { return kept_; }
  Bytes kept_state() const;
  Bytes kept_changes() const;
  Status restore(ByteView state, ByteView changes, bool open_now);

  // ---- the stream ----
  void on_snapshot(TimeMs now, bool complete, std::vector<StreamMessage> messages);
  void on_changes(TimeMs now, std::vector<StreamUpdate> changes);
  void on_connection(TimeMs now, bool connected);
  void on_failed(const Error& error);
  // Keys for which the server has a message.
  std::size_t held() const { return table_.message_count(); }

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
  enum class WriteState : std::uint8_t { under_way, unknown, acknowledged };

  struct Write {
    std::string message_id;
    OptionalValue value;
    Headers headers;
    std::optional<StreamSequence> previous_seq;
    WriteState state = WriteState::under_way;
    bool repeated = false;   // sent more than once
    StreamSequence seq = 0;  // acknowledged
  };
  struct Pending {
    std::string_view key;
    OptionalValue local;
    Headers headers;
    std::uint64_t order = 0;  // in unsent_; 0: not there
    std::uint32_t merge = 0;  // MergeNeeded is out; 0: none
    bool changed = false;     // since the write was made, or MergeNeeded asked
    bool refused = false;     // wrong-last-sequence: a newer value must come
    // What both sides had last, when it is no longer what the table has.
    bool base_kept = false;
    OptionalValue base;
    // What the last Change effect said, when it may not be what the table has.
    bool told_kept = false;
    OptionalValue told;
    // The remote state that the outstanding MergeNeeded was asked about.
    StreamSequence asked_seq = 0;
    std::unique_ptr<Write> write;
  };
  // A change that was kept. It waits while there is another one of its key.
  struct Adopted {
    std::string key;
    OptionalValue local;
    Headers headers;
    OptionalValue base;
    std::optional<StreamMessage> base_message;
    std::optional<Write> write;
    Value item;  // as it was kept
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  template <class T>
  using KeyMap = std::unordered_map<std::string, T, KeyHash, std::equal_to<>>;
  using Slot = KeyTable::Slot;
  using OpenBatch = std::vector<std::string>;  // message ids

  // ---- reading (dkv_store.cpp) ----
  const Pending* find_pending(Slot slot) const;
  Pending* find_pending(Slot slot);
  bool visible(Slot slot) const;
  Headers remote_headers(Slot slot) const;
  OptionalValue remote_value(Slot slot) const;
  bool merging() const { return merge_ != MergeKind::none && merge_ != MergeKind::lww; }

  // ---- local changes ----
  void change(std::string_view key, OptionalValue value, Headers headers);
  bool shows_server_value(const OptionalValue& value, const Headers& headers, Slot slot) const;
  Pending& make_pending(Slot slot);
  void drop(Pending& pending, Slot slot);
  void queue(Pending& pending);
  void unqueue(Pending& pending);
  void place(Slot slot, bool was_visible);
  void check_stable();

  // ---- remote changes and conflicts (dkv_remote.cpp) ----
  void apply(StreamMessage message);
  void remove(Slot slot);
  void sweep_unmarked();
  void keep_base(Pending& pending, Slot slot);
  void remote_moved(Pending& pending, Slot slot);
  void settle(Pending& pending, Slot slot);
  void settle_acknowledged(bool only_repeated);
  void forget_write(Pending& pending);
  void show_remote(Pending& pending, Slot slot, const OptionalValue& previous);
  void take_back(Pending& pending, Slot slot);
  OptionalValue told(const Pending& pending, Slot slot) const;
  void tell_local(Pending& pending, const OptionalValue& value, const OptionalValue& previous);
  void conflict(Pending& pending, Slot slot);
  bool merge_built_in(const OptionalValue& local, const OptionalValue& remote,
                      const OptionalValue& base, OptionalValue& merged) const;
  void take_merged(Pending& pending, Slot slot, OptionalValue merged);
  void keep_local(Pending& pending);
  void ask_for_merge(Pending& pending, Slot slot);

  // ---- local first (dkv_offline.cpp) ----
  static bool read_change(const Value& item, Adopted& change);
  void adopt(Adopted change);
  void adopt_waiting();

  // ---- saving (dkv_saving.cpp) ----
  std::uint64_t order_limit() const;
  bool has_work() const;
  StreamSet make_item(Pending& pending, Slot slot);
  void make_write(Pending& pending, Slot slot);
  void item_stored(TimeMs now, Pending& pending, StreamSequence seq);
  void item_failed(TimeMs now, Pending& pending, Error error);
  void unknown_outcome(Pending& pending);
  void refused(TimeMs now, Pending& pending);
  void rejected(Pending& pending, Error error);
  void retry_refused();
  void back_off(TimeMs now);
  void finish_attempt();
  void answer(std::vector<CallId>& calls, const std::optional<Error>& error);

  // ---- effects ----
  template <class Effect>
  void emit(Effect effect) {
    if (!detached_) effects_.push_back(std::move(effect));
  }
  void emit_change(std::string_view key, const OptionalValue& value, const OptionalValue& previous);

  Owner owner_;
  DkvId id_;
  MergeKind merge_;
  bool autosave_;
  Random random_;
  Effects& effects_;
  bool detached_ = false;
  bool opened_ = false;
  bool connected_ = false;
  bool stable_ = true;      // as last told
  bool reloading_ = false;  // a complete snapshot is being applied
  bool kept_ = false;       // writes name their change
  bool synced_ = false;     // the server has told its state
  bool server_checks_absence_ = true;
  std::uint32_t refused_creations_ = 0;  // in a row
  StreamSequence seen_seq_ = 0;          // the highest that the stream has shown

  std::vector<Adopted> adopted_;
  KeyTable table_;
  std::size_t visible_ = 0;
  KeyMap<Pending> pending_;
  std::map<std::uint64_t, Pending*> unsent_;  // by order
  std::uint64_t last_order_ = 0;
  KeyMap<Pending*> writes_;  // by message id
  std::unordered_map<BatchId, OpenBatch> batches_;
  BatchId last_batch_ = 0;
  std::map<std::uint32_t, std::string> merges_;  // asked, by number: the key
  std::uint32_t last_merge_ = 0;

  TimeMs send_at_ = 0;  // not before
  std::optional<TimeMs> retry_refused_at_;
  std::optional<TimeMs> settle_repeated_at_;
  std::uint32_t failures_ = 0;
  std::vector<CallId> saves_;  // with autosave: answered when nothing is unsaved
  // Without autosave: one attempt for all that was unsent up to attempt_order_.
  std::vector<CallId> attempt_;
  std::uint64_t attempt_order_ = 0;
  std::optional<Error> attempt_error_;
};

}  // namespace conat
