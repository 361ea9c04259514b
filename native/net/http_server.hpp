// HTTP/1.1 on accepted sockets, up to the point where a request becomes a WebSocket.
//
// Reads one request at a time, gives it to the handler, writes the answer, and reads on. Bounded:
// the size of a request's head, the time until it is complete, the time an answer takes to make
// progress, and the number of connections in this phase: past it the oldest one is dropped, so that
// clients who only connect and stay silent cannot keep others out.
// Thread safety: none, the loop's thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "net/deflate.hpp"
#include "net/http_message.hpp"
#include "net/http_reader.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"

namespace conat::net {

// Names a connection in its HTTP phase; never reused.
using HttpConnectionId = std::uint64_t;

// A connection that has become a WebSocket: the acceptance is queued on the stream. The taker sets
// its owner at once; reading goes on.
struct UpgradedStream {
  std::shared_ptr<Stream> stream;
  std::string rest;  // what the client sent behind its request
  // Set when compression was agreed on: the taker reads and writes through a CompressionFilter.
  std::optional<DeflateParameters> deflate;
};

class HttpHandler {
 public:
  // Call respond() or upgrade() for `id`, now or later; the request is gone on return.
  virtual void on_request(HttpConnectionId id, const HttpRequest& request) = 0;

 protected:
  ~HttpHandler() = default;
};

class HttpServer final : public StreamOwner {
 public:
  struct Options {
    std::int64_t timeout_ms = 10'000;
    std::size_t max_header_bytes = 16 * 1024;
    std::size_t max_connections = 2048;
    bool compression = false;  // agree on permessage-deflate when a client offers it
  };

  HttpServer(Loop& loop, Options options, HttpHandler& handler);
  ~HttpServer();

  // `tls` null: plain HTTP. The time limit covers the TLS handshake.
  void add(Socket socket, std::unique_ptr<TlsChannel> tls = nullptr);
  // Ignored for a connection that has gone meanwhile.
  void respond(HttpConnectionId id, const HttpResponse& response);
  // Accepts the handshake of the request that is being handled (is_valid_handshake() holds). A null
  // stream when the connection has gone.
  UpgradedStream upgrade(HttpConnectionId id, const HttpRequest& request);
  // Of the connection's peer; unspecified when it has gone.
  asio::ip::address peer(HttpConnectionId id) const;
  // Drops every connection.
  void close();

  std::size_t connections() const { return connections_.size(); }
  std::uint64_t requests() const { return requests_; }
  std::uint64_t timeouts() const { return timeouts_; }

  void on_stream_bytes(Stream& stream, std::span<std::uint8_t> bytes) override;
  void on_stream_written(Stream& stream, std::size_t bytes) override;
  void on_stream_closed(Stream& stream) override;

 private:
  struct Connection {
    HttpConnectionId id;
    std::shared_ptr<Stream> stream;
    HttpReader reader;
    std::string buffer;
    TimeMs deadline;
    bool answering = false;  // a request is with the handler, or its answer is being written
    bool paused = false;
    bool keep_alive = true;
    bool head = false;
  };
  using List = std::list<Connection>;

  void read_requests(List::iterator connection);
  void refuse(List::iterator connection, unsigned status);
  void renew(List::iterator connection);
  void drop(List::iterator connection);
  void arm_timer();

  Loop& loop_;
  Options options_;
  HttpHandler& handler_;
  List list_;  // the earliest deadline first: all have the same length
  std::unordered_map<HttpConnectionId, List::iterator> connections_;
  HttpConnectionId last_id_ = 0;
  Timer timer_;
  bool timer_armed_ = false;
  std::uint64_t requests_ = 0;
  std::uint64_t timeouts_ = 0;
};

}  // namespace conat::net
