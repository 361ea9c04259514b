// The server's side of one connection: WebSocket framing, the Engine.IO opening, keep-alive,
// Socket.IO's CONNECT and DISCONNECT, and the `info` that greets a client.
//
//   waiting --40--> authenticating --who it is--> connected --41--> waiting (a client may CONNECT
//      |                  |                         |  |              again on the same transport)
//      |                  |                         |  +-- the identity expires: closed, 1008
//      |                  |                         +-- the user carries an error: refused
//      |                  |                                                  --25 ms--> 41, closed
//      +------------------+-- 45 s without being signed in, no pong, malformed input, the peer's
//                             close: closed
//
// With a user that is known from the start, `authenticating` is passed over.
//
// Everything but events is handled here. What is to be sent is appended to the caller's Output,
// framed and in order; the caller sends it before anything of its own. Handles hostile input:
// whatever is malformed ends in `closed`. Until a client is signed in its messages are bounded by
// max_sign_in_bytes, so that strangers cannot fill memory. Thread safety: none.
//
// Invariants: after `closed` nothing more is sent and every call is harmless. packet() is valid
// from `event` until the next call of next().
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/random.hpp"
#include "conat/base/time.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/websocket.hpp"

namespace conat {

// The same for all sessions of a broker.
struct ServerSessionOptions {
  std::string broker_id = "0";
  std::string cluster_name;  // empty: none
  std::size_t max_payload_bytes = limits::max_payload_bytes;
  std::int64_t ping_interval_ms = limits::ping_interval_ms;
  std::int64_t ping_timeout_ms = limits::ping_timeout_ms;
  std::int64_t connect_timeout_ms = limits::connect_timeout_ms;
};

enum class SessionEnd : std::uint8_t {
  none,
  peer_closed,       // a close frame, or Engine.IO's close
  web_socket_error,  // framing, text that is no UTF-8
  too_big,           // a message beyond max_payload
  malformed_packet,
  keep_alive,  // no pong in time
  no_connect,  // not signed in in time
  refused,     // the user carries an error
  expired,     // the identity has expired
  by_owner,    // close() was called
};
// For logs and metrics; a string literal.
const char* session_end_text(SessionEnd end);

class ServerSession {
 public:
  using Output = std::vector<SharedBytes>;
  enum class Step : std::uint8_t {
    need_more,     // everything fed was handled
    authenticate,  // packet() holds CONNECT: on_authenticated() is to tell who it is
    connected,     // CONNECT was accepted: encoding() and sid() are known
    event,         // packet() holds it
    disconnected,  // the client sent DISCONNECT; the transport stays
    closed,        // close the transport after flushing; end() tells why
  };

  // `options` and the user must outlive the session. The user travels in `info`; one with an
  // `error` is told so and disconnected. Null: who it is is asked for at each CONNECT.
  // `in_process`: unmasked frames are taken, too.
  ServerSession(const ServerSessionOptions& options, const Value* user, bool in_process);

  // The transport is open: sends Engine.IO's opening.
  void open(TimeMs now, Random& random, Output& output);
  // Hands in what was read; unmasked in place. Call next() until need_more or closed.
  void feed(std::span<std::uint8_t> bytes) { socket_.feed(bytes); }
  Step next(TimeMs now, Random& random, Output& output);
  // The answer to `authenticate`, which may come later. Returns true when the client is connected
  // now, false when nothing was asked (any more).
  bool on_authenticated(TimeMs now, Random& random, const Value& user, Output& output);
  // When a client that is connected stops being who it is; nullopt: never.
  void set_expiry(std::optional<TimeMs> at) { expires_at_ = at.value_or(kNever); }
  // Runs timers that are due; returns false when the session is closed.
  bool on_time(TimeMs now, Output& output);
  // When on_time has something to do next.
  TimeMs deadline() const { return std::min({heartbeat_at_, state_at_, expires_at_}); }
  // Ends the session with a WebSocket close frame.
  void close(WebSocketCloseCode code, Output& output);
  // Tells a connected client to go by Socket.IO's DISCONNECT, so that it does not come back by
  // itself, and ends the session.
  void disconnect(Output& output);
  // The caller does not read from the transport for a while. Pings go on, since the client leaves
  // without them, but no pong is missed.
  void reading_paused() { reading_ = false; }
  // It reads again: a pong that is due gets its time anew.
  void reading_resumed(TimeMs now);
  // A client that is connected may send messages that are larger by so much.
  void allow_larger_messages(std::size_t bytes);
  // How large a message may be: little until the client is signed in.
  std::size_t max_message_bytes() const { return max_message_bytes_; }

  const PacketView& packet() const { return packets_.packet(); }
  PacketEncoding encoding() const { return packets_.encoding().value_or(PacketEncoding::text); }
  // Of the main namespace; empty while not connected.
  std::string_view sid() const;
  // The same, also after the end; empty when it was never connected.
  std::string_view last_sid() const {
    return sid_[0] == 0 ? std::string_view{} : std::string_view(sid_.data(), sid_.size());
  }
  bool info_acknowledged() const { return info_acknowledged_; }
  SessionEnd end() const { return end_; }

  static constexpr std::int64_t info_timeout_ms = 7500;
  static constexpr std::int64_t info_timeout_max_ms = 30'000;
  static constexpr std::int64_t info_give_up_ms = 120'000;
  static constexpr std::int64_t refusal_delay_ms = 25;
  // One message, and the attachments of one event, until the client is signed in.
  static constexpr std::size_t max_sign_in_bytes = 65'536;
  static_assert(max_sign_in_bytes < limits::max_payload_bytes);

 private:
  enum class State : std::uint8_t { waiting, authenticating, connected, refused, closed };
  static constexpr TimeMs kNever = std::numeric_limits<TimeMs>::max();

  std::optional<Step> read_message(TimeMs now, Random& random, Output& output);
  std::optional<Step> on_connect(TimeMs now, Random& random, Output& output);
  std::optional<Step> on_disconnect(TimeMs now, Output& output);
  std::optional<Step> on_ack(Output& output);
  void greet(TimeMs now, Random& random, Output& output);
  void on_pong(TimeMs now);
  void limit_messages(bool signed_in);
  void run_heartbeat(TimeMs now, Output& output);
  void run_state_timer(TimeMs now, Output& output);
  void send_info(TimeMs now, bool ask_for_ack, Output& output);
  void finish(SessionEnd end, WebSocketCloseCode code, Output& output);

  const ServerSessionOptions* options_;
  const Value* user_;  // null: not known (yet)
  const bool asks_;    // who it is, at each CONNECT
  WebSocketReader socket_;
  PacketReader packets_;
  std::size_t max_message_bytes_ = 0;
  State state_ = State::waiting;
  SessionEnd end_ = SessionEnd::none;
  bool awaiting_pong_ = false;
  bool reading_ = true;
  bool info_acknowledged_ = false;
  std::uint32_t infos_sent_ = 0;  // their acknowledgement ids count from 0
  TimeMs heartbeat_at_ = kNever;  // the next ping, or the latest time for a pong
  TimeMs state_at_ = kNever;      // CONNECT due, `info` again, or the disconnect after a refusal
  TimeMs expires_at_ = kNever;    // who it is
  TimeMs info_since_ = 0;         // when the first `info` of this CONNECT was sent
  std::int64_t info_wait_ms_ = 0;
  std::array<char, 20> sid_{};
};

}  // namespace conat
