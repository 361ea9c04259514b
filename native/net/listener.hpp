// Accepts connections for one loop. Several listeners share a port (SO_REUSEPORT), one a loop; the
// kernel spreads new connections over them.
//
// When the process runs out of descriptors, a reserve descriptor is given up for a moment to accept
// and close one connection, so that clients see an end instead of silence; then accepting rests.
// Thread safety: none, the loop's thread; open() and close() may be called before run() starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "net/asio.hpp"
#include "net/loop.hpp"

namespace conat::net {

class Listener {
 public:
  using OnSocket = std::function<void(Socket)>;

  explicit Listener(Loop& loop);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // True when nobody listens on the address: a shared port would otherwise be joined silently.
  // Port 0 is always free.
  static error_code probe(const asio::ip::tcp::endpoint& endpoint);

  // Binds and listens; accepting starts with start(). Port 0 picks one: see port().
  error_code open(const asio::ip::tcp::endpoint& endpoint);
  std::uint16_t port() const;
  // Hands out non-blocking sockets with TCP_NODELAY.
  void start(OnSocket on_socket);
  void close();

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }  // for want of descriptors or memory

 private:
  void wait();
  void accept_ready();
  void shed_one();
  void rest();

  Loop& loop_;
  Acceptor acceptor_;
  Timer rest_timer_;
  OnSocket on_socket_;
  int reserve_ = -1;
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace conat::net
