#include "conat/wire/chunks.hpp"

#include <algorithm>
#include <cstring>

namespace conat {
namespace {

// What a partial message costs besides its payload, roughly.
constexpr std::size_t kOverheadBytes = 128;

std::string stream_prefix(std::uint64_t stream) {
  std::string prefix(sizeof stream, '\0');
  std::memcpy(prefix.data(), &stream, sizeof stream);
  return prefix;
}

std::string key_of(std::uint64_t stream, std::string_view id) {
  return stream_prefix(stream).append(id);
}

MessageData message_of(const TailFields& last, Bytes raw) {
  return {static_cast<PayloadEncoding>(last.payload_encoding), std::move(raw),
          Headers(last.headers)};
}

}  // namespace

std::size_t chunk_size(std::size_t max_payload_bytes) {
  if (max_payload_bytes < limits::chunk_reserve_bytes + limits::min_chunk_bytes) {
    return limits::min_chunk_bytes;
  }
  return max_payload_bytes - limits::chunk_reserve_bytes;
}

std::optional<MessageData> Reassembler::add(TimeMs now, std::uint64_t stream,
                                            const TailFields& chunk) {
  const bool whole = chunk.sequence == 0 && chunk.done;
  if (whole && partials_.empty()) return message_of(chunk, to_bytes(chunk.raw));
  const std::string key = key_of(stream, chunk.id);
  auto found = partials_.find(key);
  const std::uint64_t expected = found == partials_.end() ? 0 : found->second.next_sequence;
  if (chunk.sequence != expected) {
    ++discarded_;
    if (found != partials_.end()) drop(found);
    if (chunk.sequence != 0) return std::nullopt;
    found = partials_.end();
  }
  if (whole) return message_of(chunk, to_bytes(chunk.raw));
  if (found == partials_.end()) {
    found = partials_.try_emplace(key).first;
    held_bytes_ += kOverheadBytes + key.size();
  }
  Partial& partial = found->second;
  partial.last_chunk = now;
  ++partial.next_sequence;
  append_raw(partial, chunk.raw);
  if (chunk.done) {
    held_bytes_ -= partial.raw.capacity();
    Bytes raw = std::exchange(partial.raw, {});
    drop(found);
    return message_of(chunk, std::move(raw));
  }
  make_room(key);
  return std::nullopt;
}

void Reassembler::append_raw(Partial& partial, ByteView raw) {
  held_bytes_ -= partial.raw.capacity();
  append(partial.raw, raw);
  held_bytes_ += partial.raw.capacity();
}

void Reassembler::drop(Partials::iterator partial) {
  held_bytes_ -= kOverheadBytes + partial->first.size() + partial->second.raw.capacity();
  partials_.erase(partial);
}

// Gives up what waits longest until everything is within the bounds; `spared`, which grew just now,
// goes last.
void Reassembler::make_room(const std::string& spared) {
  while (partials_.size() > limits::max_partial_messages || held_bytes_ > max_bytes_) {
    auto oldest = partials_.end();
    for (auto it = partials_.begin(); it != partials_.end(); ++it) {
      if (it->first == spared) continue;
      if (oldest == partials_.end() || it->second.last_chunk < oldest->second.last_chunk) {
        oldest = it;
      }
    }
    if (oldest == partials_.end()) oldest = partials_.find(spared);
    ++discarded_;
    drop(oldest);
  }
}

void Reassembler::expire(TimeMs now) {
  for (auto it = partials_.begin(); it != partials_.end();) {
    const auto partial = it++;
    if (now - partial->second.last_chunk < limits::partial_message_ttl_ms) continue;
    ++discarded_;
    drop(partial);
  }
}

std::optional<TimeMs> Reassembler::deadline() const {
  std::optional<TimeMs> earliest;
  for (const auto& [key, partial] : partials_) {
    earliest = earlier(earliest, partial.last_chunk + limits::partial_message_ttl_ms);
  }
  return earliest;
}

void Reassembler::forget(std::uint64_t stream) {
  const std::string prefix = stream_prefix(stream);
  for (auto it = partials_.begin(); it != partials_.end();) {
    const auto partial = it++;
    if (partial->first.starts_with(prefix)) drop(partial);
  }
}

void Reassembler::clear() {
  partials_.clear();
  held_bytes_ = 0;
}

}  // namespace conat
