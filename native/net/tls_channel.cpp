#include "net/tls_channel.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

namespace conat::net {
namespace {

// The first byte of every TLS handshake.
constexpr std::uint8_t handshake_record = 0x16;
// Whoever makes OpenSSL answer more than this without taking it (handshakes, alerts, key updates)
// is no client. The stream encrypts a quarter of it at a time.
constexpr std::size_t max_unsent_bytes = 1u << 20;
// What a record adds to its at most 16 KiB of plain text, generously.
constexpr std::size_t record_bytes = 16 * 1024;
constexpr std::size_t record_overhead = 64;

constexpr std::string_view plain_answer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 24\r\nConnection: close\r\n\r\nThis port speaks HTTPS.\n";

}  // namespace

// A BIO that reads from the channel's input and appends to what it has to send.
struct TlsChannel::Memory {
  static TlsChannel& of(BIO* bio) { return *static_cast<TlsChannel*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* out, int size) {
    TlsChannel& channel = of(bio);
    BIO_clear_retry_flags(bio);
    const std::size_t count = std::min(channel.input_.size(), static_cast<std::size_t>(size));
    if (count == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    std::memcpy(out, channel.input_.data(), count);
    channel.input_ = channel.input_.subspan(count);
    return static_cast<int>(count);
  }

  static int write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    append(of(bio).unsent_, std::string_view(bytes, static_cast<std::size_t>(size)));
    return size;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory");
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

TlsChannel::TlsChannel(const TlsContext& context) : session_(SSL_new(context.get())) {
  BIO* const bio = BIO_new(Memory::method());
  if (session_ == nullptr || bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(session_, bio, bio);  // owns it
  SSL_set_accept_state(session_);
}

TlsChannel::~TlsChannel() { SSL_free(session_); }

void TlsChannel::feed(ByteView ciphertext) { input_ = ciphertext; }

// Judged by the first byte, before OpenSSL sees anything.
bool TlsChannel::is_other_protocol() {
  if (touched_ || input_.empty()) return false;
  touched_ = true;
  return input_.front() != handshake_record;
}

TlsChannel::Step TlsChannel::read(std::span<std::uint8_t> plain, std::size_t& size) {
  size = 0;
  if (broken_) return Step::failed;
  if (is_other_protocol()) {
    broken_ = true;
    const std::uint8_t first = input_.front();
    if (first < 'A' || first > 'Z') return Step::failed;
    append(unsent_, plain_answer);
    return Step::plain_http;
  }
  ERR_clear_error();
  const int result = SSL_read_ex(session_, plain.data(), plain.size(), &size);
  if (unsent().size() > max_unsent_bytes) {
    broken_ = true;
    return Step::failed;
  }
  if (result == 1) return Step::bytes;
  switch (SSL_get_error(session_, result)) {
    case SSL_ERROR_WANT_READ:
      return Step::need_more;
    case SSL_ERROR_ZERO_RETURN:
      return Step::ended;
    default:
      ERR_clear_error();
      broken_ = true;
      return Step::failed;
  }
}

bool TlsChannel::is_ready() const { return !broken_ && SSL_is_init_finished(session_) == 1; }

bool TlsChannel::encrypt(ByteView plain) {
  ERR_clear_error();
  unsent_.reserve(unsent_.size() + plain.size() +
                  (plain.size() / record_bytes + 1) * record_overhead);
  std::size_t written = 0;
  if (SSL_write_ex(session_, plain.data(), plain.size(), &written) == 1) return true;
  ERR_clear_error();
  broken_ = true;
  return false;
}

bool TlsChannel::say_end() {
  if (said_end_ || !is_ready()) return false;
  said_end_ = true;
  ERR_clear_error();
  SSL_shutdown(session_);
  return has_unsent();
}

void TlsChannel::consume(std::size_t count) {
  sent_ += count;
  if (sent_ < unsent_.size()) return;
  sent_ = 0;
  Bytes().swap(unsent_);
}

}  // namespace conat::net
