// One connection to an HTTP service, over which requests are sent one after the other.
//
// Connects with the first request, and stays open as long as the service likes. Thread safety:
// none, the context's thread (which runs alone).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/http_address.hpp"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace conat::auth {

struct HttpEndpoint {
  HttpAddress address;
  std::vector<std::pair<std::string, std::string>> headers;  // sent with every request
  std::filesystem::path ca_file;  // who may vouch for an https service; empty: the system's list
  std::size_t max_answer_bytes = 64 * 1024;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

struct HttpResult {
  std::string failure;  // empty: there is an answer
  HttpAnswer answer;
  // The service had closed a connection that was open from before: another one may work.
  bool stale = false;
};

class HttpConnection {
 public:
  virtual ~HttpConnection() = default;

  // POSTs JSON; `done` is called once, later, unless close() comes first. Only one at a time.
  virtual void post(const std::string& body, std::function<void(HttpResult)> done) = 0;
  // Whether another request may follow on the open connection.
  virtual bool is_open() const = 0;
  // Ends everything at once; nothing is called back.
  virtual void close() = 0;
};

// Makes connections to one endpoint.
class HttpConnector {
 public:
  virtual ~HttpConnector() = default;
  virtual std::shared_ptr<HttpConnection> make() = 0;
};

// The error's text says what is wrong with the endpoint (an unreadable CA file).
Result<std::unique_ptr<HttpConnector>> make_http_connector(boost::asio::io_context& context,
                                                           HttpEndpoint endpoint);
// The same for https, called by it.
Result<std::unique_ptr<HttpConnector>> make_https_connector(boost::asio::io_context& context,
                                                            HttpEndpoint endpoint);

}  // namespace conat::auth
