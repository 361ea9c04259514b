// A real HTTP service on a real socket, that answers with whatever bytes a test wants, with TLS or
// without.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct ssl_ctx_st;

namespace conat::auth {

struct ServiceRequest {
  std::string head;  // with its line ends, as it came
  std::string body;
};

struct ServiceAnswer {
  std::string bytes;
  bool close = false;  // the connection, after the bytes
};

// A whole answer with the right length.
ServiceAnswer json_answer(std::string body, unsigned status = 200);

class TestService {
 public:
  // Called on the connections' threads.
  using Handler = std::function<ServiceAnswer(const ServiceRequest&)>;

  explicit TestService(Handler handler);
  // With TLS: a certificate and its key in PEM form.
  TestService(Handler handler, const std::string& certificate, const std::string& key);
  // Closes everything, and waits until the handlers have returned.
  ~TestService();

  std::string url(const std::string& target = "/", const std::string& host = "127.0.0.1") const;
  // Closes the connections that are open, while no request is being answered.
  void close_connections();

  std::vector<ServiceRequest> requests() const;
  std::size_t connections() const { return connections_; }
  // The most requests that were with the handler at the same time.
  std::size_t most_at_once() const { return most_at_once_; }

 private:
  void listen();
  void accept();
  void serve(int socket);
  template <class Read, class Write>
  void answer_requests(Read read, Write write);

  Handler handler_;
  ssl_ctx_st* tls_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> at_once_{0};
  std::atomic<std::size_t> most_at_once_{0};
  mutable std::mutex mutex_;
  std::vector<ServiceRequest> requests_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  bool ending_ = false;
  std::thread acceptor_;
};

}  // namespace conat::auth
