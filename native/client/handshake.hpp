// RFC 6455's opening handshake, the client's side: what goes into the request's headers and what
// the answer has to prove.
//
// Thread safety: pure functions.
#pragma once

#include <string>

#include "conat/base/random.hpp"

namespace conat::native {

// 16 random bytes in base64, for Sec-WebSocket-Key.
std::string websocket_key(Random& random);
// What the server has to answer to that key in Sec-WebSocket-Accept.
std::string websocket_accept_of(const std::string& key);

}  // namespace conat::native
