#include "conatd/connection.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

namespace conat::test {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

Connection::Connection(std::uint16_t port, const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  REQUIRE(::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0);
  socket_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int result = ::connect(socket_, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  REQUIRE(result == 0);
}

Connection::~Connection() { ::close(socket_); }

void Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) return;  // the peer has closed: what it said is still to be read
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool Connection::receive(Seconds limit) {
  if (closed_) return false;
  pollfd waiting{socket_, POLLIN, 0};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  if (::poll(&waiting, 1, static_cast<int>(milliseconds)) != 1) return false;
  char bytes[65536];
  const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
  if (count <= 0) {
    closed_ = true;
    return false;
  }
  received_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

bool Connection::receive_until_closed(Seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!closed_) {
    const Seconds left = end - std::chrono::steady_clock::now();
    if (left.count() <= 0) return false;
    receive(left);
  }
  return true;
}

Response Connection::receive_response(bool head) {
  std::size_t end;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) REQUIRE(receive());
  Response response;
  std::string top = received_.substr(0, end + 2);
  received_.erase(0, end + 4);
  REQUIRE(top.substr(0, 9) == "HTTP/1.1 ");
  response.status = std::stoi(top.substr(9, 3));
  for (std::size_t line = top.find("\r\n") + 2; line < top.size();) {
    const std::size_t next = top.find("\r\n", line);
    const std::size_t colon = top.find(": ", line);
    response.headers[lower_case(top.substr(line, colon - line))] =
        top.substr(colon + 2, next - colon - 2);
    line = next + 2;
  }
  const auto length = response.headers.find("content-length");
  const std::size_t size = head || length == response.headers.end()
                               ? 0
                               : static_cast<std::size_t>(std::stoul(length->second));
  while (received_.size() < size) REQUIRE(receive());
  response.body = received_.substr(0, size);
  received_.erase(0, size);
  return response;
}

Response request(std::uint16_t port, std::string_view target, std::string_view method,
                 std::string_view headers) {
  Connection connection(port);
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n";
  text += headers;
  if (headers.find("Connection:") == std::string_view::npos) text += "Connection: close\r\n";
  connection.send(text + "\r\n");
  return connection.receive_response(method == "HEAD");
}

std::string upgrade_request(std::string_view target) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

WebSocket::WebSocket(std::uint16_t port, const std::string& path, const std::string& host)
    : connection_(port, host), reader_(WebSocketRole::client, std::size_t{1} << 30) {
  connection_.send(upgrade_request(path + "?EIO=4&transport=websocket"));
  const Response response = connection_.receive_response();
  REQUIRE(response.status == 101);
  // The example of RFC 6455, section 1.3.
  REQUIRE(response.headers.at("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

WebSocket::Frame WebSocket::receive(Seconds limit) {
  while (true) {
    const auto step = reader_.next();
    if (step != WebSocketReader::Step::need_more) {
      return {step, reader_.binary(), to_string(reader_.payload()), reader_.close_code()};
    }
    if (connection_.received().empty() && !connection_.receive(limit)) {
      FAIL("no WebSocket frame came");
    }
    input_ = to_bytes(std::string_view(connection_.received()));
    connection_.received().clear();
    reader_.feed(input_);
  }
}

std::string WebSocket::receive_text(std::string_view prefix) {
  while (true) {
    Frame frame = receive();
    REQUIRE(frame.kind == WebSocketReader::Step::message);
    if (!frame.binary && frame.payload.substr(0, prefix.size()) == prefix) return frame.payload;
  }
}

void WebSocket::send_text(std::string_view text) {
  Bytes frame;
  append_masked_frame(frame, WebSocketOpcode::text, as_bytes(text), 0x01020304);
  connection_.send(as_text(frame));
}

void WebSocket::send_binary(std::string_view bytes) {
  Bytes frame;
  append_masked_frame(frame, WebSocketOpcode::binary, as_bytes(bytes), 0x01020304);
  connection_.send(as_text(frame));
}

std::string WebSocket::sign_in() {
  send_text("40");
  receive_text("40{");
  std::string info = receive_text("42");
  const std::string ack_id = info.substr(2, info.find('[') - 2);
  send_text("43" + ack_id + "[]");
  return info;
}

}  // namespace conat::test
