// The two kinds of Transport, each compiled in a file of its own.
#pragma once

#include "client/transport.hpp"

namespace conat::native {

std::shared_ptr<Transport> open_tcp(boost::asio::io_context& context, TransportOptions options,
                                    TransportHandlers handlers, Random random);
std::shared_ptr<Transport> open_tls(boost::asio::io_context& context, TransportOptions options,
                                    TransportHandlers handlers, Random random);

}  // namespace conat::native
