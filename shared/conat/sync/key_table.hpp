// The keys of one store with what the server has for them, in the order of insertion.
//
// Compact: one allocation and 16 to 40 bytes of index for each key besides its own bytes. Every
// operation takes constant time; adding may renumber the slots (amortized), so a Slot is valid
// until the next add() or move_to_end(). A slot may be without a message: a key that only exists
// locally. Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "conat/subject/hash_index.hpp"
#include "conat/sync/stream_message.hpp"

namespace conat {

class KeyTable {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot none = HashIndex::kNone;

  // The server's message of a key. Views into the table, valid until it changes.
  struct Entry {
    std::string_view key;
    StreamSequence seq = 0;  // 0: the server has no message
    UnixMs time = 0;
    PayloadEncoding encoding = PayloadEncoding::msgpack;
    bool tombstone = false;
    ByteView raw;
    ByteView headers;

    bool has_value() const { return seq > 0 && !tombstone; }
  };

  // `seed` keeps others from choosing keys that collide.
  explicit KeyTable(std::uint64_t seed) : seed_(seed) {}

  Slot find(std::string_view key) const;
  Slot find_seq(StreamSequence seq) const;
  Entry entry(Slot slot) const;

  // The caller has made sure that the key is not there yet.
  Slot add(std::string_view key);
  void assign(Slot slot, const StreamMessage& message, bool tombstone);
  void clear_message(Slot slot);
  void erase(Slot slot);
  Slot move_to_end(Slot slot);

  // A flag for the owner: the key has a local change.
  bool pending(Slot slot) const { return slots_[slot]->pending; }
  void set_pending(Slot slot, bool pending) { slots_[slot]->pending = pending; }

  // Another one, for sweeps; assign() and clear_message() take it away.
  bool marked(Slot slot) const { return slots_[slot]->marked; }
  void set_marked(Slot slot, bool marked) { slots_[slot]->marked = marked; }

  // Slots from 0 to slot_count() - 1 in the order of insertion; some are empty.
  Slot slot_count() const { return static_cast<Slot>(slots_.size()); }
  bool occupied(Slot slot) const { return slots_[slot] != nullptr; }
  // Keys that have a message at the server, deleted ones (tombstones) included.
  std::size_t message_count() const { return by_seq_.size(); }

 private:
  struct Record {
    StreamSequence seq;
    UnixMs time;
    std::uint32_t key_hash;
    std::uint32_t key_size;
    std::uint32_t raw_size;
    std::uint32_t headers_size;
    PayloadEncoding encoding;
    bool tombstone;
    bool pending;
    bool marked;

    std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
    std::string_view key() const { return as_text({data(), key_size}); }
  };
  struct Release {
    void operator()(Record* record) const { ::operator delete(record); }
  };
  using RecordPointer = std::unique_ptr<Record, Release>;

  static RecordPointer make(std::string_view key, ByteView raw, ByteView headers);
  static std::uint32_t hash_seq(StreamSequence seq);
  std::uint32_t hash_key(std::string_view key) const;
  Slot append(RecordPointer record);
  void unlink_seq(Slot slot);
  void compact();

  std::uint64_t seed_;
  std::vector<RecordPointer> slots_;
  std::size_t holes_ = 0;
  HashIndex by_key_;
  HashIndex by_seq_;
};

}  // namespace conat
