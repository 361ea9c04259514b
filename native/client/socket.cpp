#include "client/socket.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "client/socket_state.hpp"
#include "client/subscription_state.hpp"

namespace conat::native {
namespace {

using ServerChosen = std::function<void(Result<std::string>)>;

// Asks the program's coroutine; what it throws is an error like any other.
Awaitable<void> ask_for_server(
    std::function<Awaitable<Result<std::string>>(std::string subject)> balancer,
    std::string subject, ServerChosen chosen) {
  Result<std::string> id = Error(ErrorKind::internal);
  try {
    id = co_await balancer(std::move(subject));
  } catch (const std::exception& error) {
    id = Error(ErrorKind::internal, error.what());
  } catch (...) {
    id = Error(ErrorKind::internal, "the load balancer threw something");
  }
  chosen(std::move(id));
}

ConnectOptions core_options(const ConnectSettings& settings) {
  ConnectOptions options;
  options.keep_alive_ms = settings.keep_alive.count();
  options.keep_alive_timeout_ms = settings.keep_alive_timeout.count();
  options.max_queue = settings.max_queue;
  options.reconnection = settings.reconnection;
  options.custom_balancer = static_cast<bool>(settings.load_balancer);
  return options;
}

Error socket_closed() { return Error(ErrorKind::socket_closed); }

}  // namespace

Status check_settings(const SocketSettings& settings) {
  const auto wrong = [](const char* name) {
    return Error(ErrorKind::invalid_argument, std::string(name) + " must be positive");
  };
  if (settings.keep_alive.count() <= 0) return wrong("keep_alive");
  if (settings.keep_alive_timeout.count() <= 0) return wrong("keep_alive_timeout");
  if (settings.max_queue == 0) return wrong("max_queue");
  return Nothing{};
}

// ---- the state ----

Socket::State::State(std::shared_ptr<Connection> shared_connection, const SocketSettings& settings)
    : connection(std::move(shared_connection)),
      driver(connection->driver),
      data(std::make_shared<AsyncQueue<MessageData>>(driver->loop(), settings.max_buffered,
                                                     Overflow::error)),
      requests(std::make_shared<AsyncQueue<Message>>(driver->loop(), settings.max_buffered,
                                                     Overflow::error)),
      ready(std::make_shared<Waiters>(driver->loop())),
      drained(std::make_shared<Waiters>(driver->loop())),
      ended(std::make_shared<Waiters>(driver->loop())) {}

Status Socket::State::connect(std::string_view to, const ConnectSettings& settings) {
  connect_settings = settings;
  const auto made = driver->connect_socket(to, core_options(settings), handlers());
  if (!made.ok()) return made.error();
  id = *made;
  socket_id = sockets().id(id);
  subject = to;
  return Nothing{};
}

void Socket::State::accept(SocketId accepted) {
  id = accepted;
  socket_id = sockets().id(id);
  subject = sockets().subject(id);
  driver->handle_socket(id, handlers());
}

Driver::SocketHandlers Socket::State::handlers() {
  Driver::SocketHandlers handlers;
  handlers.state = [self = shared_from_this()](SocketState state) { self->changed(state); };
  handlers.data = [self = shared_from_this()](MessageData message) {
    if (!self->data->push(std::move(message))) self->overflow(self->data->error());
  };
  handlers.request = [self = shared_from_this()](socket_effect::Request asked) {
    Message request{self->subject, std::move(asked.data)};
    request.data.headers.set(header::reply, Value(std::move(asked.reply_subject)));
    if (!self->requests->push(std::move(request))) self->overflow(self->requests->error());
  };
  handlers.drained = [self = shared_from_this()] { self->drained->finish(Nothing{}); };
  handlers.ended = [self = shared_from_this()] { self->ended->finish(Nothing{}); };
  handlers.server_needed = [self = shared_from_this()] { self->choose_server(); };
  return handlers;
}

void Socket::State::changed(SocketState state) {
  if (!open()) return;
  if (state == SocketState::closed) return finish();
  if (state == SocketState::ready) ready->finish(Nothing{});
  const auto callback = on_state;
  if (callback) callback(state);
}

void Socket::State::choose_server() {
  if (!open() || !connect_settings) return;
  asio::co_spawn(driver->loop(),
                 ask_for_server(connect_settings->load_balancer, subject,
                                [weak = weak_from_this()](Result<std::string> chosen) {
                                  const auto self = weak.lock();
                                  if (!self || !self->open()) return;
                                  self->sockets().choose_server(Driver::now(), self->id,
                                                                std::move(chosen));
                                  self->driver->turn_soon();
                                }),
                 asio::detached);
}

void Socket::State::overflow(const std::optional<Error>& why) {
  if (!open()) return;
  error = why;
  close();
}

void Socket::State::close() {
  if (!open()) return;
  driver->close_socket(id);
  finish();
}

// It is over, by whoever.
void Socket::State::finish() {
  const auto last = std::exchange(connection, nullptr);
  if (!last) return;
  data->finish(error);
  requests->finish(error);
  ready->finish(socket_closed());
  drained->finish(socket_closed());
  ended->finish(Nothing{});
  const auto callback = std::exchange(on_state, {});
  if (callback) callback(SocketState::closed);
}

// ---- the handle ----

Socket::Socket(const std::shared_ptr<State>& state) : handle_(std::make_shared<Handle>(state)) {}

asio::io_context& Socket::loop() const { return handle_->state->driver->loop(); }
const std::shared_ptr<Socket::State>& Socket::state_of() const { return handle_->state; }
const std::shared_ptr<AsyncQueue<MessageData>>& Socket::data() const {
  return handle_->state->data;
}
const std::shared_ptr<AsyncQueue<Message>>& Socket::requests() const {
  return handle_->state->requests;
}

SocketState Socket::state() const {
  const State& state = *handle_->state;
  return state.open() ? state.sockets().state(state.id) : SocketState::closed;
}
const std::string& Socket::id() const { return handle_->state->socket_id; }
const std::string& Socket::subject() const { return handle_->state->subject; }
const std::optional<Error>& Socket::error() const { return handle_->state->error; }

void Socket::on_state(std::function<void(SocketState)> callback) const {
  if (handle_->state->open()) handle_->state->on_state = std::move(callback);
}

void Socket::begin_wait_until_ready(State& state, Milliseconds timeout, Completion<Status> done) {
  if (!state.open()) return done(socket_closed());
  if (state.sockets().state(state.id) == SocketState::ready) return done(Nothing{});
  state.ready->add(timeout.count() > 0 ? timeout : state.driver->request_timeout(),
                   std::move(done));
}

Status Socket::write(MessageData data) const {
  State& state = *handle_->state;
  if (!state.open()) return socket_closed();
  Status written = state.sockets().write(Driver::now(), state.id, std::move(data));
  state.driver->turn_soon();
  return written;
}

Status Socket::write(const Value& value, const SocketWriteSettings& settings) const {
  return write(MessageData::of(value, Headers(settings.headers), settings.encoding));
}

std::size_t Socket::unacknowledged() const {
  const State& state = *handle_->state;
  return state.open() ? state.sockets().unacknowledged(state.id) : 0;
}

std::size_t Socket::unsent() const {
  const State& state = *handle_->state;
  return state.open() ? state.sockets().unsent(state.id) : 0;
}

void Socket::begin_wait_until_drained(State& state, Completion<Status> done) {
  if (!state.open()) return done(socket_closed());
  if (state.sockets().unacknowledged(state.id) == 0) return done(Nothing{});
  state.drained->add(Milliseconds(0), std::move(done));
}

void Socket::begin_request(State& state, MessageData message, const RequestSettings& settings,
                           Completion<Result<Message>> done) {
  if (!state.open()) return done(socket_closed());
  RequestOptions options;
  options.timeout_ms = settings.timeout.count();
  options.wait_for_interest = settings.wait_for_interest;
  const auto begun =
      state.driver->socket_request(state.id, std::move(message), options,
                                   [done](Result<Message> reply, bool) { done(std::move(reply)); });
  if (!begun.ok()) done(begun.error());
}

Result<Subscription> Socket::request_many(const Value& value,
                                          const RequestManySettings& settings) const {
  const std::shared_ptr<State>& state = handle_->state;
  if (!state->open()) return socket_closed();
  if (!state->connect_settings) {
    return Error(ErrorKind::invalid_argument, "request_many is on the client's side only");
  }
  const auto replies =
      std::make_shared<Subscription::State>(loop(), state->subject, SubscribeSettings{});
  MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
  const auto call =
      state->driver->socket_request(state->id, std::move(data), many_options(settings, true),
                                    [replies](Result<Message> reply, bool last) {
                                      replies->on_reply(std::move(reply), last, true);
                                    });
  if (!call.ok()) return call.error();
  replies->start([driver = state->driver, number = *call] { driver->cancel_socket_call(number); });
  return Subscription(replies);
}

Result<Socket> Socket::channel(std::string_view name) const {
  const State& state = *handle_->state;
  if (!state.open()) return socket_closed();
  if (!state.connect_settings) {
    return Error(ErrorKind::invalid_argument,
                 "on the server's side channels are made by the server");
  }
  return SocketNamespace(state.connection)
      .connect(state.subject + "." + std::string(name), *state.connect_settings);
}

void Socket::disconnect() const {
  State& state = *handle_->state;
  if (!state.open()) return;
  state.sockets().disconnect(Driver::now(), state.id);
  state.driver->turn_soon();
}

void Socket::connect() const {
  State& state = *handle_->state;
  if (!state.open()) return;
  state.sockets().reconnect(Driver::now(), state.id);
  state.driver->turn_soon();
}

void Socket::set_reconnection(bool reconnection) const {
  State& state = *handle_->state;
  if (state.open()) state.sockets().set_reconnection(state.id, reconnection);
}

TimeMs Socket::last_alive() const {
  const State& state = *handle_->state;
  return state.open() ? state.sockets().last_alive(state.id) : 0;
}

void Socket::close() const { handle_->state->close(); }

void Socket::begin_end(State& state, Milliseconds timeout, Completion<Status> done) {
  if (!state.open()) return done(Nothing{});
  state.ended->add(Milliseconds(0), [self = state.shared_from_this(), done](const Status&) {
    self->close();
    done(Nothing{});
  });
  state.sockets().end(Driver::now(), state.id, timeout.count());
  state.driver->turn_soon();
}

Result<Socket> SocketNamespace::connect(std::string_view subject,
                                        const ConnectSettings& settings) const {
  if (Status right = check_settings(settings); !right.ok()) return right.error();
  const auto state = std::make_shared<Socket::State>(connection_, settings);
  if (Status made = state->connect(subject, settings); !made.ok()) return made.error();
  return Socket(state);
}

}  // namespace conat::native
