// The TLS of one connection, between its ciphertext and its plain text: an OpenSSL session that
// reads from memory and writes to memory. Sockets are the Stream's business.
//
// feed() the bytes that came, then read() until it returns something else than `bytes`; encrypt()
// what is to be sent; and after each of them send what unsent() holds. An idle channel holds no
// buffers.
// Thread safety: none, the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "conat/base/bytes.hpp"
#include "net/tls_context.hpp"

struct ssl_st;
struct bio_st;

namespace conat::net {

class TlsChannel {
 public:
  enum class Step : std::uint8_t {
    bytes,      // plain text was read
    need_more,  // everything fed was taken
    ended,      // the peer says that it sends nothing more
    failed,     // no TLS, a failed handshake, damaged records: an alert may be in unsent()
    plain_http  // the peer speaks HTTP without TLS: a plain answer is in unsent()
  };

  explicit TlsChannel(const TlsContext& context);
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  // `ciphertext` must stay alive until read() has returned need_more (or an end).
  void feed(ByteView ciphertext);
  Step read(std::span<std::uint8_t> plain, std::size_t& size);

  // The handshake is done: encrypt() may be called.
  bool is_ready() const;
  // Appends to unsent(); false when the session is broken.
  bool encrypt(ByteView plain);
  // Appends the notice that nothing more will come, once; false when there is none to send.
  bool say_end();

  // Ciphertext that is to be sent, from the front. Short of memory when it is empty.
  ByteView unsent() const { return ByteView(unsent_).subspan(sent_); }
  bool has_unsent() const { return sent_ < unsent_.size(); }
  void consume(std::size_t count);

 private:
  struct Memory;  // OpenSSL's door to input_ and unsent_

  bool is_other_protocol();

  ssl_st* session_;
  ByteView input_;
  Bytes unsent_;
  std::size_t sent_ = 0;
  bool touched_ = false;
  bool said_end_ = false;
  bool broken_ = false;
};

}  // namespace conat::net
