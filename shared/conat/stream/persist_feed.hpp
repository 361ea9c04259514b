// One socket's changefeed: which changes leave when.
//
// The first change goes out at once; what follows within limits::change_batch_delay_ms is collected
// and goes out together then, or as soon as it makes a full batch. A change is encoded once and
// shared by all feeds of its stream. Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/time.hpp"
#include "conat/wire/message.hpp"

namespace conat::persist_parts {

using EncodedChange = std::shared_ptr<const Bytes>;

class PersistFeed {
 public:
  // Appends to `out` the messages that are to be written now.
  void add(TimeMs now, const std::vector<EncodedChange>& changes, std::vector<MessageData>& out);
  void on_time(TimeMs now, std::vector<MessageData>& out);
  // When on_time has something to do.
  std::optional<TimeMs> deadline() const;

 private:
  void flush(TimeMs now, std::vector<MessageData>& out);
  MessageData take_batch(std::size_t count, std::size_t bytes);

  std::uint64_t next_number_ = 0;
  TimeMs held_until_ = 0;
  bool started_ = false;
  std::vector<EncodedChange> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace conat::persist_parts
