// The address of a server: `http(s)://host[:port][/base]`, as users write it.
//
// Thread safety: plain values, pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conat/base/result.hpp"

namespace conat::native {

struct ServerAddress {
  bool tls = false;
  std::string host;         // without brackets
  std::uint16_t port = 80;  // given, or the scheme's
  std::string base_path;    // "" or "/base", without the trailing slash

  // What to ask for when upgrading to a WebSocket.
  std::string target() const;
  // For the Host header: brackets around IPv6, the port unless it is the scheme's.
  std::string authority() const;
  std::string url() const;
};

// Accepts http, https, ws and wss, and an address without a scheme (http). A query, a fragment and
// user information are refused. Error: invalid_argument.
Result<ServerAddress> parse_server_address(std::string_view url);

}  // namespace conat::native
