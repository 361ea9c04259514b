// Sockets: streams of messages between two clients, in order and exactly once, with requests inside
// them; they live through lost connections of either side.
//
//   Awaitable<void> serve(SocketServer server) {
//     while (auto socket = co_await server.next()) spawn(talk_to(*std::move(socket)));
//   }
//   ...
//   auto server = client.socket().listen("chat");
//
//   auto socket = client.socket().connect("chat");          // on another client
//   socket->write(object("text", "hello"));                 // waits until it is ready
//   while (auto data = co_await socket->next()) use(*data->decode());
//
// Both are handles: copies share the socket or server, which is closed by close(), or when the last
// copy is gone (also when it was never taken from the server's queue). While one is open, so is the
// connection of its client. An operation under way does not keep a socket: it ends with it.
//
// What arrives waits until it is read: data and requests in two queues, so that two coroutines may
// read one each. Who does not read in time loses the socket, not messages (`max_buffered`).
//
// Thread safety: none, the loop's thread.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/async_queue.hpp"
#include "client/completion.hpp"
#include "client/settings.hpp"
#include "client/subscription.hpp"
#include "conat/base/time.hpp"
#include "conat/socket/sockets.hpp"
#include "conat/wire/message.hpp"

namespace conat::native {

class Connection;

struct SocketSettings {
  SocketSettings() {}

  Milliseconds keep_alive{limits::socket_keep_alive_ms};  // silence after which the other is asked
  Milliseconds keep_alive_timeout{limits::socket_keep_alive_timeout_ms};  // for its answer
  // Messages written and not acknowledged; write() refuses one more (ENOBUFS).
  std::size_t max_queue = limits::socket_max_queue;
  // Messages, and requests, that nobody has read: with one more the socket closes, and error() is
  // ENOBUFS. 0: no bound but memory.
  std::size_t max_buffered = 100'000;
};

struct ListenSettings : SocketSettings {
  ListenSettings() {}

  std::string id = {};  // one token; empty: the client's id
};

struct ConnectSettings : SocketSettings {
  ConnectSettings() {}

  bool reconnection = true;  // connects again after a loss
  // Chooses the server by its id; without one it is whichever answers first. An error, or what it
  // throws, is tried again with backoff.
  std::function<Awaitable<Result<std::string>>(std::string subject)> load_balancer = {};
};

struct SocketWriteSettings {
  SocketWriteSettings() {}

  Value headers = {};  // a map, or null
  PayloadEncoding encoding = PayloadEncoding::msgpack;
};

// One end of a connection.
class Socket {
 public:
  // Of a client: connecting -> ready <-> disconnected -> closed. Of a server: ready from the start.
  SocketState state() const;
  // The client side's id, 10 characters for our own.
  const std::string& id() const;
  // What the client connected to; at the server {its subject}.server.{its id}.{id}.
  const std::string& subject() const;
  // Why it has closed, when that was not by close(), end() or the other side.
  const std::optional<Error>& error() const;
  // The last one that was set is called, with every change.
  void on_state(std::function<void(SocketState state)> callback) const;
  // -> Status. Errors: EPIPE when it closes before, 408. Timeout 0: the client's request_timeout.
  template <class Token = DefaultToken>
  auto wait_until_ready(Milliseconds timeout = Milliseconds(0), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [state = state_of(), timeout](Completion<Status> done) {
      begin_wait_until_ready(*state, timeout, std::move(done));
    });
  }

  // ---- messages ----
  // At once; while the socket is not ready the message waits. Errors: EPIPE, ENOBUFS.
  Status write(MessageData data) const;
  Status write(const Value& value, const SocketWriteSettings& settings = {}) const;
  // -> std::optional<MessageData>: the next message; nothing when the socket has closed and
  // everything was read.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) const {
    return next_within(Milliseconds(0), std::forward<Token>(token));
  }
  // Also nothing when none comes in time (0: no limit).
  template <class Token = DefaultToken>
  auto next_within(Milliseconds limit, Token&& token = {}) const {
    return initiate<std::optional<MessageData>>(
        loop(), token, [queue = data(), limit](Completion<std::optional<MessageData>> done) {
          queue->next(limit, std::move(done));
        });
  }
  // Written and not acknowledged, those that wait for `ready` included.
  std::size_t unacknowledged() const;
  std::size_t unsent() const;  // those that wait for `ready`
  // -> Status, when everything written is acknowledged. Error: EPIPE when it closes before.
  template <class Token = DefaultToken>
  auto wait_until_drained(Token&& token = {}) const {
    return initiate<Status>(loop(), token, [state = state_of()](Completion<Status> done) {
      begin_wait_until_drained(*state, std::move(done));
    });
  }

  // ---- requests ----
  // -> Result<Message>. Waits until the socket is ready. Errors: 408, EPIPE when it closes before.
  template <class Token = DefaultToken>
  auto request(MessageData message, RequestSettings settings = {}, Token&& token = {}) const {
    return initiate<Result<Message>>(
        loop(), token,
        [state = state_of(), message = std::move(message),
         settings = std::move(settings)](Completion<Result<Message>> done) mutable {
          begin_request(*state, std::move(message), settings, std::move(done));
        });
  }
  template <class Token = DefaultToken>
  auto request(const Value& value, RequestSettings settings = {}, Token&& token = {}) const {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return request(std::move(data), std::move(settings), std::forward<Token>(token));
  }
  // On the client's side: the answers as they come, until one is null, or silence, or enough.
  Result<Subscription> request_many(const Value& value,
                                    const RequestManySettings& settings = {}) const;
  // -> std::optional<Message>: the next request of the other side, to be answered by
  // client.respond(*request, value); nothing as next().
  template <class Token = DefaultToken>
  auto next_request(Token&& token = {}) const {
    return initiate<std::optional<Message>>(
        loop(), token, [queue = requests()](Completion<std::optional<Message>> done) {
          queue->next(Milliseconds(0), std::move(done));
        });
  }

  // ---- its life ----
  // On the client's side: another socket, to the server's channel of this name.
  Result<Socket> channel(std::string_view name) const;
  // Cuts it off. A client's side reconnects after 500 ms, unless told otherwise.
  void disconnect() const;
  void connect() const;  // at once, when a client's side is disconnected
  void set_reconnection(bool reconnection) const;
  // When something was last heard from the other side, on the steady clock, in ms; 0 when closed.
  TimeMs last_alive() const;
  void close() const;  // tells the other side, and does not wait
  // -> Status, always good: the other side has taken note, or the time is over. Then it is closed.
  template <class Token = DefaultToken>
  auto end(Milliseconds timeout = Milliseconds(3000), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [state = state_of(), timeout](Completion<Status> done) {
      begin_end(*state, timeout, std::move(done));
    });
  }

 private:
  friend class SocketNamespace;
  friend class SocketServer;
  class State;
  struct Handle;

  explicit Socket(const std::shared_ptr<State>& state);
  explicit Socket(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
  asio::io_context& loop() const;
  const std::shared_ptr<State>& state_of() const;
  const std::shared_ptr<AsyncQueue<MessageData>>& data() const;
  const std::shared_ptr<AsyncQueue<Message>>& requests() const;
  static void begin_wait_until_ready(State& state, Milliseconds timeout, Completion<Status> done);
  static void begin_wait_until_drained(State& state, Completion<Status> done);
  static void begin_request(State& state, MessageData message, const RequestSettings& settings,
                            Completion<Result<Message>> done);
  static void begin_end(State& state, Milliseconds timeout, Completion<Status> done);

  std::shared_ptr<Handle> handle_;
};

// Listens on a subject, or on a pattern, for sockets. Its settings hold for each of them.
class SocketServer {
 public:
  SocketState state() const;  // connecting, ready when the server has confirmed, ..., closed
  const std::string& id() const;
  const std::string& subject() const;
  // Why it has closed: the refusal of the server.
  const std::optional<Error>& error() const;
  // -> Status. Errors: the server's refusal, EPIPE when it closes before, 408. Timeout 0: the
  // client's request_timeout.
  template <class Token = DefaultToken>
  auto wait_until_ready(Milliseconds timeout = Milliseconds(0), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [state = state_of(), timeout](Completion<Status> done) {
      begin_wait_until_ready(*state, timeout, std::move(done));
    });
  }

  // -> std::optional<Socket>: the next connection; nothing when the server has closed.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) const {
    return initiate<std::optional<Socket>>(
        loop(), token, [queue = connections()](Completion<std::optional<Socket>> done) {
          queue->next(Milliseconds(0), std::move(done));
        });
  }
  // Those that are open, in the order of their connecting.
  std::vector<Socket> sockets() const;
  // To all of them. Error: the first one; the others got it.
  Status write(const Value& value, const SocketWriteSettings& settings = {}) const;
  // -> std::vector<Result<Message>>: what each of them answers, in the order of sockets().
  template <class Token = DefaultToken>
  auto request_all(const Value& value, RequestSettings settings = {}, Token&& token = {}) const {
    using Answers = std::vector<Result<Message>>;
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return initiate<Answers>(loop(), token,
                             [state = state_of(), data = std::move(data),
                              settings = std::move(settings)](Completion<Answers> done) {
                               begin_request_all(*state, data, settings, std::move(done));
                             });
  }
  // -> Result<Message>: the first good answer; when there is none the last error, or 503 when
  // nobody is connected.
  template <class Token = DefaultToken>
  auto request_any(const Value& value, RequestSettings settings = {}, Token&& token = {}) const {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return initiate<Result<Message>>(
        loop(), token,
        [state = state_of(), data = std::move(data),
         settings = std::move(settings)](Completion<Result<Message>> done) {
          begin_request_any(*state, data, settings, std::move(done));
        });
  }

  // Another server, on {subject}.{name}, with the same settings.
  Result<SocketServer> channel(std::string_view name) const;
  // Closes it with all its sockets, and tells their other sides.
  void close() const;
  // -> Status, always good: ends every socket, then closes.
  template <class Token = DefaultToken>
  auto end(Milliseconds timeout = Milliseconds(3000), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [state = state_of(), timeout](Completion<Status> done) {
      begin_end(*state, timeout, std::move(done));
    });
  }

 private:
  friend class SocketNamespace;
  class State;
  struct Handle;

  explicit SocketServer(const std::shared_ptr<State>& state);
  asio::io_context& loop() const;
  const std::shared_ptr<State>& state_of() const;
  const std::shared_ptr<AsyncQueue<Socket>>& connections() const;
  static void begin_wait_until_ready(State& state, Milliseconds timeout, Completion<Status> done);
  static void begin_request_all(State& state, const MessageData& data,
                                const RequestSettings& settings,
                                Completion<std::vector<Result<Message>>> done);
  static void begin_request_any(State& state, const MessageData& data,
                                const RequestSettings& settings, Completion<Result<Message>> done);
  static void begin_end(State& state, Milliseconds timeout, Completion<Status> done);

  std::shared_ptr<Handle> handle_;
};

// `client.socket()`.
class SocketNamespace {
 public:
  explicit SocketNamespace(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  // Listens from now on, also while there is no connection. Errors: an invalid subject or setting,
  // a second server of this client on the subject, `closed`.
  Result<SocketServer> listen(std::string_view subject, const ListenSettings& settings = {}) const;
  // Connects to one of the servers that listen on the subject, from now on. Errors: as above.
  Result<Socket> connect(std::string_view subject, const ConnectSettings& settings = {}) const;

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace conat::native
