// What one stream has yet to write: shared immutable buffers in order, and how far the first one is
// written already.
//
// gather() prepares one system call: runs of small buffers are joined by copying, large ones are
// named in place. Joining is what makes small messages cheap: the kernel's price for one more piece
// is several times that of copying a hundred bytes.
// Thread safety: none.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "conat/base/bytes.hpp"

namespace conat::net {

class WriteQueue {
 public:
  // Pieces of one system call.
  static constexpr std::size_t max_parts = 64;
  // Smaller buffers are copied, larger ones are written from where they are.
  static constexpr std::size_t copy_below_bytes = 4096;

  struct Batch {
    std::size_t parts = 0;
    std::size_t bytes = 0;
  };

  bool empty() const { return head_ == items_.size(); }
  // Bytes that are not written yet.
  std::size_t bytes() const { return bytes_; }

  void push(SharedBytes bytes) {
    bytes_ += bytes.size();
    items_.push_back(std::move(bytes));
  }
  // Fills `parts` for one write; views into `scratch` and the queue stay valid until consume().
  Batch gather(std::span<iovec, max_parts> parts, std::span<std::uint8_t> scratch) const;
  // Copies from the front until `target` is full or everything is copied; returns how much.
  std::size_t copy(std::span<std::uint8_t> target) const;
  // The first `count` bytes are written. A little that is left of a large buffer is copied, so that
  // it does not keep the rest in memory.
  void consume(std::size_t count);
  void clear();
  // Drops everything but the rest of a buffer that is partly written, and the last one if
  // `keep_last`.
  void drop_unstarted(bool keep_last);
  const SharedBytes& last() const { return items_.back(); }

 private:
  std::vector<SharedBytes> items_;  // from head_ on
  std::size_t head_ = 0;
  std::size_t offset_ = 0;  // written bytes of items_[head_]
  bool started_ = false;    // items_[head_] is partly written, or what is left of one that is
  std::size_t bytes_ = 0;
};

}  // namespace conat::net
