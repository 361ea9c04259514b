#include "net/http_reader.hpp"

// Asio's 1.74 needs <utility> before it.
// clang-format off
#include <utility>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
// clang-format on

namespace conat::net {
namespace {

namespace http = boost::beast::http;

std::string text_of(boost::beast::string_view view) { return {view.data(), view.size()}; }

// Splits "/path?query", also when it comes as "http://host/path?query".
void split_target(std::string_view target, HttpRequest& request) {
  if (!target.empty() && target.front() != '/') {
    const auto scheme = target.find("://");
    const auto path = scheme == std::string_view::npos ? scheme : target.find('/', scheme + 3);
    if (path != std::string_view::npos) target.remove_prefix(path);
  }
  target = target.substr(0, target.find('#'));
  const auto question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
}

}  // namespace

class HttpReader::Parser {
 public:
  explicit Parser(std::size_t max_header_bytes) {
    parser_.header_limit(static_cast<std::uint32_t>(max_header_bytes));
  }
  http::request_parser<http::empty_body>& get() { return parser_; }

 private:
  http::request_parser<http::empty_body> parser_;
};

HttpReader::HttpReader(std::size_t max_header_bytes) : max_header_bytes_(max_header_bytes) {}
HttpReader::~HttpReader() = default;
HttpReader::HttpReader(HttpReader&&) noexcept = default;
HttpReader& HttpReader::operator=(HttpReader&&) noexcept = default;

HttpReader::Step HttpReader::read(std::string& buffer) {
  if (buffer.empty()) return Step::need_more;
  if (!parser_) parser_ = std::make_unique<Parser>(max_header_bytes_);
  auto& parser = parser_->get();
  boost::beast::error_code error;
  const std::size_t taken = parser.put(boost::asio::buffer(buffer.data(), buffer.size()), error);
  buffer.erase(0, taken);
  if (error == http::error::need_more) {
    return buffer.size() > max_header_bytes_ ? Step::too_large : Step::need_more;
  }
  if (error == http::error::header_limit) return Step::too_large;
  if (error) return Step::malformed;

  const auto& message = parser.get();
  request_ = HttpRequest{};
  request_.method = text_of(message.method_string());
  split_target(std::string_view(message.target().data(), message.target().size()), request_);
  for (const auto& field : message) {
    request_.headers.emplace_back(text_of(field.name_string()), text_of(field.value()));
  }
  request_.has_body = parser.chunked() || parser.content_length().value_or(0) > 0;
  request_.keep_alive = message.keep_alive() && !request_.has_body;
  parser_.reset();
  return Step::request;
}

}  // namespace conat::net
