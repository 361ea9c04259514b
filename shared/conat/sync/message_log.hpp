// Messages of a stream in the order of their sequence numbers, by index, by number, and compactly.
//
// One allocation for each message. Appending and erasing take constant time amortized (erasing in
// the middle O(log n)), at() O(log n) at most, and constant time while nothing was erased but at
// the front; memory is linear in what is there. Views are valid until the log changes.
// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "conat/sync/stream_message.hpp"

namespace conat {

class MessageLog {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  struct Entry {
    StreamSequence seq = 0;
    UnixMs time = 0;
    std::optional<std::string_view> key;
    PayloadEncoding encoding = PayloadEncoding::msgpack;
    ByteView raw;
    ByteView headers;
  };

  std::size_t size() const { return slots_.size() - first_ - holes_; }
  // Of all payloads.
  std::uint64_t bytes() const { return bytes_; }
  // `index` is below size().
  Entry at(std::size_t index) const;
  std::size_t index_of(StreamSequence seq) const;  // none: not there
  std::optional<Entry> find(StreamSequence seq) const;
  // The index of the first message with this number or a higher one; size() when there is none.
  std::size_t lower_bound(StreamSequence seq) const;

  // The number is higher than all that are there.
  void append(const StreamMessage& message);
  // Ascending, none of them there yet; anywhere. Takes O(size) unless all are higher.
  void insert(const std::vector<const StreamMessage*>& messages);
  bool erase(StreamSequence seq);

 private:
  struct Record {
    UnixMs time;
    std::uint32_t key_size;
    std::uint32_t raw_size;
    std::uint32_t headers_size;
    PayloadEncoding encoding;
    bool keyed;

    std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
  };
  struct Release {
    void operator()(Record* record) const { ::operator delete(record); }
  };
  // Without a record: a hole.
  struct Slot {
    StreamSequence seq;
    std::unique_ptr<Record, Release> record;
  };

  static Slot make(const StreamMessage& message);
  static Entry entry_of(const Slot& slot);
  std::size_t slot_from(StreamSequence seq) const;
  std::size_t slot_at(std::size_t index) const;
  std::size_t live_before(std::size_t slot) const;
  void count_slots();
  void count_appended();
  void count_erased(std::size_t slot);
  void drop_last_holes();
  void compact();

  std::vector<Slot> slots_;  // ascending
  std::size_t first_ = 0;    // so many slots at the front are holes
  std::size_t holes_ = 0;    // behind those
  // Live slots as a Fenwick tree, from the first hole in the middle until it is compacted away.
  bool counted_ = false;
  std::vector<std::uint32_t> tree_;
  std::uint64_t bytes_ = 0;
};

}  // namespace conat
