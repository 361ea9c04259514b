// What goes out to JavaScript, as compact records back to back in one run of bytes, so that a whole
// batch crosses the boundary with one call and is copied once.
//
// All numbers are little-endian and unaligned. A record is
//     u32 size      of the whole record, these four bytes included
//     u8  kind      records.def
//     ...           the fields below
// and its fields are made of
//     id     u32              a subscription, store, socket or owner
//     call   f64              a CallId (a whole number below 2^53)
//     flag   u8               0 or 1
//     blob   u32 length, then the bytes. A length with the top bit set (`far`): the rest of it is
//     the
//            length and u32 follows, the address of the bytes in WASM memory, valid until the next
//            drain. That is how large payloads are not copied twice.
//     text   blob, UTF-8
//     error  i32 number, text word, text text
//     value  u8 present, and if 1: u8 encoding, blob raw
//     data   u8 encoding, blob headers (MessagePack, empty: none), blob raw
//
//     open_transport, close_transport   nothing
//     send                  flag binary, blob payload
//     state                 u8 ClientState
//     info                  flag signed_in, blob info (MessagePack)
//     subscribe_done        id subscription, flag ok, [error]
//     subscription_ended    id subscription, error
//     message               id subscription, text subject, data
//     publish_done          call, flag ok, f64 bytes and f64 count | error
//     reply                 call, flag last, flag ok, text subject and data | error
//     interest_done         call, flag ok, flag interest | error
//     server_answered       call, flag ok, blob answer (MessagePack) | error
//     request_delivered     call
//     auth_needed           nothing
//     message_discarded     text subject
//     dkv_opened            id dkv, flag ok, [error]
//     dkv_change            id dkv, text key, value, value previous
//     dkv_rejected          id dkv, text key, value, error
//     dkv_stable            id dkv
//     dkv_connection        id dkv, flag connected
//     dkv_merge             id dkv, id merge, text key, value local, value remote, value previous
//     dkv_saved             id dkv, call, flag ok, [error]
//     stream_answer         id stream, call, flag last, flag ok, data | error
//     stream_changes        id stream, then until the record ends: flag is_delete, and
//                           u32 count and as many f64 | f64 seq, f64 time, flag keyed, [text key],
//                           data, text message_id
//     stream_connection     id stream, flag connected, u8 StreamFollow
//     stream_failed         id stream, error
//     core_stream_opened    id stream, flag ok, [error]
//     core_stream_change    id stream, flag is_delete, f64 seq, f64 time, flag keyed, [text key],
//                           flag tombstone, data, value previous, text message_id
//     core_stream_connection, core_stream_loaded   as dkv_connection and dkv_saved
//     dstream_opened, dstream_change, dstream_connection, dstream_loaded   as for core streams
//     dstream_saved, dstream_stable   as for key-value stores
//     dstream_rejected      id stream, value, error
//     socket_connected      id server, id socket, text subject
//     socket_state          id socket, u8 SocketState
//     socket_data           id socket, data
//     socket_request        id socket, text reply_subject, data
//     socket_drained        id socket
//     socket_reply          id socket, call, flag last, flag ok, text subject and data | error
//     socket_request_delivered  id socket, call
//     socket_ended          id socket
//     socket_server_state   id server, u8 SocketState, flag ok, [error]
//     socket_server_needed  id socket
//     socket_command        id server, id socket, text subject, data
//
// Thread safety: none. Invariant: bytes() stays valid until the next call of clear() or add().
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/fabric/fabric.hpp"

namespace conat {

enum class Record : std::uint8_t {
#define CONAT_RECORD(name, number) name = number,
#include "records.def"
#undef CONAT_RECORD
};

// Appends fields in the encodings above.
class RecordWriter {
 public:
  // Blobs of at least this many bytes stay where they are and cross as `far` references.
  static constexpr std::size_t far_bytes = 8192;

  const Bytes& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  // Also lets go of the far blobs, and of an unusually large buffer.
  void clear();

  void begin(Record kind);
  void end();

  void flag(bool value) { u8(value ? 1 : 0); }
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u32(std::uint32_t value);
  void f64(double value);
  void raw(ByteView bytes) { append(bytes_, bytes); }  // without a length
  void near_blob(ByteView bytes);
  // Takes the bytes over when they are large.
  void blob(Bytes bytes);
  void text(std::string_view value) { near_blob(as_bytes(value)); }
  void error(const Error& error);
  void data(MessageData data);

 private:
  Bytes bytes_;
  std::size_t start_ = 0;  // of the record being written
  std::vector<Bytes> far_;
};

class Outbox {
 public:
  const Bytes& bytes() const { return writer_.bytes(); }
  std::size_t size() const { return writer_.size(); }
  void clear() { writer_.clear(); }
  void add(FabricEffect effect);

 private:
  void write(client_effect::OpenTransport effect);
  void write(client_effect::SendMessages effect);
  void write(client_effect::CloseTransport effect);
  void write(client_effect::StateChanged effect);
  void write(client_effect::InfoReceived effect);
  void write(client_effect::AuthNeeded effect);
  void write(client_effect::MessageDiscarded effect);
  void write(client_effect::SubscribeDone effect);
  void write(client_effect::SubscriptionEnded effect);
  void write(client_effect::MessageArrived effect);
  void write(client_effect::PublishDone effect);
  void write(client_effect::ReplyArrived effect);
  void write(client_effect::RequestDelivered effect);
  void write(client_effect::InterestDone effect);
  void write(client_effect::ServerAnswered effect);
  void write(socket_effect::ServerStateChanged effect);
  void write(socket_effect::ServerNeeded effect);
  void write(socket_effect::Command effect);
  void write(socket_effect::Connected effect);
  void write(socket_effect::StateChanged effect);
  void write(socket_effect::Data effect);
  void write(socket_effect::Request effect);
  void write(socket_effect::Drained effect);
  void write(socket_effect::ReplyArrived effect);
  void write(socket_effect::RequestDelivered effect);
  void write(socket_effect::Ended effect);
  void write(dkv_effect::Opened effect);
  void write(dkv_effect::Change effect);
  void write(dkv_effect::Rejected effect);
  void write(dkv_effect::Stable effect);
  void write(dkv_effect::ConnectionChanged effect);
  void write(dkv_effect::MergeNeeded effect);
  void write(dkv_effect::Saved effect);
  void write(stream_client_effect::Snapshot effect);
  void write(stream_client_effect::Changes effect);
  void write(stream_client_effect::Failed effect);
  void write(stream_client_effect::ConnectionChanged effect);
  void write(stream_client_effect::Answer effect);
  void write(core_stream_effect::Opened effect);
  void write(core_stream_effect::Change effect);
  void write(core_stream_effect::ConnectionChanged effect);
  void write(core_stream_effect::Loaded effect);
  void write(dstream_effect::Opened effect);
  void write(dstream_effect::Change effect);
  void write(dstream_effect::Rejected effect);
  void write(dstream_effect::Stable effect);
  void write(dstream_effect::ConnectionChanged effect);
  void write(dstream_effect::Saved effect);
  void write(dstream_effect::Loaded effect);

  void optional_error(const std::optional<Error>& error);
  void value(std::optional<EncodedValue> value);
  void reply(Result<Message> reply, bool last);
  void message(StreamMessage message);
  void opened(Record kind, std::uint32_t store, const std::optional<Error>& error);
  void connection(Record kind, std::uint32_t store, bool connected);
  void outcome(Record kind, std::uint32_t store, CallId call, const std::optional<Error>& error);
  void stable(Record kind, std::uint32_t store);
  void change(Record kind, std::uint32_t stream, StreamLogChange change);

  RecordWriter writer_;
};

}  // namespace conat
