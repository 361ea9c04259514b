#include "net/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace conat::net {
namespace {

// Accepted at once before other work gets its turn.
constexpr int accepts_per_turn = 64;
constexpr std::chrono::milliseconds rest_time{100};

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Listener::Listener(Loop& loop)
    : loop_(loop),
      acceptor_(loop.context()),
      rest_timer_(loop.context()),
      reserve_(open_reserve()) {}

Listener::~Listener() {
  if (reserve_ >= 0) ::close(reserve_);
}

error_code Listener::probe(const asio::ip::tcp::endpoint& endpoint) {
  asio::io_context context;
  Acceptor acceptor(context);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  // Allows for connections of an earlier process that linger, not for another listener.
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1, error);
  return error;
}

error_code Listener::open(const asio::ip::tcp::endpoint& endpoint) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (error) return error;
  acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  const int on = 1;
  if (::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    error.assign(errno, boost::system::system_category());
  }
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor_.non_blocking(true, error);
  if (error) close();
  return error;
}

std::uint16_t Listener::port() const {
  error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

void Listener::start(OnSocket on_socket) {
  on_socket_ = std::move(on_socket);
  wait();
}

void Listener::close() {
  error_code ignored;
  acceptor_.close(ignored);
  rest_timer_.cancel();
}

void Listener::wait() {
  acceptor_.async_wait(Acceptor::wait_read, [this](error_code error) {
    if (!error && acceptor_.is_open()) accept_ready();
  });
}

void Listener::accept_ready() {
  for (int i = 0; i < accepts_per_turn && acceptor_.is_open(); ++i) {
    const int fd =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE) shed_one();
      rest();
      return;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error_code error;
    Socket socket(loop_.context());
    socket.assign(acceptor_.local_endpoint(error).protocol(), fd, error);
    if (error) {
      ::close(fd);
      continue;
    }
    ++accepted_;
    on_socket_(std::move(socket));
  }
  if (acceptor_.is_open()) wait();
}

void Listener::shed_one() {
  ++refused_;
  if (reserve_ >= 0) ::close(reserve_);
  const int fd = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) ::close(fd);
  reserve_ = open_reserve();
}

void Listener::rest() {
  rest_timer_.expires_after(rest_time);
  rest_timer_.async_wait([this](error_code error) {
    if (!error && acceptor_.is_open()) accept_ready();
  });
}

}  // namespace conat::net
