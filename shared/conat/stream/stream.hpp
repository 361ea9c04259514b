// One persistent stream: sequence numbers, keys, limits, duplicates, configuration. All semantics
// of a stream live here, over the Store port; nothing of sockets, threads or files.
//
// Use: begin_group(); any number of calls; commit_group(). The answers and changes may leave only
// after commit_group() returned ok. If it fails, everything since begin_group is undone, also the
// counters, and every answer of the group must become the error. Reading calls work outside of a
// group too.
//
// Invariants: totals_ equals what the store holds; oldest_time_ and next_expiry_ are never later
// than the true values, so that a look at them decides whether a search can find anything.
// Thread safety: none; the thread that owns the store.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/stream/message_id_window.hpp"
#include "conat/stream/rate_window.hpp"
#include "conat/stream/store.hpp"
#include "conat/stream/stream_config.hpp"

namespace conat {

// `previousSeq` that asks for a key without a message: no store ever reaches this sequence number,
// and JavaScript can hold it. It lets two writers create one key without losing either's value.
inline constexpr StreamSequence must_not_exist = 9'007'199'254'740'991;

struct SetRequest {
  std::optional<std::string> key;
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
  std::string headers_json;
  std::int64_t ttl_ms = 0;
  std::optional<StreamSequence> previous_seq;
  std::string message_id;
};
struct SetResult {
  StreamSequence seq = 0;
  UnixMs time = 0;
};
struct DeleteRequest {
  bool all = false;
  std::optional<StreamSequence> last_seq = {};
  std::optional<StreamSequence> seq = {};
  std::optional<std::vector<StreamSequence>> seqs = {};
};

// What a changefeed tells.
struct StreamChange {
  // A set when `deleted` is empty: the whole message (message_id included); else the seqs that
  // went.
  StoredMessage message;
  std::vector<StreamSequence> deleted;
};

struct StreamInventory {
  std::int64_t bytes = 0;
  std::int64_t count = 0;
  StreamSequence seq = 0;  // the highest present, 0 when empty
};

class Stream {
 public:
  // Reads totals, configuration and recent msgIDs from the store. `ephemeral` caps max_bytes.
  static Result<Stream> open(Store& store, UnixMs now, bool ephemeral);

  Status begin_group();
  // Makes the group durable, or undoes it and returns what went wrong.
  Status commit_group();
  // The store has failed in this group: commit_group will undo it.
  bool group_failed() const { return failure_.has_value(); }

  // Each appends to changes() what it did, in order: deletes that a set causes before the set.
  // Errors: wrong_last_sequence, rejected (limits), bad_request, too_large: nothing stored.
  Result<SetResult> set(UnixMs now, SetRequest request);
  Result<std::vector<StreamSequence>> erase(const DeleteRequest& request);
  // Partial configuration as a decoded map (unknown and null fields change nothing); enforced at
  // once. Returns the whole configuration as a map in the order of the spec.
  Result<Value> configure(UnixMs now, const Value& partial);
  // Age, ttl and what the last set left over: the coarse timer calls it (in a group of its own).
  Status enforce(UnixMs now);
  // Whether enforce() would find something to do; looks at counters only.
  bool enforcement_due(UnixMs now) const;
  // True when a timer makes sense (max_age, messages with a ttl, an oversized message, message ids
  // that will be past their time).
  bool needs_enforcement() const;

  Result<std::optional<StoredMessage>> get(StreamSequence seq);
  Result<std::optional<StoredMessage>> get_key(std::string_view key);
  // Appends messages from `from` to `to` (0: no end) until they take `max_bytes`, at least one;
  // returns where to go on, nullopt at the end.
  Result<std::optional<StreamSequence>> get_range(StreamSequence from, StreamSequence to,
                                                  std::size_t max_bytes,
                                                  std::vector<StoredMessage>& out);
  Result<std::vector<std::string>> keys();
  Result<StreamInventory> inventory();
  Value config_value() const;  // all fields
  Value limits_value() const;  // only what differs from the default
  const StreamConfig& config() const { return config_; }
  const StoreTotals& totals() const { return totals_; }

  // Moves out the changes since the last call.
  std::vector<StreamChange> take_changes();

 private:
  // What the limits are compared with.
  struct Load {
    std::int64_t count;
    std::int64_t bytes;
  };
  // A message of this group that alone exceeds the limits. It stays until its answer is out, and
  // does not count against others until then.
  struct Held {
    StreamSequence seq;
    std::int64_t size;
  };
  struct Snapshot {
    StoreTotals totals;
    UnixMs oldest_time = 0;
    UnixMs next_expiry = 0;
    StreamSequence ids_erased_through = 0;
  };
  static constexpr UnixMs never = std::numeric_limits<UnixMs>::max();

  Stream(Store& store, bool ephemeral);
  Status load(UnixMs now);

  Status ready() const;
  Error fail(Error error);
  void undo_group();

  Result<std::optional<SetResult>> find_duplicate(UnixMs now, const SetRequest& request);
  Status check_rates(UnixMs now);
  bool limits_rates() const;
  Status load_rates(UnixMs now);
  Status admit(UnixMs now, std::int64_t size, const std::optional<StoredSummary>& replaced,
               bool& oversized);
  Result<SetResult> store_message(UnixMs now, SetRequest&& request, std::int64_t size,
                                  const std::optional<StoredSummary>& replaced, bool oversized);

  bool fits(const Load& load) const;
  std::int64_t max_messages() const;
  Load load_without_held() const;
  bool is_held(StreamSequence seq) const;
  void release_held(StreamSequence first, StreamSequence last);
  Status remove_expired(UnixMs now, StreamSequence keep);
  Status discard_oldest(Load load, StreamSequence keep);
  Status remove(const StoredSummary& message);
  Status remove_all(const std::vector<StoredSummary>& messages, StreamSequence keep);
  Status forget_ids(UnixMs now, std::size_t max_entries, std::size_t min_step);
  Result<std::vector<StreamSequence>> erase_through(StreamSequence last);
  void announce_deleted(std::vector<StreamSequence> seqs);

  Store* store_;
  bool ephemeral_;
  StreamConfig config_;
  StoreTotals totals_;
  UnixMs oldest_time_ = never;
  UnixMs next_expiry_ = never;
  RateWindow rates_;
  MessageIdWindow ids_;
  StreamSequence ids_erased_through_ = 0;
  std::size_t ids_pending_ = 0;  // forgotten here, not yet in the store
  std::vector<StreamChange> changes_;

  bool in_group_ = false;
  std::optional<Error> failure_;
  Snapshot before_;
  std::optional<StreamConfig> config_before_;  // set when the group changes the configuration
  std::vector<Held> held_;                     // ascending by seq
  std::int64_t held_bytes_ = 0;
  StreamSequence discard_from_ = 0;  // below it only held messages are left
};

}  // namespace conat
