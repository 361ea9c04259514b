// One WebSocket connection of a client, from the name of the host to the closing frame.
//
// A transport keeps itself alive until it is closed; the owner holds a pointer to talk to it. What
// is sent in one turn of the loop leaves with one write. Thread safety: none, the loop's thread.
//
// Invariants: `opened` is called at most once, before any message; `closed` is called once, last,
// and never after close(). No callback comes from within open() or send().
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/server_address.hpp"
#include "conat/base/bytes.hpp"
#include "conat/base/random.hpp"
#include "conat/wire/packet.hpp"

namespace conat::native {

struct TransportOptions {
  ServerAddress address;
  // Sent with the handshake, e.g. {"Cookie", "sys=..."}.
  std::vector<std::pair<std::string, std::string>> headers;
  // One message of the server; beyond it the connection is closed.
  std::size_t max_message_bytes = 64u << 20;
  bool verify_certificate = true;
  // A PEM file whose certificates are trusted besides the system's; empty: none.
  std::string ca_file;
};

struct TransportHandlers {
  std::function<void()> opened;
  std::function<void(bool binary, ByteView message)> message;
  // Why it never opened, or has ended.
  std::function<void(const std::string& reason)> closed;
  // Something of what was sent is written; may be empty.
  std::function<void()> written = {};
};

// Bytes on the wire, in frames: handed to the operating system, and taken from it.
struct TransportTraffic {
  std::uint64_t written = 0;
  std::uint64_t read = 0;
};

class Transport {
 public:
  static std::shared_ptr<Transport> open(boost::asio::io_context& context, TransportOptions options,
                                         TransportHandlers handlers, Random random);

  virtual ~Transport() = default;
  virtual void send(const WireMessages& messages) = 0;
  // Writes what was sent, says goodbye and closes, within a second.
  virtual void close() = 0;
  // Sent and not yet taken by the operating system.
  virtual std::size_t unsent_bytes() const = 0;
  virtual TransportTraffic traffic() const = 0;
};

}  // namespace conat::native
