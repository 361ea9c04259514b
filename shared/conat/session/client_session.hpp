// The client's side of one connection: the Engine.IO opening, the Socket.IO CONNECT, keep-alive.
//
//   awaiting_open --0{...}--> awaiting_connect --40{sid}--> connected
//
// It answers pings and sends CONNECT by itself; events and acknowledgements are handed up. One
// object lives as long as one transport. Thread safety: none.
//
// Invariants: packet() is valid only until the next read(). After `refused`, `disconnected` or
// `broken` the caller closes the transport and drops the session.
#pragma once

#include <string>

#include "conat/base/bytes.hpp"
#include "conat/base/time.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

class ClientSession {
 public:
  enum class Step : std::uint8_t {
    none,          // handled here, or more is needed
    connected,     // the server accepted CONNECT; sid() is known
    event,         // packet() holds it
    ack,           // packet() holds it
    refused,       // CONNECT_ERROR; error_text() tells why
    disconnected,  // the server sent DISCONNECT
    broken,        // malformed input, or the peer closed
  };

  // The transport is open from `now` on. With the MessagePack encoding the CONNECT is a binary
  // message of that encoding, by which the server recognizes it.
  ClientSession(TimeMs now, PacketEncoding encoding, Value auth);

  // Takes one WebSocket message; appends what has to be sent to `out`.
  Step read(TimeMs now, bool binary, ByteView message, WireMessages& out);
  const PacketView& packet() const { return reader_.packet(); }

  bool connected() const { return phase_ == Phase::connected; }
  // The server spoke Engine.IO, but has not accepted CONNECT yet.
  bool awaiting_connect() const { return phase_ == Phase::awaiting_connect; }
  const std::string& sid() const { return sid_; }
  const std::string& error_text() const { return error_text_; }

  // When this connection counts as dead: the opening takes too long, or no ping came within
  // pingInterval + pingTimeout.
  TimeMs deadline() const { return deadline_; }
  bool expired(TimeMs now) const { return now >= deadline_; }

 private:
  enum class Phase : std::uint8_t { awaiting_open, awaiting_connect, connected };

  Step on_engine_open(TimeMs now, WireMessages& out);
  Step on_connect(TimeMs now);
  Step on_connect_error();

  PacketReader reader_;
  PacketEncoding encoding_;
  Value auth_;
  Phase phase_ = Phase::awaiting_open;
  std::int64_t silence_limit_ms_;
  TimeMs last_ping_ = 0;
  TimeMs deadline_;
  std::string sid_;
  std::string error_text_;
};

}  // namespace conat
