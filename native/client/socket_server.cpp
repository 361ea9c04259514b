#include "client/socket.hpp"
#include "client/socket_state.hpp"

namespace conat::native {
namespace {

ListenOptions core_options(const ListenSettings& settings) {
  ListenOptions options;
  options.keep_alive_ms = settings.keep_alive.count();
  options.keep_alive_timeout_ms = settings.keep_alive_timeout.count();
  options.max_queue = settings.max_queue;
  options.id = settings.id;
  return options;
}

// Answers that are collected, each in its place.
struct Answers {
  explicit Answers(std::size_t count) : replies(count, Error(ErrorKind::internal)) {}
  std::vector<Result<Message>> replies;
  std::size_t missing = 0;
};

}  // namespace

// ---- the state ----

SocketServer::State::State(std::shared_ptr<Connection> shared_connection,
                           ListenSettings listen_settings)
    : connection(std::move(shared_connection)),
      driver(connection->driver),
      settings(std::move(listen_settings)),
      // The core bounds how many sockets a server has.
      connections(std::make_shared<AsyncQueue<Socket>>(driver->loop(), 0, Overflow::error)),
      ready(std::make_shared<Waiters>(driver->loop())) {}

Status SocketServer::State::listen(std::string_view on) {
  Driver::SocketServerHandlers handlers;
  handlers.state = [self = shared_from_this()](SocketState state, const std::optional<Error>& why) {
    self->changed(state, why);
  };
  handlers.connected = [self = shared_from_this()](SocketId socket) { self->connected(socket); };
  const auto made = driver->listen(on, core_options(settings), std::move(handlers));
  if (!made.ok()) return made.error();
  number = *made;
  subject = on;
  id = settings.id.empty() ? driver->fabric().client().id() : settings.id;
  return Nothing{};
}

void SocketServer::State::changed(SocketState state, const std::optional<Error>& why) {
  if (!connection) return;
  if (why) error = why;
  if (state == SocketState::closed) return finish();
  if (state == SocketState::ready) ready->finish(Nothing{});
}

void SocketServer::State::connected(SocketId socket) {
  if (!connection) return;
  const auto state = std::make_shared<Socket::State>(connection, settings);
  state->accept(socket);
  const Socket accepted(state);
  std::erase_if(sockets_, [](const auto& entry) { return entry.second.expired(); });
  sockets_.emplace(socket, accepted.handle_);
  connections->push(accepted);
}

std::vector<Socket> SocketServer::State::sockets() {
  std::vector<Socket> open;
  for (const auto& [socket, weak] : sockets_) {
    const auto handle = weak.lock();
    if (handle && handle->state->open()) open.push_back(Socket(handle));
  }
  return open;
}

void SocketServer::State::close() {
  if (!connection) return;
  driver->close_server(number);
  finish();
}

void SocketServer::State::finish() {
  const auto last = std::exchange(connection, nullptr);
  if (!last) return;
  connections->finish(error);
  connections->drain();  // nobody is to take what has closed
  sockets_.clear();
  ready->finish(error ? *error : Error(ErrorKind::socket_closed));
}

// ---- the handle ----

SocketServer::SocketServer(const std::shared_ptr<State>& state)
    : handle_(std::make_shared<Handle>(state)) {}

asio::io_context& SocketServer::loop() const { return handle_->state->driver->loop(); }
const std::shared_ptr<SocketServer::State>& SocketServer::state_of() const {
  return handle_->state;
}
const std::shared_ptr<AsyncQueue<Socket>>& SocketServer::connections() const {
  return handle_->state->connections;
}

SocketState SocketServer::state() const {
  const State& state = *handle_->state;
  if (!state.connection) return SocketState::closed;
  return state.driver->fabric().sockets().server_state(state.number);
}
const std::string& SocketServer::id() const { return handle_->state->id; }
const std::string& SocketServer::subject() const { return handle_->state->subject; }
const std::optional<Error>& SocketServer::error() const { return handle_->state->error; }
std::vector<Socket> SocketServer::sockets() const { return handle_->state->sockets(); }

void SocketServer::begin_wait_until_ready(State& state, Milliseconds timeout,
                                          Completion<Status> done) {
  if (!state.connection) {
    return done(state.error ? *state.error : Error(ErrorKind::socket_closed));
  }
  const SocketState now = state.driver->fabric().sockets().server_state(state.number);
  if (now == SocketState::ready) return done(Nothing{});
  state.ready->add(timeout.count() > 0 ? timeout : state.driver->request_timeout(),
                   std::move(done));
}

Status SocketServer::write(const Value& value, const SocketWriteSettings& settings) const {
  if (!handle_->state->connection) return Error(ErrorKind::socket_closed);
  const MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
  Status first = Nothing{};
  for (const Socket& socket : sockets()) {
    Status written = socket.write(data);
    if (first.ok() && !written.ok()) first = std::move(written);
  }
  return first;
}

void SocketServer::begin_request_all(State& state, const MessageData& data,
                                     const RequestSettings& settings,
                                     Completion<std::vector<Result<Message>>> done) {
  const std::vector<Socket> sockets = state.sockets();
  const auto answers = std::make_shared<Answers>(sockets.size());
  answers->missing = sockets.size();
  if (sockets.empty()) return done({});
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    sockets[i].request(data, settings, [answers, i, done](Result<Message> reply) {
      answers->replies[i] = std::move(reply);
      if (--answers->missing == 0) done(std::move(answers->replies));
    });
  }
}

void SocketServer::begin_request_any(State& state, const MessageData& data,
                                     const RequestSettings& settings,
                                     Completion<Result<Message>> done) {
  const std::vector<Socket> sockets = state.sockets();
  if (sockets.empty()) return done(Error(ErrorKind::no_subscribers));
  const auto answers = std::make_shared<Answers>(0);
  answers->missing = sockets.size();
  for (const Socket& socket : sockets) {
    socket.request(data, settings, [answers, done](Result<Message> reply) {
      if (answers->missing == 0) return;  // somebody was first
      if (reply.ok()) answers->missing = 1;
      if (--answers->missing == 0) done(std::move(reply));
    });
  }
}

Result<SocketServer> SocketServer::channel(std::string_view name) const {
  const State& state = *handle_->state;
  if (!state.connection) return Error(ErrorKind::socket_closed);
  return SocketNamespace(state.connection)
      .listen(state.subject + "." + std::string(name), state.settings);
}

void SocketServer::close() const { handle_->state->close(); }

void SocketServer::begin_end(State& state, Milliseconds timeout, Completion<Status> done) {
  const std::vector<Socket> sockets = state.sockets();
  const auto self = state.shared_from_this();
  if (sockets.empty()) {
    self->close();
    return done(Nothing{});
  }
  const auto missing = std::make_shared<std::size_t>(sockets.size());
  for (const Socket& socket : sockets) {
    socket.end(timeout, [self, missing, done](const Status&) {
      if (--*missing > 0) return;
      self->close();
      done(Nothing{});
    });
  }
}

Result<SocketServer> SocketNamespace::listen(std::string_view subject,
                                             const ListenSettings& settings) const {
  if (Status right = check_settings(settings); !right.ok()) return right.error();
  const auto state = std::make_shared<SocketServer::State>(connection_, settings);
  if (Status made = state->listen(subject); !made.ok()) return made.error();
  return SocketServer(state);
}

}  // namespace conat::native
