// What a Socket and a SocketServer have in common with the callbacks that feed them.
//
// The driver's callbacks and the handles share the state; close() parts it from the driver and lets
// go of the connection. Thread safety: none, the loop's thread.
#pragma once

#include <map>

#include "client/connection.hpp"
#include "client/socket.hpp"
#include "client/waiters.hpp"

namespace conat::native {

// What copies of a handle share: with the last of them the state is closed.
template <class State>
struct ClosingHandle {
  explicit ClosingHandle(std::shared_ptr<State> shared) : state(std::move(shared)) {}
  ~ClosingHandle() { state->close(); }
  ClosingHandle(const ClosingHandle&) = delete;
  ClosingHandle& operator=(const ClosingHandle&) = delete;

  const std::shared_ptr<State> state;
};

class Socket::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, const SocketSettings& settings);

  // The client's side; the error is told.
  Status connect(std::string_view to, const ConnectSettings& settings);
  // The server's side of a connection that is there already.
  void accept(SocketId accepted);
  void close();
  Sockets& sockets() const { return driver->fabric().sockets(); }
  bool open() const { return connection != nullptr; }

  std::shared_ptr<Connection> connection;  // null: closed
  const std::shared_ptr<Driver> driver;
  SocketId id = 0;
  std::string socket_id;
  std::string subject;
  std::optional<ConnectSettings> connect_settings;  // of a client's side
  const std::shared_ptr<AsyncQueue<MessageData>> data;
  const std::shared_ptr<AsyncQueue<Message>> requests;
  const std::shared_ptr<Waiters> ready;
  const std::shared_ptr<Waiters> drained;
  const std::shared_ptr<Waiters> ended;
  std::optional<Error> error;
  std::function<void(SocketState)> on_state;

 private:
  Driver::SocketHandlers handlers();
  void changed(SocketState state);
  void finish();
  void choose_server();
  // For one item too many.
  void overflow(const std::optional<Error>& why);
};

struct Socket::Handle : ClosingHandle<State> {
  using ClosingHandle::ClosingHandle;
};

class SocketServer::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, ListenSettings listen_settings);

  Status listen(std::string_view on);
  void close();
  std::vector<Socket> sockets();

  std::shared_ptr<Connection> connection;  // null: closed
  const std::shared_ptr<Driver> driver;
  SocketServerId number = 0;
  std::string id;
  std::string subject;
  const ListenSettings settings;
  const std::shared_ptr<AsyncQueue<Socket>> connections;
  const std::shared_ptr<Waiters> ready;
  std::optional<Error> error;

 private:
  void changed(SocketState state, const std::optional<Error>& why);
  void connected(SocketId socket);
  void finish();

  std::map<SocketId, std::weak_ptr<Socket::Handle>> sockets_;
};

struct SocketServer::Handle : ClosingHandle<State> {
  using ClosingHandle::ClosingHandle;
};

// Error: one of them is not positive.
Status check_settings(const SocketSettings& settings);

}  // namespace conat::native
