#include "cli/tls_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>

namespace conat::test {
namespace {

sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

X509* make_certificate(EVP_PKEY* key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  return certificate;
}

// Passes bytes both ways until one side ends.
void pass_on(SSL* ssl, int client, int target, int stop) {
  char buffer[16'384];
  while (true) {
    pollfd waits[3] = {{client, POLLIN, 0}, {target, POLLIN, 0}, {stop, POLLIN, 0}};
    if (SSL_pending(ssl) == 0 && ::poll(waits, 3, -1) <= 0) return;
    if (waits[2].revents != 0) return;
    if (SSL_pending(ssl) > 0 || waits[0].revents != 0) {
      const int size = SSL_read(ssl, buffer, sizeof buffer);
      if (size <= 0 || ::write(target, buffer, static_cast<std::size_t>(size)) != size) return;
    }
    if (waits[1].revents != 0) {
      const ssize_t size = ::read(target, buffer, sizeof buffer);
      if (size <= 0 || SSL_write(ssl, buffer, static_cast<int>(size)) != size) return;
    }
  }
}

}  // namespace

TlsProxy::TlsProxy(std::uint16_t target_port, const std::string& certificate_path)
    : target_port_(target_port) {
  std::signal(SIGPIPE, SIG_IGN);
  EVP_PKEY* key = EVP_EC_gen("P-256");
  REQUIRE(key != nullptr);
  X509* certificate = make_certificate(key);
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  context_ = context;
  REQUIRE(SSL_CTX_use_certificate(context, certificate) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context, key) == 1);
  std::FILE* file = std::fopen(certificate_path.c_str(), "w");
  REQUIRE(file != nullptr);
  REQUIRE(PEM_write_X509(file, certificate) == 1);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);

  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener_, 5) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  REQUIRE(::pipe(stop_) == 0);
  thread_ = std::thread([this] { run(); });
}

TlsProxy::~TlsProxy() {
  ::close(stop_[1]);
  thread_.join();
  ::close(stop_[0]);
  ::close(listener_);
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

// One connection at a time is all that the tests make.
void TlsProxy::run() {
  while (true) {
    pollfd waits[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    if (::poll(waits, 2, -1) <= 0 || waits[1].revents != 0) return;
    const int client = ::accept(listener_, nullptr, nullptr);
    SSL* ssl = SSL_new(static_cast<SSL_CTX*>(context_));
    SSL_set_fd(ssl, client);
    if (SSL_accept(ssl) == 1) {
      const int target = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address = local(target_port_);
      if (::connect(target, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        pass_on(ssl, client, target, stop_[0]);
      }
      ::close(target);
    }
    SSL_free(ssl);
    ::close(client);
  }
}

}  // namespace conat::test
