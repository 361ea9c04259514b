// A Store in memory: ephemeral streams, simulations, the WASM build.
//
// A group is undone by a log of what it replaced, so that rollback restores the state exactly.
// Thread safety: none, one thread at a time.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "conat/stream/store.hpp"

namespace conat {

class MemoryStore : public Store {
 public:
  MemoryStore() = default;
  // Keys point into the messages' own storage.
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  Status begin() override;
  Status commit() override;
  void rollback() override;

  Result<StoreTotals> totals() override;
  Result<StreamSequence> insert(const StoredMessage& message) override;
  Status erase(StreamSequence seq) override;
  Status erase_through(StreamSequence last) override;

  Result<std::optional<StoredSummary>> find(StreamSequence seq) override;
  Result<std::optional<StoredSummary>> find_key(std::string_view key) override;
  Result<std::optional<StoredMessage>> read(StreamSequence seq) override;
  Result<std::optional<StoredMessage>> read_key(std::string_view key) override;
  Status scan(StreamSequence from, StreamSequence to,
              const std::function<bool(StoredMessage&&)>& visit) override;
  Status scan_summaries(StreamSequence from, StreamSequence to,
                        const std::function<bool(const StoredSummary&)>& visit) override;
  Result<StreamSequence> highest_seq() override;
  Result<std::vector<std::string>> keys() override;

  Result<std::vector<StoredSummary>> older_than(UnixMs time) override;
  Result<std::vector<StoredSummary>> newer_than(UnixMs time) override;
  Result<std::vector<StoredSummary>> expired_by_ttl(UnixMs now) override;
  Result<std::optional<UnixMs>> oldest_time() override;
  Result<std::optional<UnixMs>> next_expiry() override;

  Result<std::vector<MessageIdEntry>> message_ids(UnixMs since) override;
  Result<std::optional<MessageIdEntry>> message_id(StreamSequence seq) override;
  Status forget_message_ids(StreamSequence through) override;

  Result<std::vector<std::pair<std::string, std::string>>> read_config() override;
  Status write_config(std::string_view field, std::string_view value) override;

 private:
  using Messages = std::map<StreamSequence, StoredMessage>;
  using TimeIndex = std::set<std::pair<UnixMs, StreamSequence>>;

  // What undoes one step of a group.
  struct Inserted {
    StreamSequence seq;
  };
  struct Erased {
    StoredMessage message;
  };
  struct Configured {
    std::string field;
    std::optional<std::string> old_value;
  };
  struct Forgot {
    MessageIdEntry entry;
  };
  using Undo = std::variant<Inserted, Erased, Configured, Forgot>;

  void link(const StoredMessage& message);
  void unlink(const StoredMessage& message);
  Messages::iterator take_out(Messages::iterator position);
  std::vector<StoredSummary> summaries(TimeIndex::const_iterator begin,
                                       TimeIndex::const_iterator end) const;

  Messages messages_;
  std::unordered_map<std::string_view, StreamSequence> by_key_;
  TimeIndex by_time_;
  TimeIndex by_expiry_;
  std::deque<MessageIdEntry> ids_;  // ascending by seq
  std::map<std::string, std::string, std::less<>> config_;
  StreamSequence last_seq_ = 0;

  bool in_group_ = false;
  StreamSequence last_seq_before_ = 0;
  std::vector<Undo> undo_;
};

}  // namespace conat
