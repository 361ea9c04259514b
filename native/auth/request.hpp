// The handshake as authentication sees it: what a client showed when it connected.
//
// Thread safety: plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conat/base/value.hpp"

namespace conat::auth {

struct Request {
  std::string address;  // the client's, without a port
  bool secure = false;  // it came over TLS that ends here
  // As they came, in order; names in any case.
  std::vector<std::pair<std::string, std::string>> headers;
  Value auth;  // what the Socket.IO CONNECT carried, or null

  // The first header of that name (any case), empty when absent.
  std::string_view header(std::string_view name) const;
  // Forgets the cookies, as for a page of a foreign origin.
  void drop_cookies();
};

// ASCII only, as header names, host names and schemes are.
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);
// Without spaces and tabs around it.
std::string_view trimmed(std::string_view text);

}  // namespace conat::auth
