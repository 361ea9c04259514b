// What the fuzz targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat::fuzz {

// Unlike assert() in every build: this is what the targets are for.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

// Takes an input apart from its front; gives zeros and nothing when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_[0];
    rest_ = rest_.subspan(1);
    return first;
  }
  ByteView bytes(std::size_t size) {
    const ByteView part = rest_.first(size < rest_.size() ? size : rest_.size());
    rest_ = rest_.subspan(part.size());
    return part;
  }
  // A length of up to two bytes and that many bytes.
  ByteView piece() {
    std::size_t size = byte();
    if (size >= 0x80) size = (size & 0x7f) << 8 | byte();
    return bytes(size);
  }
  std::string_view text() { return as_text(piece()); }
  ByteView rest() { return bytes(rest_.size()); }

 private:
  ByteView rest_;
};

}  // namespace conat::fuzz
