// What one client holds of one stream: its messages in order and by key, without the connection.
//
// Invariants: of each key at most one message is there, the newest that is known; a key whose
// newest message is a tombstone is not listed. Keys are listed in the order of insertion.
// Storing a message takes constant time amortized, what is deleted takes no memory.
// Thread safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conat/sync/dkv_value.hpp"
#include "conat/sync/message_log.hpp"

namespace conat {

// One change, as listeners hear it.
struct StreamLogChange {
  bool is_delete = false;
  StreamSequence seq = 0;
  UnixMs time = 0;
  std::optional<std::string> key;
  bool tombstone = false;  // it deletes its key
  EncodedValue value;      // of a delete: what was there
  Headers headers;
  std::optional<EncodedValue> previous;  // of the key
  std::string message_id;
};

class CoreStreamStore {
 public:
  using Changes = std::vector<StreamLogChange>;

  // `start_seq`: what is before it is not there; 0: everything is.
  explicit CoreStreamStore(StreamSequence start_seq) : start_seq_(start_seq) {}

  // ---- reading ----
  const MessageLog& log() const { return log_; }
  StreamSequence start_seq() const { return start_seq_; }
  // The highest number that the stream has shown.
  StreamSequence seen_seq() const { return seen_seq_; }
  std::size_t key_count() const { return order_.size(); }
  // The message of a key; nullopt when there is none or it is deleted.
  std::optional<StreamSequence> key_seq(std::string_view key) const;
  void for_each_key(
      const std::function<void(std::string_view key, StreamSequence seq)>& visit) const;

  // ---- what the stream tells; changes are appended to `told` unless it is null ----
  void on_snapshot(bool complete, const std::vector<StreamMessage>& messages, Changes* told);
  void on_updates(const std::vector<StreamUpdate>& updates, Changes* told);
  // Messages before start_seq, which becomes `start_seq`. What was deleted since they were asked
  // for has been taken out.
  void on_history(StreamSequence start_seq, const std::vector<StreamMessage>& messages,
                  Changes* told);
  // They are gone, whether the stream has told already or not.
  void forget(const std::vector<StreamSequence>& seqs, Changes* told);

 private:
  struct Place {
    StreamSequence seq = 0;
    std::uint64_t order = 0;  // 0: deleted by a tombstone, not listed
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  using Places = std::unordered_map<std::string, Place, KeyHash, std::equal_to<>>;

  void set(const StreamMessage& message, Changes* told);
  bool place(const StreamMessage& message, std::optional<EncodedValue>* previous);
  void remove(StreamSequence seq, Changes* told);
  void insert(const std::vector<const StreamMessage*>& messages, Changes* told);
  void replace_all(const std::vector<StreamMessage>& messages, Changes* told);
  std::optional<EncodedValue> value_of(const Place& place) const;
  void unlist(Place& place);

  MessageLog log_;
  Places places_;
  std::map<std::uint64_t, std::string_view> order_;  // views of the keys in places_
  std::uint64_t last_order_ = 0;
  StreamSequence start_seq_;
  StreamSequence seen_seq_ = 0;
};

bool is_tombstone_headers(const Headers& headers);

}  // namespace conat
