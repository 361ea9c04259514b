// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/ip/tcp.hpp>

namespace conat::auth {
namespace {

boost::asio::ip::tcp::socket& lowest_socket(boost::asio::ip::tcp::socket& socket) { return socket; }

template <class Done>
void secure(boost::asio::ip::tcp::socket&, Done done) {
  done({});
}

}  // namespace
}  // namespace conat::auth

#include "auth/basic_http_connection.hpp"

namespace conat::auth {
namespace {

class PlainConnector final : public HttpConnector {
 public:
  PlainConnector(asio::io_context& context, HttpEndpoint endpoint)
      : context_(context), endpoint_(std::make_shared<const HttpEndpoint>(std::move(endpoint))) {}

  std::shared_ptr<HttpConnection> make() override {
    return std::make_shared<BasicHttpConnection<tcp::socket>>(
        context_, endpoint_, std::make_unique<tcp::socket>(context_));
  }

 private:
  asio::io_context& context_;
  std::shared_ptr<const HttpEndpoint> endpoint_;
};

}  // namespace

Result<std::unique_ptr<HttpConnector>> make_http_connector(asio::io_context& context,
                                                           HttpEndpoint endpoint) {
  if (endpoint.address.tls) return make_https_connector(context, std::move(endpoint));
  return std::unique_ptr<HttpConnector>(
      std::make_unique<PlainConnector>(context, std::move(endpoint)));
}

}  // namespace conat::auth
