// Socket.IO's packet types, as socket.io-protocol 5 numbers them; inside of the wire layer.
#pragma once

#include <cstdint>

namespace conat::packet_type {

enum : std::uint8_t {
  kConnect = 0,
  kDisconnect = 1,
  kEvent = 2,
  kAck = 3,
  kConnectError = 4,
  kBinaryEvent = 5,
  kBinaryAck = 6,
};

}  // namespace conat::packet_type
