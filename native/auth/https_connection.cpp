// clang-format off
#include <utility>
// clang-format on

#include <openssl/ssl.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>

namespace conat::auth {
namespace {

using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

boost::asio::ip::tcp::socket& lowest_socket(TlsStream& stream) { return stream.next_layer(); }

template <class Done>
void secure(TlsStream& stream, Done done) {
  stream.async_handshake(boost::asio::ssl::stream_base::client, std::move(done));
}

}  // namespace
}  // namespace conat::auth

#include "auth/basic_http_connection.hpp"

namespace conat::auth {
namespace {

class TlsConnector final : public HttpConnector {
 public:
  TlsConnector(asio::io_context& context, HttpEndpoint endpoint)
      : context_(context),
        endpoint_(std::make_shared<const HttpEndpoint>(std::move(endpoint))),
        settings_(asio::ssl::context::tls_client) {}

  Status prepare() {
    error_code error;
    settings_.set_verify_mode(asio::ssl::verify_peer, error);
    settings_.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
    if (endpoint_->ca_file.empty()) {
      settings_.set_default_verify_paths(error);
    } else {
      settings_.load_verify_file(endpoint_->ca_file.string(), error);
    }
    if (!error) return Nothing{};
    return Error(
        ErrorKind::invalid_argument,
        "cannot use the certificates of " + endpoint_->ca_file.string() + ": " + error.message());
  }

  std::shared_ptr<HttpConnection> make() override {
    auto stream = std::make_unique<TlsStream>(context_, settings_);
    const std::string& host = endpoint_->address.host;
    error_code error;
    stream->set_verify_callback(asio::ssl::host_name_verification(host), error);
    asio::ip::make_address(host, error);
    if (error) SSL_set_tlsext_host_name(stream->native_handle(), host.c_str());  // a name
    return std::make_shared<BasicHttpConnection<TlsStream>>(context_, endpoint_, std::move(stream));
  }

 private:
  asio::io_context& context_;
  std::shared_ptr<const HttpEndpoint> endpoint_;
  asio::ssl::context settings_;
};

}  // namespace

Result<std::unique_ptr<HttpConnector>> make_https_connector(asio::io_context& context,
                                                            HttpEndpoint endpoint) {
  auto connector = std::make_unique<TlsConnector>(context, std::move(endpoint));
  if (Status status = connector->prepare(); !status) return status.error();
  return std::unique_ptr<HttpConnector>(std::move(connector));
}

}  // namespace conat::auth
