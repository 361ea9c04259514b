// The storage port: what a stream needs of the place where its messages are kept. Implemented by
// native/storage (one SQLite file) and by MemoryStore (ephemeral streams, simulations, WASM).
//
// Writes happen inside an open group (begin ... commit), reads inside or outside; inside they see
// the group's own writes. A failed write leaves the group unusable: its caller rolls it back.
// Visitors must not call the store. Thread safety: none; one thread at a time uses a store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "conat/base/time.hpp"
#include "conat/wire/codec.hpp"

namespace conat {

using StreamSequence = std::int64_t;  // positive

struct StoredMessage {
  StreamSequence seq = 0;
  UnixMs time = 0;
  std::optional<std::string> key;
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
  std::string headers_json;  // compact JSON, empty: none (NULL in the file)
  std::int64_t size = 0;     // raw + headers JSON + key
  std::int64_t ttl_ms = 0;   // 0: none
  std::string message_id;    // msgID, empty: none; not filled in by reads
};

// What enforcing limits needs of a message.
struct StoredSummary {
  StreamSequence seq = 0;
  UnixMs time = 0;
  std::int64_t size = 0;
  std::int64_t ttl_ms = 0;
};

struct StoreTotals {
  std::int64_t count = 0;
  std::int64_t bytes = 0;
  StreamSequence last_seq = 0;  // the highest ever given out
  std::int64_t with_ttl = 0;    // messages that carry a ttl
};

class Store {
 public:
  virtual ~Store() = default;

  virtual Status begin() = 0;
  virtual Status commit() = 0;  // durable when it returns, as configured
  virtual void rollback() = 0;

  // Counted from what is stored: the one call that looks at every message.
  virtual Result<StoreTotals> totals() = 0;
  // Gives the message its sequence number (higher than every one before, also than those of
  // messages that are gone) and stores it, and its message id, which outlives it.
  virtual Result<StreamSequence> insert(const StoredMessage& message) = 0;
  // Erasing what is not there is no error.
  virtual Status erase(StreamSequence seq) = 0;
  virtual Status erase_through(StreamSequence last) = 0;  // all up to it, inclusive

  virtual Result<std::optional<StoredSummary>> find(StreamSequence seq) = 0;
  virtual Result<std::optional<StoredSummary>> find_key(std::string_view key) = 0;
  virtual Result<std::optional<StoredMessage>> read(StreamSequence seq) = 0;
  virtual Result<std::optional<StoredMessage>> read_key(std::string_view key) = 0;
  // In ascending order from `from` to `to` (inclusive) until `visit` returns false.
  virtual Status scan(StreamSequence from, StreamSequence to,
                      const std::function<bool(StoredMessage&&)>& visit) = 0;
  virtual Status scan_summaries(StreamSequence from, StreamSequence to,
                                const std::function<bool(const StoredSummary&)>& visit) = 0;
  virtual Result<StreamSequence> highest_seq() = 0;     // present; 0 when empty
  virtual Result<std::vector<std::string>> keys() = 0;  // in the order of their bytes

  // Found by an index, not by a scan; ascending by seq.
  virtual Result<std::vector<StoredSummary>> older_than(UnixMs time) = 0;     // time <= it
  virtual Result<std::vector<StoredSummary>> newer_than(UnixMs time) = 0;     // time > it
  virtual Result<std::vector<StoredSummary>> expired_by_ttl(UnixMs now) = 0;  // time + ttl <= now
  virtual Result<std::optional<UnixMs>> oldest_time() = 0;
  virtual Result<std::optional<UnixMs>> next_expiry() = 0;  // the least time + ttl

  struct MessageIdEntry {
    std::string message_id;
    StreamSequence seq = 0;
    UnixMs time = 0;
  };
  // The ids newer than `since`, ascending by seq.
  virtual Result<std::vector<MessageIdEntry>> message_ids(UnixMs since) = 0;
  // The id that the message with this seq was given, also when the message is gone.
  virtual Result<std::optional<MessageIdEntry>> message_id(StreamSequence seq) = 0;
  virtual Status forget_message_ids(StreamSequence through) = 0;

  virtual Result<std::vector<std::pair<std::string, std::string>>> read_config() = 0;
  virtual Status write_config(std::string_view field, std::string_view value) = 0;
};

}  // namespace conat
