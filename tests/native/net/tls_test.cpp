// Streams over TLS, against OpenSSL's own client.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <string>

#include "certificates.hpp"
#include "net/stream.hpp"
#include "net/tls_context.hpp"

namespace conat::net {
namespace {

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "conat-tls-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::shared_ptr<const TlsContext> context_of_test() {
  static const auto context = [] {
    const Directory directory;
    const auto files = test::write_certificate(test::make_certificate(), directory.path());
    auto loaded = TlsContext::load(files.certificate, files.key);
    REQUIRE(loaded);
    return *loaded;
  }();
  return context;
}

struct ClientOptions {
  std::string alpn;  // in wire form
  int max_version = 0;
  SSL_SESSION* session = nullptr;
};

// A stream over one end of a socket pair, and a TLS client over the other.
class TlsPair final : public StreamOwner {
 public:
  explicit TlsPair(ClientOptions options = {})
      : settings_(SSL_CTX_new(TLS_client_method())), client_(SSL_new(settings_)) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    Socket socket(loop_.context());
    socket.assign(asio::ip::tcp::v4(), ends[0]);
    peer_ = ends[1];
    stream_ = std::make_shared<Stream>(loop_, std::move(socket), *this,
                                       std::make_unique<TlsChannel>(*context_of_test()));
    stream_->start_reading();
    SSL_set_fd(client_, peer_);
    SSL_set_connect_state(client_);
    if (options.max_version != 0) {
      SSL_set_security_level(client_, 0);
      SSL_set_max_proto_version(client_, options.max_version);
    }
    if (options.session != nullptr) SSL_set_session(client_, options.session);
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(client_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    }
  }
  ~TlsPair() {
    stream_->abort();
    SSL_free(client_);
    SSL_CTX_free(settings_);
    close_peer();
  }

  Stream& stream() { return *stream_; }
  SSL* client() { return client_; }
  int peer() const { return peer_; }

  void run() {
    loop_.context().restart();
    while (loop_.context().poll() > 0) continue;
  }
  // True when the handshake has come to a good end.
  bool handshake() {
    for (int i = 0; i < 100; ++i) {
      const int result = SSL_do_handshake(client_);
      run();
      if (result == 1) return true;
      if (SSL_get_error(client_, result) != SSL_ERROR_WANT_READ) return false;
    }
    return false;
  }
  void write(std::string_view text) {
    while (!text.empty()) {
      std::size_t count = 0;
      ERR_clear_error();
      if (SSL_write_ex(client_, text.data(), std::min<std::size_t>(text.size(), 16'000), &count) ==
          1) {
        text.remove_prefix(count);
      }
      run();
    }
  }
  // What has come for the client until it is quiet, or as much as `limit`.
  std::string read(std::size_t limit = std::size_t{1} << 40) {
    std::string result;
    char bytes[16'384];
    while (result.size() < limit) {
      run();
      std::size_t count = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(client_, bytes, sizeof bytes, &count);
      if (done != 1) {
        const int error = SSL_get_error(client_, done);
        saw_end = error == SSL_ERROR_ZERO_RETURN;
        broke = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
        return result;
      }
      result.append(bytes, count);
    }
    return result;
  }
  std::string read_raw() {
    run();
    char bytes[4096];
    const ssize_t count = ::recv(peer_, bytes, sizeof bytes, MSG_DONTWAIT);
    return count <= 0 ? std::string() : std::string(bytes, static_cast<std::size_t>(count));
  }
  void close_peer() {
    if (peer_ >= 0) ::close(std::exchange(peer_, -1));
  }

  void on_stream_bytes(Stream&, std::span<std::uint8_t> bytes) override {
    received += as_text(bytes);
    if (echo) stream_->send(SharedBytes::copy_of(bytes));
  }
  void on_stream_written(Stream&, std::size_t bytes) override { written += bytes; }
  void on_stream_closed(Stream&) override { ++closed; }

  std::string received;
  std::size_t written = 0;
  int closed = 0;
  bool echo = false;
  bool saw_end = false;
  bool broke = false;

 private:
  Loop loop_;
  std::shared_ptr<Stream> stream_;
  SSL_CTX* settings_;
  SSL* client_;
  int peer_ = -1;
};

SharedBytes bytes_of(std::string_view text) { return SharedBytes::copy_of(as_bytes(text)); }

std::string error_of(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  const auto loaded = TlsContext::load(certificate, key);
  return loaded ? std::string() : loaded.error().text;
}

}  // namespace

TEST_CASE("TLS carries bytes in both directions, in order") {
  TlsPair pair;
  pair.echo = true;
  REQUIRE(pair.handshake());
  CHECK(std::string(SSL_get_version(pair.client())) == "TLSv1.3");
  pair.write("hello ");
  pair.write("world");
  CHECK(pair.received == "hello world");
  CHECK(pair.read() == "hello world");
  CHECK(pair.written == 11);
  CHECK_FALSE(pair.stream().has_unsent());
}

TEST_CASE("TLS 1.2 is spoken, 1.1 is not") {
  TlsPair old({.alpn = {}, .max_version = TLS1_2_VERSION});
  CHECK(old.handshake());
  TlsPair older({.alpn = {}, .max_version = TLS1_1_VERSION});
  CHECK_FALSE(older.handshake());
  CHECK(older.closed == 1);
}

TEST_CASE("Much waits in TLS streams, is counted byte for byte, and arrives") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string text(static_cast<std::size_t>(i % 7 == 0 ? 9000 : 100), static_cast<char>(i));
    expected += text;
    pair.stream().send(bytes_of(text));
  }
  expected += std::string(3'000'000, 'x');
  pair.stream().send(bytes_of(std::string_view(expected).substr(expected.size() - 3'000'000)));
  pair.run();
  CHECK(pair.stream().has_unsent());
  CHECK(pair.written < expected.size());
  CHECK(pair.written + pair.stream().unsent_bytes() == expected.size());
  CHECK(pair.read() == expected);
  CHECK(pair.written == expected.size());
  CHECK(pair.stream().unsent_bytes() == 0);
}

TEST_CASE("A large message comes through TLS whole") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  std::string text;
  for (int i = 0; i < 2'000'000; ++i) text.push_back(static_cast<char>(i % 251));
  pair.write(text);
  CHECK(pair.received == text);
}

TEST_CASE("A paused TLS stream leaves bytes with the kernel") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  pair.write("a");
  pair.stream().pause_reading();
  pair.write("b");
  CHECK(pair.received == "a");
  pair.stream().resume_reading();
  pair.run();
  CHECK(pair.received == "ab");
}

TEST_CASE("close() of a TLS stream sends the rest and says that it is the end") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  const std::string text(2'000'000, 'r');
  pair.stream().send(bytes_of(text));
  pair.stream().close(60'000);
  CHECK(pair.read() == text);
  CHECK(pair.saw_end);
  pair.close_peer();
  pair.run();
  CHECK(pair.closed == 0);
}

TEST_CASE("The end of a TLS client is the end of the stream") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  SECTION("announced") {
    pair.write("last words");
    SSL_shutdown(pair.client());
  }
  SECTION("cut off") {
    pair.write("last words");
    pair.close_peer();
  }
  pair.run();
  CHECK(pair.received == "last words");
  CHECK(pair.closed == 1);
  CHECK_FALSE(pair.stream().is_open());
}

TEST_CASE("Without TLS a TLS stream answers HTTP, and closes on everything else") {
  TlsPair pair;
  std::string bytes;
  bool answered = false;
  SECTION("HTTP") {
    bytes = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    answered = true;
  }
  SECTION("noise") { bytes = std::string("\x00\xff\x17 noise", 9); }
  SECTION("a handshake that is none") {
    bytes = std::string("\x16\x03\x01\x02\x00\x01", 6) + std::string(600, 'n');
  }
  SECTION("a record that is too long") {
    bytes = "\x16\x03\x01\xff\xff\x01" + std::string(600, 'n');
  }
  REQUIRE(::send(pair.peer(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
  const std::string answer = pair.read_raw();
  CHECK((answer.find("HTTP/1.1 400 ") == 0) == answered);
  CHECK(pair.closed == 1);
  CHECK(pair.received.empty());
}

TEST_CASE("A TLS record damaged on its way ends the connection") {
  TlsPair pair;
  REQUIRE(pair.handshake());
  pair.write("good");
  const std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'f');
  REQUIRE(::send(pair.peer(), forged.data(), forged.size(), MSG_NOSIGNAL) > 0);
  pair.run();
  CHECK(pair.received == "good");
  CHECK(pair.closed == 1);
}

TEST_CASE("ALPN knows http/1.1 alone") {
  TlsPair both({.alpn = "\x02h2\x08http/1.1"});
  REQUIRE(both.handshake());
  const unsigned char* chosen = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(both.client(), &chosen, &size);
  CHECK(std::string(reinterpret_cast<const char*>(chosen), size) == "http/1.1");
  TlsPair other({.alpn = "\x02h2"});
  CHECK_FALSE(other.handshake());
  CHECK(other.closed == 1);
}

TEST_CASE("A TLS session is resumed by its ticket") {
  TlsPair first;
  first.echo = true;
  REQUIRE(first.handshake());
  CHECK(SSL_session_reused(first.client()) == 0);
  first.write("x");
  CHECK(first.read() == "x");  // the tickets came before it
  SSL_SESSION* session = SSL_get1_session(first.client());
  REQUIRE(SSL_SESSION_is_resumable(session) == 1);
  {
    TlsPair second({.alpn = {}, .max_version = 0, .session = session});
    REQUIRE(second.handshake());
    CHECK(SSL_session_reused(second.client()) == 1);
  }
  SSL_SESSION_free(session);
}

TEST_CASE("Certificates and keys that cannot be used are refused in one line") {
  const Directory directory;
  const auto good = test::write_certificate(test::make_certificate(), directory.path());
  const auto other = directory.path() / "other";
  std::filesystem::create_directory(other);
  const auto write_other = [&](const test::Certificate& certificate) {
    return test::write_certificate(certificate, other);
  };
  std::string error;
  std::string expected;
  SECTION("no certificate") {
    error = error_of(directory.path() / "none.pem", good.key);
    expected = "cannot use the TLS certificate " + (directory.path() / "none.pem").string() +
               ": No such file or directory";
  }
  SECTION("no key") {
    error = error_of(good.certificate, directory.path() / "none.pem");
    expected = "cannot use the TLS key " + (directory.path() / "none.pem").string() +
               ": No such file or directory";
  }
  SECTION("no PEM") {
    const auto file = directory.path() / "text.pem";
    std::ofstream(file) << "hello\n";
    error = error_of(file, good.key);
    expected = "cannot use the TLS certificate " + file.string() + ": ";
  }
  SECTION("the key of another certificate") {
    const auto files = write_other(test::make_certificate());
    error = error_of(good.certificate, files.key);
    expected = "cannot use the TLS key " + files.key.string() +
               ": it does not belong to the certificate " + good.certificate.string();
  }
  SECTION("expired") {
    const auto files = write_other(test::make_certificate(-7200, -3600));
    error = error_of(files.certificate, files.key);
    expected =
        "cannot use the TLS certificate " + files.certificate.string() + ": it has expired at 20";
  }
  SECTION("not valid yet") {
    const auto files = write_other(test::make_certificate(3600, 7200));
    error = error_of(files.certificate, files.key);
    expected = "cannot use the TLS certificate " + files.certificate.string() +
               ": it is not valid before 20";
  }
  CHECK(error.substr(0, expected.size()) == expected);
  CHECK(error.size() > 10);
  CHECK(error.find('\n') == std::string::npos);
}

TEST_CASE("Bad files leave the certificate in use") {
  const Directory directory;
  const auto files = test::write_certificate(test::make_certificate(), directory.path());
  TlsCertificates certificates;
  CHECK(certificates.current() == nullptr);
  certificates.set_files(files.certificate, files.key);
  REQUIRE(certificates.load());
  const auto first = certificates.current();
  std::ofstream(files.key) << "broken";
  CHECK_FALSE(certificates.load());
  CHECK(certificates.current() == first);
  test::write_certificate(test::make_certificate(), directory.path());
  CHECK(certificates.load());
  CHECK(certificates.current() != first);
}

}  // namespace conat::net
