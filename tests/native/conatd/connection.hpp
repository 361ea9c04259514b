// The client's end of a connection to conatd: raw bytes, HTTP, and WebSocket frames.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "conat/wire/websocket.hpp"
#include "conatd/process.hpp"

namespace conat::test {

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class Connection {
 public:
  explicit Connection(std::uint16_t port, const std::string& host = "127.0.0.1");
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::string_view bytes);
  // Reads some bytes onto the end of received(); false at the end of the stream, on an error, or
  // after `limit`.
  bool receive(Seconds limit = Seconds(20));
  // Reads until the peer closes; false when it has not after `limit`.
  bool receive_until_closed(Seconds limit = Seconds(20));
  std::string& received() { return received_; }

  // One HTTP response; fails the test when none comes. `head`: without a body.
  Response receive_response(bool head = false);

 private:
  int socket_ = -1;
  bool closed_ = false;
  std::string received_;
};

// A request with Host, and `Connection: close` unless `headers` name a connection.
Response request(std::uint16_t port, std::string_view target, std::string_view method = "GET",
                 std::string_view headers = {});

// A WebSocket with Engine.IO's greeting and Socket.IO's CONNECT behind it.
class WebSocket {
 public:
  explicit WebSocket(std::uint16_t port, const std::string& path = "/conat/",
                     const std::string& host = "127.0.0.1");

  struct Frame {
    WebSocketReader::Step kind;
    bool binary = false;
    std::string payload;
    WebSocketCloseCode close_code = WebSocketCloseCode::no_status;
  };
  // The next frame; fails the test when none comes.
  Frame receive(Seconds limit = Seconds(20));
  // Skips frames until a text message begins with `prefix`.
  std::string receive_text(std::string_view prefix);
  void send_text(std::string_view text);
  void send_binary(std::string_view bytes);
  // Sends CONNECT and waits for `info`, which it returns and acknowledges.
  std::string sign_in();
  Connection& connection() { return connection_; }

 private:
  Connection connection_;
  WebSocketReader reader_;
  Bytes input_;
};

std::string upgrade_request(std::string_view target = "/conat/?EIO=4&transport=websocket");

}  // namespace conat::test
