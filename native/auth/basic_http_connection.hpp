// HttpConnection over one kind of stream: resolve, connect, (TLS,) then requests and answers.
//
// Included by the file that instantiates it, because Beast's templates are slow to compile.
// `Stream` is tcp::socket or ssl::stream over it; `lowest_socket` and `secure`, overloaded by those
// files, are the difference. Thread safety: none.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "auth/http_connection.hpp"

namespace conat::auth {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = boost::asio::ip::tcp;

template <class Stream>
class BasicHttpConnection final : public HttpConnection,
                                  public std::enable_shared_from_this<BasicHttpConnection<Stream>> {
 public:
  BasicHttpConnection(asio::io_context& context, std::shared_ptr<const HttpEndpoint> endpoint,
                      std::unique_ptr<Stream> stream)
      : endpoint_(std::move(endpoint)), resolver_(context), stream_(std::move(stream)) {}

  void post(const std::string& body, std::function<void(HttpResult)> done) override {
    done_ = std::move(done);
    request_ = {};
    request_.method(http::verb::post);
    request_.version(11);
    request_.target(endpoint_->address.target);
    request_.set(http::field::host, endpoint_->address.authority);
    request_.set(http::field::user_agent, "conatd");
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::accept, "application/json");
    for (const auto& [name, value] : endpoint_->headers) request_.set(name, value);
    request_.body() = body;
    request_.prepare_payload();
    reused_ = open_;
    if (open_) return write();
    resolver_.async_resolve(
        endpoint_->address.host, std::to_string(endpoint_->address.port),
        [self = this->shared_from_this()](error_code error, tcp::resolver::results_type results) {
          if (self->closed_) return;
          if (error) return self->fail("cannot find the host: " + error.message());
          self->connect(results);
        });
  }

  bool is_open() const override { return open_ && !closed_; }

  void close() override {
    closed_ = true;
    open_ = false;
    done_ = nullptr;
    resolver_.cancel();
    error_code ignored;
    lowest_socket(*stream_).close(ignored);
  }

 private:
  static constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;

  void connect(const tcp::resolver::results_type& results) {
    asio::async_connect(lowest_socket(*stream_), results,
                        [self = this->shared_from_this()](error_code error, const tcp::endpoint&) {
                          if (self->closed_) return;
                          if (error) return self->fail("cannot connect: " + error.message());
                          error_code ignored;
                          lowest_socket(*self->stream_).set_option(tcp::no_delay(true), ignored);
                          secure(*self->stream_, [self](error_code failure) {
                            if (self->closed_) return;
                            if (failure) return self->fail("TLS: " + failure.message());
                            self->open_ = true;
                            self->write();
                          });
                        });
  }

  void write() {
    http::async_write(*stream_, request_,
                      [self = this->shared_from_this()](error_code error, std::size_t) {
                        if (self->closed_) return;
                        // A service may answer and close before it has read everything.
                        self->write_failed_ = bool(error);
                        self->read();
                      });
  }

  void read() {
    buffer_.clear();  // nothing belongs to us that came before we asked
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(endpoint_->max_answer_bytes);
    http::async_read(*stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](error_code error, std::size_t size) {
                       if (!self->closed_) self->on_read(error, size);
                     });
  }

  void on_read(error_code error, std::size_t size) {
    if (error == http::error::body_limit || error == http::error::header_limit) {
      return fail("the answer is too large");
    }
    if (error) {
      const bool stale = reused_ && size == 0 && !parser_->got_some();
      const bool ended = error == http::error::end_of_stream ||
                         error == http::error::partial_message || write_failed_;
      return fail(
          ended ? "the connection was closed without an answer" : "no answer: " + error.message(),
          stale);
    }
    HttpResult result;
    result.answer.status = parser_->get().result_int();
    result.answer.body = std::move(parser_->get().body());
    if (!parser_->keep_alive() || write_failed_) open_ = false;
    finish(std::move(result));
  }

  void fail(std::string reason, bool stale = false) {
    open_ = false;
    HttpResult result;
    result.failure = std::move(reason);
    result.stale = stale;
    finish(std::move(result));
  }

  void finish(HttpResult result) {
    const auto done = std::exchange(done_, nullptr);
    if (!open_) close();
    done(std::move(result));
  }

  std::shared_ptr<const HttpEndpoint> endpoint_;
  std::function<void(HttpResult)> done_;
  tcp::resolver resolver_;
  std::unique_ptr<Stream> stream_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_{kMaxHeaderBytes + 64 * 1024};
  std::optional<http::response_parser<http::string_body>> parser_;
  bool open_ = false;    // connected, and the service has not said that it will close
  bool reused_ = false;  // was open before this request
  bool write_failed_ = false;
  bool closed_ = false;
};

}  // namespace conat::auth
