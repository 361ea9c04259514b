#include "net/write_queue.hpp"

#include <algorithm>
#include <cstring>

namespace conat::net {
namespace {

// Kept for the next burst; a larger vector is released when it has run empty.
constexpr std::size_t kept_capacity = 512;
// From this size on a buffer is given back before its last bytes are written.
constexpr std::size_t worth_trimming_bytes = 64 * 1024;

iovec part_of(const std::uint8_t* data, std::size_t size) {
  return {const_cast<std::uint8_t*>(data), size};
}

}  // namespace

WriteQueue::Batch WriteQueue::gather(std::span<iovec, max_parts> parts,
                                     std::span<std::uint8_t> scratch) const {
  Batch batch;
  std::size_t used = 0;   // of scratch
  bool joinable = false;  // the last part ends where the free scratch begins
  std::size_t skip = offset_;
  for (std::size_t i = head_; i < items_.size(); ++i) {
    const std::uint8_t* data = items_[i].data() + skip;
    const std::size_t size = items_[i].size() - skip;
    skip = 0;
    const bool alone = i == head_ && i + 1 == items_.size();
    if (size < copy_below_bytes && !alone) {
      if (size > scratch.size() - used) break;
      if (!joinable) {
        if (batch.parts == max_parts) break;
        parts[batch.parts++] = part_of(scratch.data() + used, 0);
        joinable = true;
      }
      std::memcpy(scratch.data() + used, data, size);
      used += size;
      parts[batch.parts - 1].iov_len += size;
    } else {
      if (batch.parts == max_parts) break;
      parts[batch.parts++] = part_of(data, size);
      joinable = false;
    }
    batch.bytes += size;
  }
  return batch;
}

std::size_t WriteQueue::copy(std::span<std::uint8_t> target) const {
  std::size_t used = 0;
  std::size_t skip = offset_;
  for (std::size_t i = head_; i < items_.size() && used < target.size(); ++i) {
    const std::size_t size = std::min(items_[i].size() - skip, target.size() - used);
    std::memcpy(target.data() + used, items_[i].data() + skip, size);
    used += size;
    skip = 0;
  }
  return used;
}

void WriteQueue::consume(std::size_t count) {
  bytes_ -= count;
  count += offset_;
  offset_ = 0;
  while (head_ < items_.size() && count >= items_[head_].size()) {
    count -= items_[head_].size();
    items_[head_] = SharedBytes();
    ++head_;
    started_ = false;
  }
  if (count != 0) {
    started_ = true;
    SharedBytes& rest = items_[head_];
    if (rest.size() >= worth_trimming_bytes && rest.size() - count < copy_below_bytes) {
      rest = SharedBytes::copy_of(rest.view().subspan(count));
    } else {
      offset_ = count;
    }
  }
  if (head_ == items_.size()) {
    items_.clear();
    head_ = 0;
    if (items_.capacity() > kept_capacity) items_ = {};
  } else if (head_ >= 1024 && head_ * 2 >= items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void WriteQueue::clear() {
  items_ = {};
  head_ = offset_ = bytes_ = 0;
  started_ = false;
}

void WriteQueue::drop_unstarted(bool keep_last) {
  if (empty()) return;
  std::vector<SharedBytes> kept;
  if (started_) kept.push_back(items_[head_]);
  const bool last_is_started = started_ && head_ + 1 == items_.size();
  if (keep_last && !last_is_started) kept.push_back(items_.back());
  items_ = std::move(kept);
  head_ = 0;
  bytes_ = 0;
  for (const auto& item : items_) bytes_ += item.size();
  if (started_) bytes_ -= offset_;
}

}  // namespace conat::net
