#include "conat/session/client_session.hpp"

#include <algorithm>
#include <utility>

#include "conat/base/limits.hpp"
#include "conat/wire/codec.hpp"

namespace conat {
namespace {

// A server may announce any interval; beyond a day it is the same as none.
constexpr std::int64_t kMaxIntervalMs = 24 * 3600 * 1000;
// Likewise for messages: a gigabyte is all that is ever collected for one.
constexpr std::int64_t kMaxAttachmentBytes = 1 << 30;

std::int64_t interval(const Value& open, std::string_view key, std::int64_t otherwise) {
  const Value* value = open.find(key);
  if (value == nullptr) return otherwise;
  return std::clamp<std::int64_t>(value->integer_or(otherwise), 1, kMaxIntervalMs);
}

}  // namespace

ClientSession::ClientSession(TimeMs now, PacketEncoding encoding, Value auth)
    : encoding_(encoding),
      auth_(std::move(auth)),
      silence_limit_ms_(limits::ping_interval_ms + limits::ping_timeout_ms),
      deadline_(now + limits::client_connect_timeout_ms) {
  reader_.set_encoding(encoding);
}

ClientSession::Step ClientSession::read(TimeMs now, bool binary, ByteView message,
                                        WireMessages& out) {
  switch (reader_.read(binary, message)) {
    case PacketReader::Step::packet:
      break;
    case PacketReader::Step::need_attachments:
      return Step::none;
    case PacketReader::Step::error:
      return Step::broken;
  }
  switch (reader_.packet().kind) {
    case PacketKind::engine_open:
      return on_engine_open(now, out);
    case PacketKind::engine_close:
      return Step::broken;
    case PacketKind::engine_ping:
      if (phase_ == Phase::awaiting_open) return Step::broken;
      last_ping_ = now;
      if (phase_ == Phase::connected) deadline_ = now + silence_limit_ms_;
      out.push_back(encode_engine_pong());
      return Step::none;
    case PacketKind::engine_pong:
    case PacketKind::engine_noop:
      return Step::none;
    case PacketKind::connect:
      return on_connect(now);
    case PacketKind::connect_error:
      return phase_ == Phase::awaiting_connect ? on_connect_error() : Step::broken;
    case PacketKind::disconnect:
      return phase_ == Phase::awaiting_open ? Step::broken : Step::disconnected;
    case PacketKind::event:
      return phase_ == Phase::connected ? Step::event : Step::broken;
    case PacketKind::ack:
      return phase_ == Phase::connected ? Step::ack : Step::broken;
  }
  return Step::broken;
}

ClientSession::Step ClientSession::on_engine_open(TimeMs now, WireMessages& out) {
  if (phase_ != Phase::awaiting_open) return Step::broken;
  const Result<Value> open = decode_json(as_text(reader_.packet().arguments));
  if (!open.ok() || open->if_map() == nullptr) return Step::broken;
  silence_limit_ms_ = interval(*open, "pingInterval", limits::ping_interval_ms) +
                      interval(*open, "pingTimeout", limits::ping_timeout_ms);
  if (const Value* max_payload = open->find("maxPayload")) {
    const auto least = static_cast<std::int64_t>(limits::max_payload_bytes);
    reader_.set_max_attachment_bytes(static_cast<std::size_t>(
        std::clamp(max_payload->integer_or(least), least, kMaxAttachmentBytes)));
  }
  last_ping_ = now;
  phase_ = Phase::awaiting_connect;
  for (WireMessage& message : encode_connect(encoding_, auth_)) out.push_back(std::move(message));
  auth_ = Value();
  return Step::none;
}

ClientSession::Step ClientSession::on_connect(TimeMs) {
  if (phase_ != Phase::awaiting_connect) return Step::broken;
  const Result<Value::Array> data = decode_arguments(reader_.packet());
  if (!data.ok()) return Step::broken;
  if (!data->empty()) {
    if (const Value* sid = data->front().find("sid")) sid_ = std::string(sid->text_or(""));
  }
  phase_ = Phase::connected;
  deadline_ = last_ping_ + silence_limit_ms_;
  return Step::connected;
}

ClientSession::Step ClientSession::on_connect_error() {
  const Result<Value::Array> data = decode_arguments(reader_.packet());
  if (data.ok() && !data->empty()) {
    if (const Value* text = data->front().find("message")) {
      error_text_ = std::string(text->text_or(""));
    }
  }
  return Step::refused;
}

}  // namespace conat
