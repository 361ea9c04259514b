#include "outbox.hpp"

#include <utility>
#include <variant>

namespace conat {
namespace {

constexpr std::uint32_t far_bit = 0x8000'0000u;
// A buffer beyond this is given back after its batch.
constexpr std::size_t keep_capacity_bytes = 1u << 20;

}  // namespace

void RecordWriter::clear() {
  far_.clear();
  if (bytes_.capacity() > keep_capacity_bytes) bytes_ = Bytes();
  bytes_.clear();
}

void RecordWriter::begin(Record kind) {
  start_ = bytes_.size();
  u32(0);
  u8(static_cast<std::uint8_t>(kind));
}

void RecordWriter::end() {
  const auto size = static_cast<std::uint32_t>(bytes_.size() - start_);
  std::memcpy(bytes_.data() + start_, &size, sizeof size);
}

void RecordWriter::u32(std::uint32_t value) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof value);
  std::memcpy(bytes_.data() + at, &value, sizeof value);
}

void RecordWriter::f64(double value) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof value);
  std::memcpy(bytes_.data() + at, &value, sizeof value);
}

void RecordWriter::near_blob(ByteView bytes) {
  u32(static_cast<std::uint32_t>(bytes.size()));
  append(bytes_, bytes);
}

void RecordWriter::blob(Bytes bytes) {
  if (bytes.size() < far_bytes) {
    near_blob(bytes);
    return;
  }
  far_.push_back(std::move(bytes));
  const Bytes& kept = far_.back();
  u32(static_cast<std::uint32_t>(kept.size()) | far_bit);
  u32(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(kept.data())));
}

void RecordWriter::error(const Error& error) {
  u32(static_cast<std::uint32_t>(error.code.number));
  text(error.code.word);
  text(error.text);
}

void RecordWriter::data(MessageData data) {
  u8(static_cast<std::uint8_t>(data.encoding));
  near_blob(data.headers.encoded());
  blob(std::move(data.raw));
}

void Outbox::add(FabricEffect effect) {
  const auto write_inner = [this](auto& inner) { this->write(std::move(inner)); };
  if (auto* client = std::get_if<ClientEffect>(&effect)) std::visit(write_inner, *client);
  if (auto* socket = std::get_if<SocketEffect>(&effect)) std::visit(write_inner, *socket);
  if (auto* dkv = std::get_if<DkvEffect>(&effect)) std::visit(write_inner, *dkv);
  if (auto* stream = std::get_if<StreamClientEffect>(&effect)) std::visit(write_inner, *stream);
  if (auto* log = std::get_if<CoreStreamEffect>(&effect)) std::visit(write_inner, *log);
  if (auto* dstream = std::get_if<DStreamEffect>(&effect)) std::visit(write_inner, *dstream);
}

void Outbox::optional_error(const std::optional<Error>& error) {
  writer_.flag(!error);
  if (error) writer_.error(*error);
}

void Outbox::opened(Record kind, std::uint32_t store, const std::optional<Error>& error) {
  writer_.begin(kind);
  writer_.u32(store);
  optional_error(error);
  writer_.end();
}

void Outbox::connection(Record kind, std::uint32_t store, bool connected) {
  writer_.begin(kind);
  writer_.u32(store);
  writer_.flag(connected);
  writer_.end();
}

void Outbox::outcome(Record kind, std::uint32_t store, CallId call,
                     const std::optional<Error>& error) {
  writer_.begin(kind);
  writer_.u32(store);
  writer_.f64(static_cast<double>(call));
  optional_error(error);
  writer_.end();
}

void Outbox::stable(Record kind, std::uint32_t store) {
  writer_.begin(kind);
  writer_.u32(store);
  writer_.end();
}

void Outbox::value(std::optional<EncodedValue> value) {
  writer_.flag(value.has_value());
  if (!value) return;
  writer_.u8(static_cast<std::uint8_t>(value->encoding));
  writer_.blob(std::move(value->raw));
}

void Outbox::reply(Result<Message> reply, bool last) {
  writer_.flag(last);
  writer_.flag(reply.ok());
  if (!reply) {
    writer_.error(reply.error());
    return;
  }
  writer_.text(reply->subject);
  writer_.data(std::move(reply->data));
}

// ---- transport and connection ----

void Outbox::write(client_effect::OpenTransport) {
  writer_.begin(Record::open_transport);
  writer_.end();
}

void Outbox::write(client_effect::SendMessages effect) {
  for (WireMessage& message : effect.messages) {
    writer_.begin(Record::send);
    writer_.flag(message.binary);
    writer_.blob(std::move(message.payload));
    writer_.end();
  }
}

void Outbox::write(client_effect::CloseTransport) {
  writer_.begin(Record::close_transport);
  writer_.end();
}

void Outbox::write(client_effect::StateChanged effect) {
  writer_.begin(Record::state);
  writer_.u8(static_cast<std::uint8_t>(effect.state));
  writer_.end();
}

void Outbox::write(client_effect::InfoReceived effect) {
  writer_.begin(Record::info);
  writer_.flag(effect.signed_in);
  writer_.blob(std::move(effect.info));
  writer_.end();
}

void Outbox::write(client_effect::AuthNeeded) {
  writer_.begin(Record::auth_needed);
  writer_.end();
}

void Outbox::write(client_effect::MessageDiscarded effect) {
  writer_.begin(Record::message_discarded);
  writer_.text(effect.subject);
  writer_.end();
}

// ---- messaging ----

void Outbox::write(client_effect::SubscribeDone effect) {
  writer_.begin(Record::subscribe_done);
  writer_.u32(effect.subscription);
  optional_error(effect.error);
  writer_.end();
}

void Outbox::write(client_effect::SubscriptionEnded effect) {
  writer_.begin(Record::subscription_ended);
  writer_.u32(effect.subscription);
  writer_.error(effect.error);
  writer_.end();
}

void Outbox::write(client_effect::MessageArrived effect) {
  writer_.begin(Record::message);
  writer_.u32(effect.subscription);
  writer_.text(effect.message.subject);
  writer_.data(std::move(effect.message.data));
  writer_.end();
}

void Outbox::write(client_effect::PublishDone effect) {
  writer_.begin(Record::publish_done);
  writer_.f64(static_cast<double>(effect.call));
  writer_.flag(effect.result.ok());
  if (effect.result) {
    writer_.f64(static_cast<double>(effect.result->bytes));
    writer_.f64(static_cast<double>(effect.result->count));
  } else {
    writer_.error(effect.result.error());
  }
  writer_.end();
}

void Outbox::write(client_effect::ReplyArrived effect) {
  writer_.begin(Record::reply);
  writer_.f64(static_cast<double>(effect.call));
  reply(std::move(effect.reply), effect.last);
  writer_.end();
}

void Outbox::write(client_effect::RequestDelivered effect) {
  writer_.begin(Record::request_delivered);
  writer_.f64(static_cast<double>(effect.call));
  writer_.end();
}

void Outbox::write(client_effect::InterestDone effect) {
  writer_.begin(Record::interest_done);
  writer_.f64(static_cast<double>(effect.call));
  writer_.flag(effect.interest.ok());
  if (effect.interest) {
    writer_.flag(*effect.interest);
  } else {
    writer_.error(effect.interest.error());
  }
  writer_.end();
}

void Outbox::write(client_effect::ServerAnswered effect) {
  writer_.begin(Record::server_answered);
  writer_.f64(static_cast<double>(effect.call));
  writer_.flag(effect.answer.ok());
  if (effect.answer) {
    writer_.blob(std::move(*effect.answer));
  } else {
    writer_.error(effect.answer.error());
  }
  writer_.end();
}

// ---- key-value stores ----

void Outbox::write(dkv_effect::Opened effect) {
  opened(Record::dkv_opened, effect.dkv, effect.error);
}

void Outbox::write(dkv_effect::Change effect) {
  writer_.begin(Record::dkv_change);
  writer_.u32(effect.dkv);
  writer_.text(effect.key);
  value(std::move(effect.value));
  value(std::move(effect.previous));
  writer_.end();
}

void Outbox::write(dkv_effect::Rejected effect) {
  writer_.begin(Record::dkv_rejected);
  writer_.u32(effect.dkv);
  writer_.text(effect.key);
  value(std::move(effect.value));
  writer_.error(effect.error);
  writer_.end();
}

void Outbox::write(dkv_effect::Stable effect) { stable(Record::dkv_stable, effect.dkv); }

void Outbox::write(dkv_effect::ConnectionChanged effect) {
  connection(Record::dkv_connection, effect.dkv, effect.connected);
}

void Outbox::write(dkv_effect::MergeNeeded effect) {
  writer_.begin(Record::dkv_merge);
  writer_.u32(effect.dkv);
  writer_.u32(effect.merge);
  writer_.text(effect.key);
  value(std::move(effect.local));
  value(std::move(effect.remote));
  value(std::move(effect.previous));
  writer_.end();
}

void Outbox::write(dkv_effect::Saved effect) {
  outcome(Record::dkv_saved, effect.dkv, effect.call, effect.error);
}

// ---- streams ----

// Streams of JavaScript do not follow everything: those of the core's stores do.
void Outbox::write(stream_client_effect::Snapshot) {}

void Outbox::write(stream_client_effect::Changes effect) {
  writer_.begin(Record::stream_changes);
  writer_.u32(effect.stream);
  for (StreamUpdate& update : effect.changes) {
    writer_.flag(update.is_delete);
    if (update.is_delete) {
      writer_.u32(static_cast<std::uint32_t>(update.deleted.size()));
      for (const StreamSequence seq : update.deleted) writer_.f64(static_cast<double>(seq));
    } else {
      message(std::move(update.message));
    }
  }
  writer_.end();
}

void Outbox::message(StreamMessage message) {
  writer_.f64(static_cast<double>(message.seq));
  writer_.f64(static_cast<double>(message.time));
  writer_.flag(message.key.has_value());
  if (message.key) writer_.text(*message.key);
  writer_.data(MessageData{message.encoding, std::move(message.raw), std::move(message.headers)});
  writer_.text(message.message_id);
}

void Outbox::write(stream_client_effect::Failed effect) {
  writer_.begin(Record::stream_failed);
  writer_.u32(effect.stream);
  writer_.error(effect.error);
  writer_.end();
}

void Outbox::write(stream_client_effect::ConnectionChanged effect) {
  writer_.begin(Record::stream_connection);
  writer_.u32(effect.stream);
  writer_.flag(effect.connected);
  writer_.u8(static_cast<std::uint8_t>(effect.follow));
  writer_.end();
}

void Outbox::write(stream_client_effect::Answer effect) {
  writer_.begin(Record::stream_answer);
  writer_.u32(effect.stream);
  writer_.f64(static_cast<double>(effect.call));
  writer_.flag(effect.last);
  writer_.flag(effect.reply.ok());
  if (effect.reply) {
    writer_.data(std::move(*effect.reply));
  } else {
    writer_.error(effect.reply.error());
  }
  writer_.end();
}

// ---- sockets ----

void Outbox::write(socket_effect::ServerStateChanged effect) {
  writer_.begin(Record::socket_server_state);
  writer_.u32(effect.server);
  writer_.u8(static_cast<std::uint8_t>(effect.state));
  optional_error(effect.error);
  writer_.end();
}

void Outbox::write(socket_effect::ServerNeeded effect) {
  writer_.begin(Record::socket_server_needed);
  writer_.u32(effect.socket);
  writer_.end();
}

void Outbox::write(socket_effect::Command effect) {
  writer_.begin(Record::socket_command);
  writer_.u32(effect.server);
  writer_.u32(effect.socket);
  writer_.text(effect.message.subject);
  writer_.data(std::move(effect.message.data));
  writer_.end();
}

void Outbox::write(socket_effect::Connected effect) {
  writer_.begin(Record::socket_connected);
  writer_.u32(effect.server);
  writer_.u32(effect.socket);
  writer_.text(effect.subject);
  writer_.end();
}

void Outbox::write(socket_effect::StateChanged effect) {
  writer_.begin(Record::socket_state);
  writer_.u32(effect.socket);
  writer_.u8(static_cast<std::uint8_t>(effect.state));
  writer_.end();
}

void Outbox::write(socket_effect::Data effect) {
  writer_.begin(Record::socket_data);
  writer_.u32(effect.socket);
  writer_.data(std::move(effect.data));
  writer_.end();
}

void Outbox::write(socket_effect::Request effect) {
  writer_.begin(Record::socket_request);
  writer_.u32(effect.socket);
  writer_.text(effect.reply_subject);
  writer_.data(std::move(effect.data));
  writer_.end();
}

void Outbox::write(socket_effect::Drained effect) {
  writer_.begin(Record::socket_drained);
  writer_.u32(effect.socket);
  writer_.end();
}

void Outbox::write(socket_effect::ReplyArrived effect) {
  writer_.begin(Record::socket_reply);
  writer_.u32(effect.socket);
  writer_.f64(static_cast<double>(effect.call));
  reply(std::move(effect.reply), effect.last);
  writer_.end();
}

void Outbox::write(socket_effect::RequestDelivered effect) {
  writer_.begin(Record::socket_request_delivered);
  writer_.u32(effect.socket);
  writer_.f64(static_cast<double>(effect.call));
  writer_.end();
}

void Outbox::write(socket_effect::Ended effect) {
  writer_.begin(Record::socket_ended);
  writer_.u32(effect.socket);
  writer_.end();
}

}  // namespace conat
