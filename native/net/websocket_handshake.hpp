// RFC 6455's opening handshake, the server's side.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "net/http_message.hpp"

namespace conat::net {

// True when the client asks for any upgrade to a WebSocket, well-formed or not.
bool asks_for_websocket(const HttpRequest& request);
// True when the request is a handshake that can be accepted: version 13 and a key of 16 bytes.
bool is_valid_handshake(const HttpRequest& request);
// What proves to the client that its key was read: base64 of SHA-1 over the key and a constant.
std::string websocket_accept(std::string_view key);
// The bytes of "101 Switching Protocols". `extensions`: what was agreed on, or empty.
SharedBytes accept_response(const HttpRequest& request, std::string_view extensions = {});

}  // namespace conat::net
