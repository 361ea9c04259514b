// clang-format off
#include <utility>
// clang-format on

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>

namespace conat::native {
namespace {

using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

boost::asio::ip::tcp::socket& lowest_socket(TlsStream& stream) { return stream.next_layer(); }

template <class Done>
void secure(TlsStream& stream, Done done) {
  stream.async_handshake(boost::asio::ssl::stream_base::client, std::move(done));
}

}  // namespace
}  // namespace conat::native

#include "client/basic_transport.hpp"
#include "client/transport_kinds.hpp"

namespace conat::native {
namespace {

// Empty, or what is wrong.
std::string configure(asio::ssl::context& settings, const TransportOptions& options) {
  error_code ignored;  // without certificates every server is refused, which is reported then
  settings.set_default_verify_paths(ignored);
  settings.set_verify_mode(
      options.verify_certificate ? asio::ssl::verify_peer : asio::ssl::verify_none, ignored);
  if (options.ca_file.empty()) return {};
  error_code error;
  settings.load_verify_file(options.ca_file, error);
  if (!error) return {};
  return "cannot read certificates from " + options.ca_file + ": " + error.message();
}

}  // namespace

std::shared_ptr<Transport> open_tls(asio::io_context& context, TransportOptions options,
                                    TransportHandlers handlers, Random random) {
  asio::ssl::context settings(asio::ssl::context::tls_client);
  const std::string wrong = configure(settings, options);
  // OpenSSL counts references: the stream keeps what it needs of its settings.
  auto stream = std::make_unique<TlsStream>(context, settings);
  error_code ignored;
  if (options.verify_certificate) {
    stream->set_verify_callback(asio::ssl::host_name_verification(options.address.host), ignored);
  }
  SSL_set_tlsext_host_name(stream->native_handle(), options.address.host.c_str());
  auto transport = std::make_shared<BasicTransport<TlsStream>>(
      context, std::move(stream), std::move(options), std::move(handlers), std::move(random));
  if (wrong.empty()) {
    transport->start();
  } else {
    transport->start_failed(wrong);
  }
  return transport;
}

}  // namespace conat::native
