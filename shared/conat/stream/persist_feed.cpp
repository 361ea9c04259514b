#include "conat/stream/persist_feed.hpp"

#include "conat/base/limits.hpp"
#include "conat/stream/persist_codec.hpp"
#include "conat/wire/msgpack_view.hpp"

namespace conat::persist_parts {

void PersistFeed::add(TimeMs now, const std::vector<EncodedChange>& changes,
                      std::vector<MessageData>& out) {
  for (const EncodedChange& change : changes) {
    waiting_.push_back(change);
    waiting_bytes_ += change->size();
  }
  const bool window_open = !started_ || now >= held_until_;
  if (window_open || waiting_bytes_ >= limits::change_batch_bytes) flush(now, out);
}

void PersistFeed::on_time(TimeMs now, std::vector<MessageData>& out) {
  if (now >= held_until_) flush(now, out);
}

std::optional<TimeMs> PersistFeed::deadline() const {
  if (waiting_.empty()) return std::nullopt;
  return held_until_;
}

void PersistFeed::flush(TimeMs now, std::vector<MessageData>& out) {
  if (waiting_.empty()) return;
  started_ = true;
  held_until_ = now + limits::change_batch_delay_ms;
  while (!waiting_.empty()) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < waiting_.size()) {
      const std::size_t more = waiting_[count]->size();
      if (count > 0 && bytes + more > limits::change_batch_bytes) break;
      bytes += more;
      ++count;
    }
    out.push_back(take_batch(count, bytes));
  }
}

MessageData PersistFeed::take_batch(std::size_t count, std::size_t bytes) {
  constexpr std::size_t kHead = 5;
  Bytes raw;
  raw.reserve(kHead + bytes);
  append_msgpack_array(raw, static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) append(raw, *waiting_[i]);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  waiting_bytes_ -= bytes;
  return numbered(std::move(raw), next_number_++);
}

}  // namespace conat::persist_parts
