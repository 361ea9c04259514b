// The address of a service: `http(s)://host[:port][/path][?query]`.
//
// Thread safety: plain values, a pure function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conat/base/result.hpp"

namespace conat::auth {

struct HttpAddress {
  bool tls = false;
  std::string host;         // without brackets
  std::uint16_t port = 80;  // given, or the scheme's
  std::string target;       // path and query, at least "/"
  std::string authority;    // for the Host header
};

// User information and fragments are refused. The error's text says what is wrong.
Result<HttpAddress> parse_http_address(std::string_view url);

}  // namespace conat::auth
