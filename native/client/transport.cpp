// clang-format off
#include <utility>
// clang-format on

#include "client/transport.hpp"

#include "client/transport_kinds.hpp"

namespace conat::native {

std::shared_ptr<Transport> Transport::open(boost::asio::io_context& context,
                                           TransportOptions options, TransportHandlers handlers,
                                           Random random) {
  auto* const open = options.address.tls ? open_tls : open_tcp;
  return open(context, std::move(options), std::move(handlers), std::move(random));
}

}  // namespace conat::native
