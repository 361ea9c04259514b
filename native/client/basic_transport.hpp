// The steps of a Transport, for plain TCP and for TLS: resolve, connect, (TLS,) upgrade, frames.
//
// Included by the file that instantiates it for one kind of stream, because Beast's templates are
// slow to compile. `Stream` is tcp::socket or ssl::stream over it; the differences are in
// `prepare_stream` and `secure`, overloaded by those files. Thread safety: none.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "client/handshake.hpp"
#include "client/transport.hpp"
#include "conat/wire/websocket.hpp"

namespace conat::native {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = boost::asio::ip::tcp;

template <class Stream>
class BasicTransport final : public Transport,
                             public std::enable_shared_from_this<BasicTransport<Stream>> {
 public:
  BasicTransport(asio::io_context& context, std::unique_ptr<Stream> stream,
                 TransportOptions options, TransportHandlers handlers, Random random)
      : options_(std::move(options)),
        handlers_(std::make_shared<TransportHandlers>(std::move(handlers))),
        random_(std::move(random)),
        resolver_(context),
        stream_(std::move(stream)),
        close_timer_(context),
        reader_(WebSocketRole::client, options_.max_message_bytes) {}

  void start() {
    resolver_.async_resolve(
        options_.address.host, std::to_string(options_.address.port),
        [self = this->shared_from_this()](error_code error, tcp::resolver::results_type results) {
          if (self->stopped()) return;
          if (error) return self->fail("cannot find the host: " + error.message());
          self->connect(results);
        });
  }

  // Instead of start(): what it would need is not there.
  void start_failed(std::string reason) {
    asio::post(stream_->get_executor(), [self = this->shared_from_this(), reason] {
      if (!self->stopped()) self->fail(reason);
    });
  }

  void send(const WireMessages& messages) override {
    if (closing_ || dead_) return;
    for (const WireMessage& message : messages) {
      append_masked_frame(queued_, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                          message.payload, random_.next_u32());
    }
    write_soon();
  }

  void close() override {
    if (closing_ || dead_) return;
    if (!open_) return die();
    say_goodbye(WebSocketCloseCode::normal);
  }

  std::size_t unsent_bytes() const override { return queued_.size() + writing_.size() - written_; }
  TransportTraffic traffic() const override { return traffic_; }

 private:
  static constexpr std::size_t kReadBufferBytes = 64 * 1024;
  // A write buffer that has grown beyond this is given back.
  static constexpr std::size_t kKeptBufferBytes = 1u << 20;
  static constexpr std::size_t kWritePartBytes = 1u << 20;
  static constexpr std::chrono::seconds kCloseGrace{1};

  // Handlers of operations that were under way when the transport ended have nothing to do.
  bool stopped() const { return dead_ || (closing_ && !open_); }
  tcp::socket& socket() { return lowest_socket(*stream_); }

  void connect(const tcp::resolver::results_type& results) {
    asio::async_connect(socket(), results,
                        [self = this->shared_from_this()](error_code error, const tcp::endpoint&) {
                          if (self->stopped()) return;
                          if (error) return self->fail("cannot connect: " + error.message());
                          error_code ignored;
                          self->socket().set_option(tcp::no_delay(true), ignored);
                          secure(*self->stream_, [self](error_code failure) {
                            if (self->stopped()) return;
                            if (failure) return self->fail("TLS: " + failure.message());
                            self->upgrade();
                          });
                        });
  }

  void upgrade() {
    const std::string key = websocket_key(random_);
    expected_accept_ = websocket_accept_of(key);
    request_.method(http::verb::get);
    request_.version(11);
    request_.target(options_.address.target());
    request_.set(http::field::host, options_.address.authority());
    request_.set(http::field::upgrade, "websocket");
    request_.set(http::field::connection, "Upgrade");
    request_.set(http::field::sec_websocket_key, key);
    request_.set(http::field::sec_websocket_version, "13");
    for (const auto& [name, value] : options_.headers) request_.set(name, value);
    http::async_write(*stream_, request_,
                      [self = this->shared_from_this()](error_code error, std::size_t) {
                        if (self->stopped()) return;
                        if (error) return self->fail("cannot send: " + error.message());
                        self->read_response();
                      });
  }

  void read_response() {
    http::async_read_header(*stream_, response_bytes_, response_,
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (self->stopped()) return;
                              if (error) return self->fail("no answer: " + error.message());
                              self->on_response();
                            });
  }

  void on_response() {
    const auto& response = response_.get();
    if (response.result() != http::status::switching_protocols) {
      return fail("the server answered HTTP " + std::to_string(response.result_int()) +
                  ": is there a conat server at " + options_.address.url() + "?");
    }
    const auto accept = response[http::field::sec_websocket_accept];
    if (std::string_view(accept.data(), accept.size()) != expected_accept_) {
      return fail("the server's WebSocket handshake is wrong");
    }
    open_ = true;
    std::shared_ptr<TransportHandlers>(handlers_)->opened();
    if (dead_) return;
    // Frames that came in the same read as the response.
    const auto left = response_bytes_.data();
    Bytes first(static_cast<const std::uint8_t*>(left.data()),
                static_cast<const std::uint8_t*>(left.data()) + left.size());
    response_bytes_.clear();
    if (!take(first)) return;
    read_more();
  }

  void read_more() {
    stream_->async_read_some(asio::buffer(read_buffer_),
                             [self = this->shared_from_this()](error_code error, std::size_t size) {
                               if (self->dead_) return;
                               if (error) {
                                 // After our goodbye this is the peer's.
                                 if (self->closing_) return self->die();
                                 return self->fail("connection lost: " + error.message());
                               }
                               self->traffic_.read += size;
                               if (self->take({self->read_buffer_.data(), size})) self->read_more();
                             });
  }

  // False when the connection has ended and nothing more is to be read.
  bool take(std::span<std::uint8_t> bytes) {
    if (closing_) return !dead_;  // dropped: reading only waits for the end
    reader_.feed(bytes);
    const std::shared_ptr<TransportHandlers> handlers = handlers_;
    while (!closing_ && !dead_) {
      switch (reader_.next()) {
        case WebSocketReader::Step::need_more:
          return true;
        case WebSocketReader::Step::message:
          handlers->message(reader_.binary(), reader_.payload());
          break;
        case WebSocketReader::Step::ping:
          append_masked_frame(queued_, WebSocketOpcode::pong, reader_.payload(),
                              random_.next_u32());
          write_soon();
          break;
        case WebSocketReader::Step::pong:
          break;
        case WebSocketReader::Step::close:
          say_goodbye(WebSocketCloseCode::normal);
          handlers->closed("the server closed the connection (" +
                           std::to_string(static_cast<unsigned>(reader_.close_code())) + ")");
          break;
        case WebSocketReader::Step::error:
          say_goodbye(reader_.close_code());
          handlers->closed("the server sent malformed frames");
          break;
      }
    }
    return !dead_;
  }

  void say_goodbye(WebSocketCloseCode code) {
    const auto number = static_cast<std::uint16_t>(code);
    const std::array<std::uint8_t, 2> payload{static_cast<std::uint8_t>(number >> 8),
                                              static_cast<std::uint8_t>(number & 0xff)};
    append_masked_frame(queued_, WebSocketOpcode::close, payload, random_.next_u32());
    closing_ = true;
    handlers_.reset();
    close_timer_.expires_after(kCloseGrace);
    close_timer_.async_wait([self = this->shared_from_this()](error_code error) {
      if (!error) self->die();
    });
    write_soon();
  }

  void write_soon() {
    if (write_scheduled_ || !writing_.empty()) return;
    write_scheduled_ = true;
    asio::post(stream_->get_executor(), [self = this->shared_from_this()] {
      self->write_scheduled_ = false;
      self->write();
    });
  }

  void write() {
    if (dead_ || !open_ || !writing_.empty()) return;
    if (queued_.empty()) {
      // Everything is out. Our end closes; the peer's is awaited, because closing with unread bytes
      // would make the system throw away what the peer has not read yet.
      error_code ignored;
      if (closing_) socket().shutdown(tcp::socket::shutdown_send, ignored);
      return;
    }
    writing_.swap(queued_);
    write_part();
  }

  // A part at a time, so that the progress of much that is written slowly can be seen.
  void write_part() {
    const auto rest = asio::buffer(writing_) + written_;
    asio::async_write(*stream_, asio::buffer(rest, kWritePartBytes),
                      [self = this->shared_from_this()](error_code error, std::size_t size) {
                        self->traffic_.written += size;
                        self->written_ += size;
                        if (self->dead_) return;
                        if (error) {
                          if (self->closing_) return self->die();
                          return self->fail("connection lost: " + error.message());
                        }
                        self->on_part_written();
                      });
  }

  void on_part_written() {
    const bool all = written_ == writing_.size();
    if (all) {
      written_ = 0;
      writing_.clear();
      if (writing_.capacity() > kKeptBufferBytes) writing_ = {};
    }
    const std::shared_ptr<TransportHandlers> handlers = handlers_;
    if (handlers && handlers->written) handlers->written();
    if (dead_) return;
    if (all) return write();
    write_part();
  }

  void fail(const std::string& reason) {
    const std::shared_ptr<TransportHandlers> handlers = handlers_;
    die();
    if (handlers) handlers->closed(reason);
  }

  void die() {
    dead_ = true;
    handlers_.reset();
    resolver_.cancel();
    close_timer_.cancel();
    error_code ignored;
    socket().close(ignored);
  }

  TransportOptions options_;
  // Null when the owner is to hear nothing more. Shared, since a handler may end the transport
  // that is calling it.
  std::shared_ptr<TransportHandlers> handlers_;
  Random random_;
  tcp::resolver resolver_;
  std::unique_ptr<Stream> stream_;
  asio::steady_timer close_timer_;
  http::request<http::empty_body> request_;
  beast::flat_buffer response_bytes_{64 * 1024};
  http::response_parser<http::empty_body> response_;
  std::string expected_accept_;
  WebSocketReader reader_;
  std::array<std::uint8_t, kReadBufferBytes> read_buffer_;
  Bytes queued_;
  Bytes writing_;
  std::size_t written_ = 0;  // of `writing_`
  TransportTraffic traffic_;
  bool open_ = false;     // the handshake is done
  bool closing_ = false;  // the closing frame is queued; the owner hears nothing more
  bool dead_ = false;
  bool write_scheduled_ = false;
};

}  // namespace conat::native
