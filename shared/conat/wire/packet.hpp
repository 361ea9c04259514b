// Engine.IO v4 and Socket.IO v5 packets in both encodings, decoded only as far as needed.
//
// `text` is what every socket.io-client does by default (JSON header, binary attachments as
// frames of their own); `msgpack` is what socket.io-msgpack-parser does (one binary frame holding
// a map). A PacketReader belongs to one direction of one connection and collects attachments.
// Text messages must be UTF-8, as a WebSocketReader hands them out.
// Thread safety: none, one reader per connection; the free functions are pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/websocket.hpp"

namespace conat {

enum class PacketEncoding : std::uint8_t { text, msgpack };

enum class PacketKind : std::uint8_t {
  // Engine.IO
  engine_open,
  engine_close,
  engine_ping,
  engine_pong,
  engine_noop,
  // Socket.IO
  connect,
  disconnect,
  event,
  ack,
  connect_error,
};

// One packet. Views point into the message handed to read() and into the reader's attachments;
// they are valid until the next call of read().
struct PacketView {
  PacketKind kind = PacketKind::engine_noop;
  PacketEncoding encoding = PacketEncoding::text;
  std::string_view nsp = "/";
  std::optional<std::uint64_t> ack_id;
  // event: its name. Text with escapes is decoded into the reader's scratch space.
  std::string_view name;
  // event: the arguments after the name; ack: the arguments; connect, connect_error, engine_open:
  // the data as one element (count 0 when absent). Still encoded: JSON elements with the commas
  // between them, or MessagePack elements back to back. Checked to be well-formed.
  ByteView arguments;
  std::uint32_t argument_count = 0;
  // text encoding: the binary attachments. The reader has put the placeholders in `arguments` into
  // their canonical form, numbered in order of appearance, each attachment used exactly once.
  std::span<const ByteView> attachments;
};

class PacketReader {
 public:
  enum class Step : std::uint8_t { packet, need_attachments, error };

  // Takes one WebSocket message. The encoding is unknown until the CONNECT packet came (server) or
  // set_encoding was called (client); a connection that mixes encodings is an error. Engine.IO's
  // own packets may come at any time, even between an event and its attachments.
  Step read(bool binary, ByteView message);
  const PacketView& packet() const { return packet_; }
  std::string_view error_text() const { return error_; }

  std::optional<PacketEncoding> encoding() const { return encoding_; }
  void set_encoding(PacketEncoding encoding) { encoding_ = encoding; }
  // Bound on the bytes of the attachments of one packet together.
  void set_max_attachment_bytes(std::size_t bytes) { max_attachment_bytes_ = bytes; }
  // Drops what is kept for reuse, when the packet was handled and nothing more is at hand. Cheap
  // when there is little of it.
  void release_buffers();

 private:
  Step read_engine(std::string_view text);
  Step read_socket_text(std::string_view text);
  bool read_text_head(std::string_view text, std::size_t& position, bool binary);
  Step read_text_body(std::uint8_t type, std::string_view body);
  Step read_text_arguments(std::string_view body, bool event);
  Step read_text_data(std::string_view body, bool text_allowed);
  Step read_attachment(ByteView message);
  Step complete();
  bool normalize();
  Step read_msgpack(ByteView message);
  Step read_msgpack_body(std::uint64_t type, ByteView data);
  Step fail(const char* text);

  PacketView packet_;
  std::string error_;
  std::optional<PacketEncoding> encoding_;
  std::size_t max_attachment_bytes_ = limits::max_payload_bytes;

  // A text packet that waits for its attachments.
  bool waiting_ = false;
  bool irregular_ = false;      // its placeholders have to be put in order
  std::uint32_t expected_ = 0;  // how many attachments its head announced
  std::size_t attachment_bytes_ = 0;
  PacketView held_;
  std::string held_text_;
  // All but the last are copied; the last one is seen where it was read.
  std::vector<Bytes> kept_attachments_;
  std::vector<ByteView> attachments_;
  std::string name_;        // a name with escapes, decoded
  std::string normalized_;  // arguments whose placeholders were put in order
};

// Names that Socket.IO keeps for itself: a packet that uses one as its event's name is malformed,
// so that no subscription to such a pattern can be served.
bool is_reserved_event(std::string_view name);

// Decodes the arguments of a packet, attachments put in place of their placeholders.
Result<Value::Array> decode_arguments(const PacketView& packet);

// The head of a message: what the broker must know of a publish's tail.
struct MessageHead {
  // Empty when the tail has none. In text as it is written: escapes are not decoded.
  std::string_view id;
  std::uint64_t sequence = 0;
  bool done = true;
};

// What follows the subject in a publish, still encoded: id, seq, done, encoding, raw, headers.
// Positions beyond the headers are cut off. It is what a delivery's `data` array holds.
struct Tail {
  PacketEncoding encoding = PacketEncoding::text;
  ByteView elements;
  std::uint32_t count = 0;
  // Text encoding: one for each placeholder in `elements`, in order of appearance.
  std::span<const ByteView> attachments;
  MessageHead head;
};

// A publish or a delivery, split into subject and tail. Views as in PacketView.
struct PublishView {
  std::string_view subject;
  Tail tail;
};

// `publish` (server side): ONE argument, an array [subject, ...tail]. The error's text is what the
// acknowledgement carries.
Result<PublishView> parse_publish(const PacketView& packet, Bytes& scratch);
// A delivery (client side): ONE argument {subject, data:[...tail]}; packet.name is the pattern.
Result<PublishView> parse_delivery(const PacketView& packet, Bytes& scratch);

// The tail decoded into what a client needs. `raw` views the packet; headers are MessagePack
// bytes (converted from JSON when the encoding is text; empty when absent or falsy).
struct TailFields {
  std::string_view id;
  std::uint64_t sequence = 0;
  bool done = true;
  std::uint8_t payload_encoding = 0;  // 255 when it is no number that fits
  ByteView raw;
  Bytes headers;
  // Holds `raw` when it is text with escapes.
  std::unique_ptr<std::string> unescaped;
};
Result<TailFields> parse_tail(const Tail& tail);

// ---- Writing: WebSocket messages (clients), or framed for the server (hot path) ----

// A delivery, framed for a WebSocket server in one buffer; the tail is spliced verbatim when the
// encodings agree and converted otherwise. Fails for a pattern that is a reserved event name, and
// when the tail cannot be converted (a MessagePack map with keys that are no text).
Result<SharedBytes> frame_delivery(PacketEncoding encoding, std::string_view pattern,
                                   std::string_view subject, const Tail& tail);
// {count} as an acknowledgement, framed for a WebSocket server.
SharedBytes frame_count_ack(PacketEncoding encoding, std::uint64_t ack_id, std::uint64_t count);

// Any packet as the WebSocket messages it takes (one, plus one for each attachment).
using WireMessages = std::vector<WireMessage>;
WireMessages encode_event(PacketEncoding encoding, std::string_view name,
                          const Value::Array& arguments, std::optional<std::uint64_t> ack_id);
WireMessages encode_ack(PacketEncoding encoding, std::uint64_t ack_id,
                        const Value::Array& arguments);
WireMessages encode_connect(PacketEncoding encoding, const Value& data);  // null data: none
WireMessages encode_connect_error(PacketEncoding encoding, std::string_view message,
                                  std::string_view nsp);
WireMessages encode_disconnect(PacketEncoding encoding);
WireMessage encode_engine_open(std::string_view sid, std::int64_t ping_interval_ms,
                               std::int64_t ping_timeout_ms, std::size_t max_payload_bytes);
WireMessage encode_engine_ping();
WireMessage encode_engine_pong();

// One chunk of a publish, from a client, without building Values.
struct PublishChunk {
  std::string_view subject;
  std::string_view id;
  std::uint64_t sequence = 0;
  bool done = true;
  PayloadEncoding payload_encoding = PayloadEncoding::msgpack;
  ByteView raw;
  ByteView headers;  // MessagePack bytes, empty when there are none
};
WireMessages encode_publish(PacketEncoding encoding, const PublishChunk& chunk,
                            std::optional<std::uint64_t> ack_id);

}  // namespace conat
