// HTTP/1.1 requests as read and responses as written. No bodies come in: nothing here takes one.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conat/base/bytes.hpp"

namespace conat::net {

struct HttpRequest {
  std::string method;
  std::string path;   // as sent, still percent-encoded, without the query
  std::string query;  // after '?', still encoded
  std::vector<std::pair<std::string, std::string>> headers;
  bool keep_alive = true;
  bool has_body = false;

  // The first header of that name (any case), empty when absent.
  std::string_view header(std::string_view name) const;
  // All headers of that name (any case), joined by commas as one list.
  std::string joined_header(std::string_view name) const;
  // True when a comma-separated header holds the token (any case).
  bool header_has(std::string_view name, std::string_view token) const;
  // The first parameter of that name, decoded; nullopt when absent.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type;  // empty: none is sent
  std::string body;
  // Used in place of `body` when set: bytes that live as long as the server.
  ByteView static_body;
  std::vector<std::pair<std::string, std::string>> headers;

  static HttpResponse text(unsigned status, std::string body);
  static HttpResponse json(unsigned status, std::string body);
};

// %XX decoded; nullopt when malformed or holding a zero byte. `plus_is_space` for queries.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
bool equal_ignoring_case(std::string_view a, std::string_view b);

// The whole response in one buffer. `head` leaves the body out, as for a HEAD request.
SharedBytes serialize(const HttpResponse& response, bool head, bool keep_alive);

}  // namespace conat::net
