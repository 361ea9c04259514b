// A plain model of a persistent stream: one list, every rule as a loop over it. Slow, and easy to
// compare with the specification.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conat/stream/stream.hpp"

namespace conat::test {

struct ModelMessage {
  StreamSequence seq = 0;
  UnixMs time = 0;
  std::optional<std::string> key;
  std::string raw;
  std::string headers;
  std::int64_t ttl = 0;
  bool held = false;  // stored in this group although it exceeds the limits alone
  std::int64_t size() const {
    return static_cast<std::int64_t>(raw.size() + headers.size() + (key ? key->size() : 0));
  }
};

// A change in a form that compares: "set 5" or "delete 1 2 3".
std::string change_text(const StreamChange& change);

class StreamModel {
 public:
  StreamConfig config;
  std::vector<ModelMessage> messages;  // ascending by seq
  StreamSequence last_seq = 0;
  std::vector<std::string> changes;

  // A result as text: "seq" or the error's text.
  std::string set(UnixMs now, const SetRequest& request);
  std::vector<StreamSequence> erase(const DeleteRequest& request);
  void configure(UnixMs now, const StreamConfig& changed);
  void enforce(UnixMs now);
  void commit();
  // After a restart only what is stored counts for the rates.
  void reload(UnixMs now);

  std::int64_t bytes() const;
  std::int64_t with_ttl() const;

 private:
  struct Stored {
    UnixMs time;
    std::int64_t size;
  };
  bool limits_rates() const {
    return config.max_msgs_per_second >= 0 || config.max_bytes_per_second >= 0;
  }
  void remove_expired(UnixMs now, StreamSequence keep);
  void discard(std::int64_t count, std::int64_t size, StreamSequence keep);
  void remove_where(const std::vector<StreamSequence>& seqs);
  void announce(const std::vector<StreamSequence>& seqs);

  std::map<std::string, std::pair<StreamSequence, UnixMs>> ids_;
  std::vector<Stored> recent_;
};

}  // namespace conat::test
