#include "broker/engine_request.hpp"

#include "net/websocket_handshake.hpp"

namespace conat::server {
namespace {

net::HttpResponse error(int code, const char* message) {
  return net::HttpResponse::json(
      400, "{\"code\":" + std::to_string(code) + ",\"message\":\"" + message + "\"}");
}

}  // namespace

std::optional<net::HttpResponse> refuse_engine_request(const net::HttpRequest& request) {
  if (request.parameter("transport") != "websocket") return error(0, "Transport unknown");
  if (request.parameter("sid")) return error(1, "Session ID unknown");
  if (request.method != "GET") return error(2, "Bad handshake method");
  if (request.parameter("EIO") != "4") return error(5, "Unsupported protocol version");
  if (!net::is_valid_handshake(request)) return error(3, "Bad request");
  return std::nullopt;
}

}  // namespace conat::server
