// The one door to Boost.Asio: what this project uses of it, in the order that works.
//
// Asio is compiled once, in asio_impl.cpp. Its 1.74 uses std::exchange without including <utility>,
// so that comes first. Sockets and timers name their executor's type: the type-erased default costs
// an indirection for every operation.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace conat::net {

namespace asio = boost::asio;
using boost::system::error_code;

using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

}  // namespace conat::net
