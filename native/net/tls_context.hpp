// What the TLS connections of a process have in common: certificate chain and key, protocol
// versions, the keys of session tickets.
//
// TLS 1.2 with forward secrecy and authenticated encryption, or 1.3; ALPN knows "http/1.1" alone.
// Sessions are resumed by tickets, so nothing is kept for a client that has gone.
// Thread safety: a TlsContext is immutable and may be used by all threads; TlsCertificates is for
// all threads.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "conat/base/result.hpp"

struct ssl_ctx_st;

namespace conat::net {

class TlsContext {
 public:
  // Reads PEM files: the certificate with its chain behind it, and its private key, without a
  // passphrase. Refuses a certificate that is not valid now or does not belong to the key; the
  // error's text is one line for the user.
  static Result<std::shared_ptr<const TlsContext>> load(const std::filesystem::path& certificate,
                                                        const std::filesystem::path& key);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // OpenSSL counts references: a connection keeps what it was accepted with.
  ssl_ctx_st* get() const { return context_; }
  // "2027-01-31T12:00:00Z": until then the certificate is valid.
  const std::string& valid_until() const { return valid_until_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

  ssl_ctx_st* context_;
  std::string valid_until_;
};

// The context that new connections get; replaced while the process runs.
class TlsCertificates {
 public:
  // Before the first load(). Without files every connection is plain.
  void set_files(std::filesystem::path certificate, std::filesystem::path key);
  // Reads the files (again). On an error what was in use stays in use.
  Status load();
  // Null when there is none.
  std::shared_ptr<const TlsContext> current() const;

 private:
  std::filesystem::path certificate_;
  std::filesystem::path key_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> current_;
};

}  // namespace conat::net
