// The part of FabricHandle that reaches sockets.
#include <utility>

#include "fabric_handle.hpp"

namespace conat {
namespace {

SocketOptions socket_options(double keep_alive_ms, double keep_alive_timeout_ms,
                             double command_timeout_ms, std::uint32_t max_queue) {
  SocketOptions options;
  options.keep_alive_ms = milliseconds(keep_alive_ms);
  options.keep_alive_timeout_ms = milliseconds(keep_alive_timeout_ms);
  options.command_timeout_ms = milliseconds(command_timeout_ms);
  options.max_queue = max_queue;
  return options;
}

}  // namespace

// ---- servers ----

Answer FabricHandle::socket_listen(double now, const std::string& subject, const std::string& id,
                                   double keep_alive_ms, double keep_alive_timeout_ms,
                                   double command_timeout_ms, std::uint32_t max_queue) {
  ListenOptions options;
  static_cast<SocketOptions&>(options) =
      socket_options(keep_alive_ms, keep_alive_timeout_ms, command_timeout_ms, max_queue);
  options.id = id;
  return answer(fabric_.sockets().listen(milliseconds(now), owner, subject, options));
}

void FabricHandle::socket_close_server(double now, std::uint32_t server) {
  fabric_.sockets().close_server(milliseconds(now), server);
}

int FabricHandle::socket_server_state(std::uint32_t server) const {
  return static_cast<int>(fabric_.sockets().server_state(server));
}

void FabricHandle::socket_intercept_commands(std::uint32_t server, bool on) {
  fabric_.sockets().intercept_commands(server, on);
}

void FabricHandle::socket_handle_command(double now, std::uint32_t server,
                                         std::uint32_t subject_length, std::uint32_t headers_length,
                                         std::uint32_t raw_length, std::uint32_t encoding) {
  window_used_ = 0;
  Message message;
  message.subject = std::string(take_text(subject_length));
  message.data = take_data(headers_length, raw_length, encoding);
  fabric_.sockets().handle_command(milliseconds(now), server, std::move(message));
}

// ---- sockets ----

Answer FabricHandle::socket_connect(double now, const std::string& subject, bool custom_balancer,
                                    bool reconnection, double keep_alive_ms,
                                    double keep_alive_timeout_ms, double command_timeout_ms,
                                    std::uint32_t max_queue) {
  ConnectOptions options;
  static_cast<SocketOptions&>(options) =
      socket_options(keep_alive_ms, keep_alive_timeout_ms, command_timeout_ms, max_queue);
  options.custom_balancer = custom_balancer;
  options.reconnection = reconnection;
  return answer(fabric_.sockets().connect(milliseconds(now), owner, subject, options));
}

void FabricHandle::socket_choose_server(double now, std::uint32_t socket, const std::string& id,
                                        const std::string& error) {
  Result<std::string> chosen = id.empty()
                                   ? Result<std::string>(Error(ErrorKind::no_subscribers, error))
                                   : Result<std::string>(id);
  fabric_.sockets().choose_server(milliseconds(now), socket, std::move(chosen));
}

Answer FabricHandle::socket_write(double now, std::uint32_t socket, std::uint32_t headers_length,
                                  std::uint32_t raw_length, std::uint32_t encoding) {
  window_used_ = 0;
  return answer(fabric_.sockets().write(milliseconds(now), socket,
                                        take_data(headers_length, raw_length, encoding)));
}

Answer FabricHandle::socket_request(double now, std::uint32_t socket, std::uint32_t headers_length,
                                    std::uint32_t raw_length, std::uint32_t encoding,
                                    double timeout_ms, bool wait_for_interest, bool many,
                                    double max_wait_ms, std::uint32_t max_messages) {
  window_used_ = 0;
  RequestOptions options;
  options.timeout_ms = milliseconds(timeout_ms);
  options.wait_for_interest = wait_for_interest;
  options.many = many;
  options.max_wait_ms = milliseconds(max_wait_ms);
  options.max_messages = max_messages;
  return answer(fabric_.sockets().request(
      milliseconds(now), socket, take_data(headers_length, raw_length, encoding), options));
}

void FabricHandle::socket_cancel(double call) {
  fabric_.sockets().cancel(static_cast<CallId>(call));
}

void FabricHandle::socket_close(double now, std::uint32_t socket) {
  fabric_.sockets().close(milliseconds(now), socket);
}

void FabricHandle::socket_end(double now, std::uint32_t socket, double timeout_ms) {
  fabric_.sockets().end(milliseconds(now), socket, milliseconds(timeout_ms));
}

void FabricHandle::socket_disconnect(double now, std::uint32_t socket) {
  fabric_.sockets().disconnect(milliseconds(now), socket);
}

void FabricHandle::socket_reconnect(double now, std::uint32_t socket) {
  fabric_.sockets().reconnect(milliseconds(now), socket);
}

void FabricHandle::socket_set_reconnection(std::uint32_t socket, bool reconnection) {
  fabric_.sockets().set_reconnection(socket, reconnection);
}

int FabricHandle::socket_state(std::uint32_t socket) const {
  return static_cast<int>(fabric_.sockets().state(socket));
}

std::uint32_t FabricHandle::socket_unacknowledged(std::uint32_t socket) const {
  return static_cast<std::uint32_t>(fabric_.sockets().unacknowledged(socket));
}

std::uint32_t FabricHandle::socket_unsent(std::uint32_t socket) const {
  return static_cast<std::uint32_t>(fabric_.sockets().unsent(socket));
}

std::string FabricHandle::socket_subject(std::uint32_t socket) const {
  return std::string(fabric_.sockets().subject(socket));
}

std::string FabricHandle::socket_id_of(std::uint32_t socket) const {
  return std::string(fabric_.sockets().id(socket));
}

double FabricHandle::socket_last_alive(std::uint32_t socket) const {
  return static_cast<double>(fabric_.sockets().last_alive(socket));
}

}  // namespace conat
