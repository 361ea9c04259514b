// One persistent stream: sequence numbers, keys, limits, duplicates, configuration. All semantics of
// a stream live here, over the Store port; nothing of sockets, threads or files.
//
// Use: begin_group(); any number of apply calls; commit_group(). The answers and changes may leave
// only after commit_group() returned ok. If it fails, everything since begin_group is undone, also
// the counters, and every answer of the group must become the error.
// Thread safety: none; the thread that owns the store.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "conat/stream/store.hpp"

namespace conat {

struct StreamConfig {
  std::int64_t max_msgs = -1;
  std::int64_t max_age_ms = 0;
  std::int64_t max_bytes = -1;
  std::int64_t max_msg_size = -1;
  std::int64_t max_bytes_per_second = -1;
  std::int64_t max_msgs_per_second = -1;
  bool discard_new = false;      // discard_policy "new"
  bool allow_msg_ttl = false;
  std::string desc_json = "null";
};

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
  std::optional<StreamSequence> last_seq;
  std::optional<StreamSequence> seq;
  std::optional<std::vector<StreamSequence>> seqs;
};

// What a changefeed tells.
struct StreamChange {
  // A set when `deleted` is empty: the whole message (message_id included); else the seqs that went.
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
  Status commit_group();

  // Each appends to changes() what it did, in order: deletes that a set causes before the set.
  Result<SetResult> set(UnixMs now, SetRequest request);
  Result<std::vector<StreamSequence>> erase(const DeleteRequest& request);
  // Partial configuration as a decoded map (unknown and null fields change nothing); enforced at
  // once. Returns the whole configuration as a map in the order of the spec.
  Result<Value> configure(UnixMs now, const Value& partial);
  // Age, ttl and what the last set left over: the coarse timer calls it (in a group of its own).
  Status enforce(UnixMs now);
  // True when a timer makes sense (max_age, or messages with a ttl, or an oversized message).
  bool needs_enforcement() const;

  Result<std::optional<StoredMessage>> get(StreamSequence seq);
  Result<std::optional<StoredMessage>> get_key(std::string_view key);
  // Appends messages from `from` to `to` until their bytes reach `max_bytes`; returns where to go
  // on, nullopt at the end.
  Result<std::optional<StreamSequence>> get_range(StreamSequence from, StreamSequence to,
                                                  std::size_t max_bytes,
                                                  std::vector<StoredMessage>& out);
  Result<std::vector<std::string>> keys();
  Result<StreamInventory> inventory();
  Value config_value() const;         // all fields
  Value limits_value() const;         // only what differs from the default

  // Moves out the changes since the last call.
  std::vector<StreamChange> take_changes();

 private:
  // (the implementation's owner adds what it needs)
  explicit Stream(Store& store) : store_(&store) {}
  Store* store_;
  StreamConfig config_;
  StoreTotals totals_;
  std::vector<StreamChange> changes_;
};

}  // namespace conat
