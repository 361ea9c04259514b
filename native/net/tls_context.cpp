#include "net/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

namespace conat::net {
namespace {

constexpr const char* tls12_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char alpn_http[] = "\x08http/1.1";

// What OpenSSL says about what has failed first, in few words.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown error";
}

Error failure(const std::string& what, const std::filesystem::path& file,
              const std::string& reason) {
  return Error(ErrorKind::invalid_argument, what + " " + file.string() + ": " + reason);
}

// A key with a passphrase is an error, not a question on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, out_size, alpn_http, sizeof alpn_http - 1,
                                           offered, offered_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, tls12_ciphers);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Idle connections hold no buffers. A write always takes everything.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
}

std::string text_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

bool is_readable(const std::filesystem::path& file) {
  std::FILE* stream = std::fopen(file.c_str(), "r");
  if (stream == nullptr) return false;
  std::fclose(stream);
  return true;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const std::filesystem::path& certificate,
                                                           const std::filesystem::path& key) {
  constexpr const char* bad_certificate = "cannot use the TLS certificate";
  constexpr const char* bad_key = "cannot use the TLS key";
  const std::string not_its_key = "it does not belong to the certificate " + certificate.string();
  ERR_clear_error();
  for (const auto& [what, file] :
       {std::pair{bad_certificate, certificate}, std::pair{bad_key, key}}) {
    if (!is_readable(file)) return failure(what, file, std::strerror(errno));
  }
  SSL_CTX* made = SSL_CTX_new(TLS_server_method());
  if (made == nullptr) return Error(ErrorKind::invalid_argument, "TLS: " + openssl_reason());
  std::shared_ptr<TlsContext> context(new TlsContext(made));
  configure(made);
  if (SSL_CTX_use_certificate_chain_file(made, certificate.c_str()) != 1) {
    return failure(bad_certificate, certificate,
                   "no certificate in PEM form (" + openssl_reason() + ")");
  }
  const X509* leaf = SSL_CTX_get0_certificate(made);
  if (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0) {
    return failure(bad_certificate, certificate,
                   "it has expired at " + text_of(X509_get0_notAfter(leaf)));
  }
  if (X509_cmp_current_time(X509_get0_notBefore(leaf)) >= 0) {
    return failure(bad_certificate, certificate,
                   "it is not valid before " + text_of(X509_get0_notBefore(leaf)));
  }
  context->valid_until_ = text_of(X509_get0_notAfter(leaf));
  if (SSL_CTX_use_PrivateKey_file(made, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    const bool mismatch =
        reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH;
    const std::string text =
        "no private key in PEM form, or one with a passphrase (" + openssl_reason() + ")";
    return failure(bad_key, key, mismatch ? not_its_key : text);
  }
  if (SSL_CTX_check_private_key(made) != 1) {
    ERR_clear_error();
    return failure(bad_key, key, not_its_key);
  }
  return std::shared_ptr<const TlsContext>(std::move(context));
}

void TlsCertificates::set_files(std::filesystem::path certificate, std::filesystem::path key) {
  certificate_ = std::move(certificate);
  key_ = std::move(key);
}

Status TlsCertificates::load() {
  auto loaded = TlsContext::load(certificate_, key_);
  if (!loaded) return loaded.error();
  const std::lock_guard lock(mutex_);
  current_ = std::move(*loaded);
  return Nothing{};
}

std::shared_ptr<const TlsContext> TlsCertificates::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace conat::net
