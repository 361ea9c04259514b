// A TLS server with a certificate of its own that passes bytes on to a port of this machine: what
// stands in front of a broker in production, as small as a test needs it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace conat::test {

class TlsProxy {
 public:
  // Listens on a free port of 127.0.0.1. `certificate` is where its certificate is written, for
  // clients that are to trust it: it names localhost.
  TlsProxy(std::uint16_t target_port, const std::string& certificate);
  ~TlsProxy();
  TlsProxy(const TlsProxy&) = delete;
  TlsProxy& operator=(const TlsProxy&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  void run();

  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::uint16_t target_port_;
  void* context_ = nullptr;  // SSL_CTX
  std::thread thread_;
};

}  // namespace conat::test
