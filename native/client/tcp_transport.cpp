// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

namespace conat::native {
namespace {

boost::asio::ip::tcp::socket& lowest_socket(boost::asio::ip::tcp::socket& stream) { return stream; }

template <class Done>
void secure(boost::asio::ip::tcp::socket&, Done done) {
  done({});
}

}  // namespace
}  // namespace conat::native

#include "client/basic_transport.hpp"
#include "client/transport_kinds.hpp"

namespace conat::native {

std::shared_ptr<Transport> open_tcp(asio::io_context& context, TransportOptions options,
                                    TransportHandlers handlers, Random random) {
  auto transport = std::make_shared<BasicTransport<tcp::socket>>(
      context, std::make_unique<tcp::socket>(context), std::move(options), std::move(handlers),
      std::move(random));
  transport->start();
  return transport;
}

}  // namespace conat::native
