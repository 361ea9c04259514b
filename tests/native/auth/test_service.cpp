#include "native/auth/test_service.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>

namespace conat::auth {
namespace {

// OpenSSL writes to its socket so that the signal comes when the other side has gone.
[[maybe_unused]] const auto kBefore = std::signal(SIGPIPE, SIG_IGN);

std::size_t content_length(const std::string& head) {
  const std::size_t at = head.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
}

ssl_ctx_st* make_tls(const std::string& certificate, const std::string& key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  BIO* certificate_input =
      BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size()));
  X509* parsed_certificate = PEM_read_bio_X509(certificate_input, nullptr, nullptr, nullptr);
  BIO* key_input = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
  EVP_PKEY* parsed_key = PEM_read_bio_PrivateKey(key_input, nullptr, nullptr, nullptr);
  REQUIRE(SSL_CTX_use_certificate(context, parsed_certificate) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context, parsed_key) == 1);
  X509_free(parsed_certificate);
  EVP_PKEY_free(parsed_key);
  BIO_free(certificate_input);
  BIO_free(key_input);
  return context;
}

}  // namespace

ServiceAnswer json_answer(std::string body, unsigned status) {
  return {"HTTP/1.1 " + std::to_string(status) +
          " Status\r\nContent-Type: application/json\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body};
}

TestService::TestService(Handler handler) : handler_(std::move(handler)) { listen(); }

TestService::TestService(Handler handler, const std::string& certificate, const std::string& key)
    : handler_(std::move(handler)), tls_(make_tls(certificate, key)) {
  listen();
}

TestService::~TestService() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (std::thread& thread : threads_) thread.join();
  SSL_CTX_free(tls_);
}

void TestService::listen() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener_, 100) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

std::string TestService::url(const std::string& target, const std::string& host) const {
  return (tls_ == nullptr ? "http://" : "https://") + host + ":" + std::to_string(port_) + target;
}

std::vector<ServiceRequest> TestService::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestService::close_connections() {
  const std::lock_guard lock(mutex_);
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
}

void TestService::accept() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    if (ending_) {
      ::close(socket);
      return;
    }
    ++connections_;
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void TestService::serve(int socket) {
  if (tls_ == nullptr) {
    answer_requests([&](char* data, std::size_t size) { return ::recv(socket, data, size, 0); },
                    [&](const char* data, std::size_t size) {
                      return ::send(socket, data, size, MSG_NOSIGNAL);
                    });
  } else {
    SSL* session = SSL_new(tls_);
    SSL_set_fd(session, socket);
    if (SSL_accept(session) == 1) {
      answer_requests(
          [&](char* data, std::size_t size) -> ssize_t {
            return SSL_read(session, data, static_cast<int>(size));
          },
          [&](const char* data, std::size_t size) -> ssize_t {
            return SSL_write(session, data, static_cast<int>(size));
          });
      SSL_shutdown(session);
    }
    SSL_free(session);
  }
  const std::lock_guard lock(mutex_);
  std::erase(sockets_, socket);
  ::close(socket);
}

template <class Read, class Write>
void TestService::answer_requests(Read read, Write write) {
  std::string input;
  std::array<char, 16'384> buffer;
  while (true) {
    const std::size_t end = input.find("\r\n\r\n");
    ServiceRequest request;
    if (end != std::string::npos) request.head = input.substr(0, end + 4);
    const std::size_t size = request.head.size() + content_length(request.head);
    if (end == std::string::npos || input.size() < size) {
      const ssize_t count = read(buffer.data(), buffer.size());
      if (count <= 0) return;
      input.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    request.body = input.substr(request.head.size(), size - request.head.size());
    input.erase(0, size);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      most_at_once_ = std::max<std::size_t>(most_at_once_, ++at_once_);
    }
    const ServiceAnswer answer = handler_(request);
    --at_once_;
    std::string_view rest = answer.bytes;
    while (!rest.empty()) {
      const ssize_t count = write(rest.data(), rest.size());
      if (count <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
    if (answer.close) return;
  }
}

}  // namespace conat::auth
