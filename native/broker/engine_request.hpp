// Engine.IO's checks of a request for a connection, with its errors.
//
// Thread safety: pure functions.
#pragma once

#include <optional>

#include "net/http_message.hpp"

namespace conat::server {

// nullopt: a WebSocket handshake of protocol version 4 that can be accepted. Otherwise the answer:
// 400 with {"code", "message"}. Only WebSockets are spoken: there is no session to come back to, so
// every `sid` is unknown.
std::optional<net::HttpResponse> refuse_engine_request(const net::HttpRequest& request);

}  // namespace conat::server
