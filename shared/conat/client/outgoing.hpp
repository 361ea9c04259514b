// The way out of a Client while it is connected: events are encoded, acknowledgement ids given out
// and remembered with what they are for.
//
// Acknowledgement ids grow over the whole life of the client, so that an answer to an earlier
// connection's question is never taken for another. Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "conat/client/effect_queue.hpp"
#include "conat/wire/packet.hpp"

namespace conat::client_parts {

enum class AckKind : std::uint8_t {
  chunk,          // of a publish; id: the call
  interest,       // id: the call
  question,       // id: the call
  subscribe,      // one subscription; id: its entry's number
  subscribe_all,  // an array of them; id: the batch
  list,           // the server's view of the subscriptions
  auth,           // of a renewal
};

struct AckTarget {
  AckKind kind = AckKind::chunk;
  std::uint64_t id = 0;
  std::size_t bytes = 0;  // chunk: its payload
};

class Outgoing {
 public:
  explicit Outgoing(EffectQueue& effects) : effects_(effects) {}

  void set_encoding(PacketEncoding encoding) { encoding_ = encoding; }
  PacketEncoding encoding() const { return encoding_; }

  void emit(std::string_view event, const Value::Array& arguments);
  // Returns the acknowledgement id.
  std::uint64_t emit(std::string_view event, const Value::Array& arguments, AckTarget target);
  void publish(const PublishChunk& chunk);
  std::uint64_t publish(const PublishChunk& chunk, AckTarget target);
  // Answers a packet of the server with an empty acknowledgement.
  void acknowledge(std::uint64_t ack_id);

  // What an acknowledgement is for, once; nothing for an unknown id.
  std::optional<AckTarget> take(std::uint64_t ack_id);
  // Forgets the acknowledgements of a call among the ids [first, last].
  void forget(std::uint64_t first, std::uint64_t last, std::uint64_t call);
  // The connection is gone, and with it every answer.
  void reset() { pending_.clear(); }
  std::size_t pending() const { return pending_.size(); }

 private:
  EffectQueue& effects_;
  PacketEncoding encoding_ = PacketEncoding::msgpack;
  std::uint64_t next_ack_ = 0;
  std::unordered_map<std::uint64_t, AckTarget> pending_;
};

}  // namespace conat::client_parts
