#include "net/http_server.hpp"

#include "net/websocket_handshake.hpp"

namespace conat::net {
namespace {

constexpr TimeMs close_linger_ms = 2000;
// Pipelined requests that wait in a buffer, in heads of the largest size.
constexpr std::size_t max_waiting_headers = 4;

}  // namespace

HttpServer::HttpServer(Loop& loop, Options options, HttpHandler& handler)
    : loop_(loop), options_(options), handler_(handler), timer_(loop.context()) {}

HttpServer::~HttpServer() = default;

void HttpServer::add(Socket socket, std::unique_ptr<TlsChannel> tls) {
  if (connections_.size() >= options_.max_connections) drop(list_.begin());
  auto stream = std::make_shared<Stream>(loop_, std::move(socket), *this, std::move(tls));
  const HttpConnectionId id = ++last_id_;
  stream->set_owner(*this, id);
  list_.push_back({id, stream, HttpReader(options_.max_header_bytes), {}, 0});
  const auto connection = std::prev(list_.end());
  connections_.emplace(id, connection);
  renew(connection);
  stream->start_reading();
}

void HttpServer::close() {
  while (!list_.empty()) drop(list_.begin());
  timer_.cancel();
}

// ---- requests ----

void HttpServer::on_stream_bytes(Stream& stream, std::span<std::uint8_t> bytes) {
  const auto found = connections_.find(stream.tag());
  if (found == connections_.end()) return;
  const auto connection = found->second;
  connection->buffer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!connection->answering) read_requests(connection);
  // While an answer is under way the next requests wait with the peer, not in here.
  const auto still = connections_.find(stream.tag());
  if (still == connections_.end() || !still->second->answering) return;
  if (connection->buffer.size() > max_waiting_headers * options_.max_header_bytes) {
    drop(connection);
  } else if (!connection->paused) {
    connection->paused = true;
    stream.pause_reading();
  }
}

void HttpServer::read_requests(List::iterator connection) {
  switch (connection->reader.read(connection->buffer)) {
    case HttpReader::Step::need_more:
      return;
    case HttpReader::Step::too_large:
      return refuse(connection, 431);
    case HttpReader::Step::malformed:
      return refuse(connection, 400);
    case HttpReader::Step::request:
      break;
  }
  ++requests_;
  connection->answering = true;
  HttpRequest& request = connection->reader.request();
  connection->keep_alive = request.keep_alive;
  connection->head = request.method == "HEAD";
  handler_.on_request(connection->id, request);
}

void HttpServer::respond(HttpConnectionId id, const HttpResponse& response) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto connection = found->second;
  connection->stream->send(serialize(response, connection->head, connection->keep_alive));
  renew(connection);
  if (connection->keep_alive) return;
  connection->stream->close(close_linger_ms);
  connections_.erase(found);
  list_.erase(connection);
}

void HttpServer::refuse(List::iterator connection, unsigned status) {
  connection->keep_alive = false;
  respond(connection->id, HttpResponse::text(status, {}));
}

UpgradedStream HttpServer::upgrade(HttpConnectionId id, const HttpRequest& request) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return {};
  const auto connection = found->second;
  UpgradedStream upgraded{connection->stream, std::move(connection->buffer), std::nullopt};
  if (options_.compression) {
    upgraded.deflate = negotiate_deflate(request.joined_header("Sec-WebSocket-Extensions"));
  }
  upgraded.stream->send(
      accept_response(request, upgraded.deflate ? std::string_view(upgraded.deflate->answer) : ""));
  if (connection->paused) upgraded.stream->resume_reading();
  connections_.erase(found);
  list_.erase(connection);
  return upgraded;
}

asio::ip::address HttpServer::peer(HttpConnectionId id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? asio::ip::address() : found->second->stream->peer();
}

// ---- answers written ----

void HttpServer::on_stream_written(Stream& stream, std::size_t) {
  const auto found = connections_.find(stream.tag());
  if (found == connections_.end()) return;
  const auto connection = found->second;
  renew(connection);
  if (stream.has_unsent()) return;
  connection->answering = false;
  read_requests(connection);
  const auto still = connections_.find(stream.tag());
  if (still == connections_.end() || connection->answering || !connection->paused) return;
  connection->paused = false;
  stream.resume_reading();
}

void HttpServer::on_stream_closed(Stream& stream) {
  const auto found = connections_.find(stream.tag());
  if (found != connections_.end()) drop(found->second);
}

// ---- time ----

void HttpServer::renew(List::iterator connection) {
  connection->deadline = Loop::now() + options_.timeout_ms;
  list_.splice(list_.end(), list_, connection);
  if (!timer_armed_) arm_timer();
}

void HttpServer::drop(List::iterator connection) {
  connection->stream->abort();
  connections_.erase(connection->id);
  list_.erase(connection);
}

void HttpServer::arm_timer() {
  timer_armed_ = true;
  timer_.expires_at(
      std::chrono::steady_clock::time_point(std::chrono::milliseconds(list_.front().deadline)));
  timer_.async_wait([this](error_code error) {
    timer_armed_ = false;
    if (error) return;
    const TimeMs time = Loop::now();
    while (!list_.empty() && list_.front().deadline <= time) {
      ++timeouts_;
      drop(list_.begin());
    }
    if (!list_.empty()) arm_timer();
  });
}

}  // namespace conat::net
