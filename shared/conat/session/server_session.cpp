#include "conat/session/server_session.hpp"

#include <algorithm>

namespace conat {
namespace {

constexpr std::string_view kMainNamespace = "/";

void send(const WireMessages& messages, ServerSession::Output& output) {
  output.push_back(websocket_frames(messages));
}

void send(const WireMessage& message, ServerSession::Output& output) {
  output.push_back(websocket_frame(message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                                   message.payload));
}

}  // namespace

const char* session_end_text(SessionEnd end) {
  switch (end) {
    case SessionEnd::none:
      return "open";
    case SessionEnd::peer_closed:
      return "peer-closed";
    case SessionEnd::web_socket_error:
      return "websocket-error";
    case SessionEnd::too_big:
      return "message-too-big";
    case SessionEnd::malformed_packet:
      return "malformed-packet";
    case SessionEnd::keep_alive:
      return "keep-alive";
    case SessionEnd::no_connect:
      return "no-connect";
    case SessionEnd::refused:
      return "refused";
    case SessionEnd::expired:
      return "expired";
    case SessionEnd::by_owner:
      return "closed";
  }
  return "";
}

ServerSession::ServerSession(const ServerSessionOptions& options, const Value* user,
                             bool in_process)
    : options_(&options),
      user_(user),
      asks_(user == nullptr),
      socket_(WebSocketRole::server, options.max_payload_bytes, !in_process) {
  limit_messages(in_process);
}

void ServerSession::limit_messages(bool signed_in) {
  max_message_bytes_ = options_->max_payload_bytes;
  if (!signed_in) max_message_bytes_ = std::min(max_message_bytes_, max_sign_in_bytes);
  socket_.set_max_message_bytes(max_message_bytes_);
  packets_.set_max_attachment_bytes(max_message_bytes_);
}

void ServerSession::allow_larger_messages(std::size_t bytes) {
  max_message_bytes_ = options_->max_payload_bytes + bytes;
  socket_.set_max_message_bytes(max_message_bytes_);
}

void ServerSession::open(TimeMs now, Random& random, Output& output) {
  heartbeat_at_ = now + options_->ping_interval_ms;
  state_at_ = now + options_->connect_timeout_ms;
  send(encode_engine_open(random.sid(), options_->ping_interval_ms, options_->ping_timeout_ms,
                          options_->max_payload_bytes),
       output);
}

std::string_view ServerSession::sid() const {
  return state_ == State::connected || state_ == State::refused
             ? std::string_view(sid_.data(), sid_.size())
             : std::string_view{};
}

ServerSession::Step ServerSession::next(TimeMs now, Random& random, Output& output) {
  while (state_ != State::closed) {
    switch (socket_.next()) {
      case WebSocketReader::Step::need_more:
        packets_.release_buffers();
        return Step::need_more;
      case WebSocketReader::Step::message:
        if (const std::optional<Step> step = read_message(now, random, output)) return *step;
        break;
      case WebSocketReader::Step::ping:
        output.push_back(websocket_frame(WebSocketOpcode::pong, socket_.payload()));
        break;
      case WebSocketReader::Step::pong:
        break;
      case WebSocketReader::Step::close:
        finish(SessionEnd::peer_closed, socket_.close_code(), output);
        break;
      case WebSocketReader::Step::error: {
        const bool too_big = socket_.close_code() == WebSocketCloseCode::message_too_big;
        finish(too_big ? SessionEnd::too_big : SessionEnd::web_socket_error, socket_.close_code(),
               output);
        break;
      }
    }
  }
  return Step::closed;
}

// What a packet means for the caller; nothing when it was handled here.
std::optional<ServerSession::Step> ServerSession::read_message(TimeMs now, Random& random,
                                                               Output& output) {
  switch (packets_.read(socket_.binary(), socket_.payload())) {
    case PacketReader::Step::need_attachments:
      return std::nullopt;
    case PacketReader::Step::error:
      finish(SessionEnd::malformed_packet, WebSocketCloseCode::no_status, output);
      return Step::closed;
    case PacketReader::Step::packet:
      break;
  }
  switch (packets_.packet().kind) {
    case PacketKind::event:
      if (state_ == State::connected || state_ == State::refused) return Step::event;
      break;
    case PacketKind::engine_pong:
      on_pong(now);
      return std::nullopt;
    case PacketKind::engine_noop:
      return std::nullopt;
    case PacketKind::engine_close:
      finish(SessionEnd::peer_closed, WebSocketCloseCode::no_status, output);
      return Step::closed;
    case PacketKind::connect:
      return on_connect(now, random, output);
    case PacketKind::disconnect:
      return on_disconnect(now, output);
    case PacketKind::ack:
      return on_ack(output);
    case PacketKind::engine_ping:
    case PacketKind::engine_open:
    case PacketKind::connect_error:
      break;
  }
  // A packet in the wrong direction, or before the sign-in.
  finish(SessionEnd::malformed_packet, WebSocketCloseCode::no_status, output);
  return Step::closed;
}

std::optional<ServerSession::Step> ServerSession::on_connect(TimeMs now, Random& random,
                                                             Output& output) {
  const PacketView& packet = packets_.packet();
  if (packet.nsp != kMainNamespace) {
    send(encode_connect_error(encoding(), "Invalid namespace", packet.nsp), output);
    return std::nullopt;
  }
  if (state_ != State::waiting) {
    finish(SessionEnd::malformed_packet, WebSocketCloseCode::no_status, output);
    return Step::closed;
  }
  if (asks_) {
    state_ = State::authenticating;
    return Step::authenticate;
  }
  greet(now, random, output);
  return Step::connected;
}

bool ServerSession::on_authenticated(TimeMs now, Random& random, const Value& user,
                                     Output& output) {
  if (state_ != State::authenticating) return false;
  user_ = &user;
  greet(now, random, output);
  return true;
}

void ServerSession::greet(TimeMs now, Random& random, Output& output) {
  const std::string sid = random.sid();
  std::copy_n(sid.begin(), std::min(sid.size(), sid_.size()), sid_.begin());
  Value data;
  data.set("sid", sid);
  send(encode_connect(encoding(), data), output);
  info_acknowledged_ = false;
  infos_sent_ = 0;
  info_since_ = now;
  if (user_->find("error") != nullptr) {
    state_ = State::refused;
    state_at_ = now + refusal_delay_ms;
    send_info(now, false, output);
  } else {
    state_ = State::connected;
    limit_messages(true);
    info_wait_ms_ = info_timeout_ms;
    state_at_ = now + info_wait_ms_;
    send_info(now, true, output);
  }
}

std::optional<ServerSession::Step> ServerSession::on_disconnect(TimeMs now, Output& output) {
  if (state_ == State::connected) {
    state_ = State::waiting;
    limit_messages(false);
    state_at_ = now + options_->connect_timeout_ms;
    if (asks_) {
      user_ = nullptr;
      expires_at_ = kNever;
    }
    return Step::disconnected;
  }
  const bool going = state_ == State::refused || state_ == State::authenticating;
  finish(going ? SessionEnd::peer_closed : SessionEnd::malformed_packet,
         WebSocketCloseCode::no_status, output);
  return Step::closed;
}

std::optional<ServerSession::Step> ServerSession::on_ack(Output& output) {
  if (state_ == State::waiting || state_ == State::authenticating) {
    finish(SessionEnd::malformed_packet, WebSocketCloseCode::no_status, output);
    return Step::closed;
  }
  if (state_ == State::connected && packets_.packet().ack_id.value_or(infos_sent_) < infos_sent_) {
    info_acknowledged_ = true;
    state_at_ = kNever;
  }
  return std::nullopt;
}

void ServerSession::on_pong(TimeMs now) {
  if (!awaiting_pong_) return;
  awaiting_pong_ = false;
  heartbeat_at_ = now + options_->ping_interval_ms;
}

void ServerSession::reading_resumed(TimeMs now) {
  reading_ = true;
  if (awaiting_pong_) heartbeat_at_ = std::max(heartbeat_at_, now + options_->ping_timeout_ms);
}

bool ServerSession::on_time(TimeMs now, Output& output) {
  if (state_ != State::closed && now >= heartbeat_at_) run_heartbeat(now, output);
  if (state_ != State::closed && now >= state_at_) run_state_timer(now, output);
  if (state_ != State::closed && now >= expires_at_) {
    finish(SessionEnd::expired, WebSocketCloseCode::policy_violation, output);
  }
  return state_ != State::closed;
}

void ServerSession::run_heartbeat(TimeMs now, Output& output) {
  if (awaiting_pong_ && reading_) {
    finish(SessionEnd::keep_alive, WebSocketCloseCode::no_status, output);
    return;
  }
  awaiting_pong_ = true;
  heartbeat_at_ = now + options_->ping_timeout_ms;
  send(encode_engine_ping(), output);
}

void ServerSession::run_state_timer(TimeMs now, Output& output) {
  switch (state_) {
    case State::waiting:
    case State::authenticating:
      finish(SessionEnd::no_connect, WebSocketCloseCode::no_status, output);
      break;
    case State::connected:
      if (now - info_since_ >= info_give_up_ms) {
        state_at_ = kNever;
        break;
      }
      info_wait_ms_ = std::min(2 * info_wait_ms_, info_timeout_max_ms);
      state_at_ = now + info_wait_ms_;
      send_info(now, true, output);
      break;
    case State::refused:
      send(encode_disconnect(encoding()), output);
      finish(SessionEnd::refused, WebSocketCloseCode::no_status, output);
      break;
    case State::closed:
      break;
  }
}

void ServerSession::send_info(TimeMs now, bool ask_for_ack, Output& output) {
  Value info;
  info.set("max_payload", static_cast<std::uint64_t>(options_->max_payload_bytes));
  info.set("id", options_->broker_id);
  if (!options_->cluster_name.empty()) info.set("clusterName", options_->cluster_name);
  info.set("user", *user_);
  if (expires_at_ != kNever) info.set("expires", std::max<std::int64_t>(0, expires_at_ - now));
  std::optional<std::uint64_t> ack_id;
  if (ask_for_ack) ack_id = infos_sent_++;
  send(encode_event(encoding(), "info", {std::move(info)}, ack_id), output);
}

void ServerSession::close(WebSocketCloseCode code, Output& output) {
  if (state_ != State::closed) finish(SessionEnd::by_owner, code, output);
}

void ServerSession::disconnect(Output& output) {
  if (state_ == State::closed) return;
  if (!sid().empty()) send(encode_disconnect(encoding()), output);
  finish(SessionEnd::by_owner, WebSocketCloseCode::no_status, output);
}

void ServerSession::finish(SessionEnd end, WebSocketCloseCode code, Output& output) {
  state_ = State::closed;
  end_ = end;
  heartbeat_at_ = kNever;
  state_at_ = kNever;
  expires_at_ = kNever;
  output.push_back(websocket_close_frame(code));
}

}  // namespace conat
