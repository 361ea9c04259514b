#include "net/stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

namespace conat::net {
namespace {

// A stream over one end of a socket pair; the test holds the other end.
class Pair final : public StreamOwner {
 public:
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    Socket socket(loop_.context());
    socket.assign(asio::ip::tcp::v4(), ends[0]);
    peer_ = ends[1];
    stream_ = std::make_shared<Stream>(loop_, std::move(socket), *this);
    stream_->start_reading();
  }
  ~Pair() {
    stream_->abort();
    close_peer();
  }

  Stream& stream() { return *stream_; }
  Loop& loop() { return loop_; }

  // Handles what is ready, turn ends included.
  void run() {
    loop_.context().restart();
    while (loop_.context().poll() > 0) continue;
  }
  void write(std::string_view text) {
    REQUIRE(::send(peer_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
    run();
  }
  // Everything that the stream has written until it is quiet.
  std::string read() {
    std::string result;
    char bytes[65536];
    while (true) {
      run();
      const ssize_t count = ::recv(peer_, bytes, sizeof bytes, MSG_DONTWAIT);
      if (count == 0) peer_saw_end = true;
      if (count <= 0) return result;
      result.append(bytes, static_cast<std::size_t>(count));
    }
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
  bool peer_saw_end = false;

 private:
  Loop loop_;
  std::shared_ptr<Stream> stream_;
  int peer_ = -1;
};

SharedBytes bytes_of(std::string_view text) { return SharedBytes::copy_of(as_bytes(text)); }

}  // namespace

TEST_CASE("Bytes come in and go out in order") {
  Pair pair;
  pair.echo = true;
  pair.write("hello ");
  pair.write("world");
  CHECK(pair.received == "hello world");
  CHECK(pair.read() == "hello world");
  CHECK(pair.written == 11);
}

TEST_CASE("What is sent in one turn leaves with one write") {
  Pair pair;
  for (int i = 0; i < 1000; ++i) pair.stream().send(bytes_of("0123456789"));
  CHECK(pair.read().size() == 10'000);
  CHECK(pair.loop().counters().writes == 1);
}

TEST_CASE("More than the kernel takes waits and arrives") {
  Pair pair;
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string text(static_cast<std::size_t>(i % 7 == 0 ? 9000 : 100), static_cast<char>(i));
    expected += text;
    pair.stream().send(bytes_of(text));
  }
  pair.run();
  CHECK(pair.stream().unsent_bytes() > 0);
  CHECK(pair.written < expected.size());
  CHECK(pair.read() == expected);
  CHECK(pair.written == expected.size());
  CHECK(pair.stream().unsent_bytes() == 0);
}

TEST_CASE("A paused stream leaves bytes with the kernel") {
  Pair pair;
  pair.write("a");
  pair.stream().pause_reading();
  pair.write("b");
  CHECK(pair.received == "a");
  pair.stream().resume_reading();
  pair.run();
  CHECK(pair.received == "ab");
}

TEST_CASE("Held reads go on where they stopped") {
  Pair pair;
  pair.loop().hold_reads();
  pair.write("a");
  pair.write("b");
  CHECK(pair.received.empty());
  pair.loop().release_reads();
  pair.run();
  CHECK(pair.received == "ab");
  pair.write("c");
  CHECK(pair.received == "abc");
}

TEST_CASE("The peer's end is reported once") {
  Pair pair;
  pair.close_peer();
  pair.run();
  CHECK(pair.closed == 1);
  CHECK(!pair.stream().is_open());
  pair.stream().send(bytes_of("x"));
  pair.run();
  CHECK(pair.closed == 1);
  CHECK(pair.loop().streams() == 0);
}

TEST_CASE("Closing writes what is queued, then the end, and waits for the peer's") {
  Pair pair;
  const std::string large(3'000'000, 'x');
  pair.stream().send(bytes_of(large));
  pair.stream().close(60'000);
  pair.stream().send(bytes_of("never"));
  pair.run();
  CHECK(pair.loop().streams() == 1);
  pair.write("ignored");
  CHECK(pair.read() == large);
  CHECK(pair.peer_saw_end);
  CHECK(pair.received.empty());
  CHECK(pair.loop().streams() == 1);
  pair.close_peer();
  pair.run();
  CHECK(pair.loop().streams() == 0);
  CHECK(pair.closed == 0);
}

TEST_CASE("Closing has a limit in time") {
  Pair pair;
  pair.stream().send(bytes_of(std::string(3'000'000, 'x')));
  pair.stream().close(20);
  bool ended = false;
  pair.loop().when_no_streams([&] {
    ended = true;
    pair.loop().stop();
  });
  pair.loop().run();
  CHECK(ended);
  CHECK(pair.loop().streams() == 0);
}

TEST_CASE("Closing a stream that lags behind drops all but what is begun and the reason") {
  Pair pair;
  const std::string block(100'000, 'x');
  for (int i = 0; i < 50; ++i) pair.stream().send(bytes_of(block));
  pair.run();
  pair.stream().send(bytes_of("the reason"));
  pair.stream().close_dropping(60'000, [](const SharedBytes&) { return true; });
  const std::string text = pair.read();
  CHECK(text.size() < 50 * block.size());
  CHECK((text.size() - 10) % block.size() == 0);
  CHECK(text.substr(text.size() - 10) == "the reason");
  CHECK(pair.peer_saw_end);
}

TEST_CASE("The end of the last stream is reported, also when there is none") {
  Pair pair;
  int ends = 0;
  pair.loop().when_no_streams([&] { ++ends; });
  pair.run();
  CHECK(ends == 0);
  pair.stream().abort();
  pair.run();
  CHECK(ends == 1);
  pair.loop().when_no_streams([&] { ++ends; });
  pair.run();
  CHECK(ends == 2);
}

}  // namespace conat::net
