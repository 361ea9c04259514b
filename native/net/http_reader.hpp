// Reads request heads, by Beast's parser.
//
// Thread safety: none, one reader per connection.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "net/http_message.hpp"

namespace conat::net {

class HttpReader {
 public:
  enum class Step : std::uint8_t { need_more, request, too_large, malformed };

  explicit HttpReader(std::size_t max_header_bytes);
  ~HttpReader();
  HttpReader(HttpReader&&) noexcept;
  HttpReader& operator=(HttpReader&&) noexcept;

  // Reads one request's head from the front of `buffer` and removes what it has taken; call again
  // with more bytes appended after need_more, and for the next request.
  Step read(std::string& buffer);
  // Valid after read() returned request.
  HttpRequest& request() { return request_; }

 private:
  class Parser;

  std::size_t max_header_bytes_;
  std::unique_ptr<Parser> parser_;  // only while a request is being read
  HttpRequest request_;
};

}  // namespace conat::net
