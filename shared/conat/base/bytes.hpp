// Bytes as the core passes them around: owned, viewed, and shared.
//
// Thread safety: none of these types synchronizes. A SharedBytes and all its copies belong to one
// thread, because its reference count is not atomic: that is what makes a fan-out cheap. To hand
// bytes to another thread, copy or move a Bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conat {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }
inline Bytes to_bytes(std::string_view text) { return to_bytes(as_bytes(text)); }
inline std::string to_string(ByteView view) { return std::string(as_text(view)); }

inline void append(Bytes& target, ByteView view) {
  target.insert(target.end(), view.begin(), view.end());
}
inline void append(Bytes& target, std::string_view text) { append(target, as_bytes(text)); }

// An immutable, reference-counted run of bytes in one allocation. Copying is an increment.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes& other) : block_(other.block_) {
    if (block_ != nullptr) ++block_->references;
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() { release(); }

  // Allocates `size` bytes and calls `fill(std::uint8_t* data)` once to write all of them.
  template <class Fill>
  static SharedBytes build(std::size_t size, Fill&& fill) {
    SharedBytes result;
    result.block_ = static_cast<Block*>(::operator new(sizeof(Block) + size));
    new (result.block_) Block{1, size};
    fill(result.block_->data());
    return result;
  }

  static SharedBytes copy_of(ByteView bytes) {
    return build(bytes.size(), [&](std::uint8_t* data) {
      if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
    });
  }

  const std::uint8_t* data() const { return block_ == nullptr ? nullptr : block_->data(); }
  std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  bool empty() const { return size() == 0; }
  ByteView view() const { return {data(), size()}; }

 private:
  struct Block {
    std::size_t references;
    std::size_t size;
    std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };

  void release() {
    if (block_ != nullptr && --block_->references == 0) ::operator delete(block_);
    block_ = nullptr;
  }

  Block* block_ = nullptr;
};

}  // namespace conat
