// The driver's life and the calls of the user; effects are in driver_effects.cpp.
// clang-format off
#include <utility>
// clang-format on

#include "client/driver.hpp"

#include <boost/asio/post.hpp>
#include <chrono>

#include "client/driver_registry.hpp"
#include "client/random_seed.hpp"

namespace conat::native {
namespace {

const Owner kOwner{Layer::user, 0};

}  // namespace

Driver::Driver(asio::io_context& loop, ServerAddress address, DriverOptions options)
    : loop_(loop),
      options_(std::move(options)),
      address_(std::move(address)),
      random_(seeded_random()),
      fabric_(options_.client, random_.fork()),
      timer_(loop),
      until_signed_in_(std::make_shared<Waiters>(loop)),
      until_ready_(std::make_shared<Waiters>(loop)) {}

Driver::~Driver() = default;

TimeMs Driver::now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// ---- life ----

void Driver::turn_soon() {
  if (turn_scheduled_ || in_turn_ || gone_) return;
  turn_scheduled_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->turn_scheduled_ = false;
    self->turn();
  });
}

void Driver::turn() {
  if (in_turn_ || gone_) return;
  in_turn_ = true;
  FabricEffect effect;
  while (!gone_ && fabric_.next(now(), effect)) carry_out(effect);
  in_turn_ = false;
  if (gone_) return;
  if (!until_ready_->empty()) {
    if (const std::optional<Status> known = readiness()) until_ready_->finish(*known);
  }
  if (gone_) return;
  if (state() == ClientState::closed) return end();
  arm_timer();
}

void Driver::connect() {
  asio::use_service<DriverRegistry>(loop_).add(weak_from_this());
  fabric_.client().connect(now());
  turn_soon();
}

void Driver::disconnect() {
  fabric_.client().disconnect(now());
  turn_soon();
}

void Driver::close() {
  if (gone_) return;
  // The other sides are told; what that sends leaves before the transport closes.
  for (const auto& [id, handlers] : sockets_) fabric_.sockets().close(now(), id);
  for (const auto& [id, handlers] : servers_) fabric_.sockets().close_server(now(), id);
  fabric_.client().close(now());
  turn_soon();
}

// Closed: whatever still waits, in any layer, is told so.
void Driver::end() {
  gone_ = true;
  ++attempt_;
  timer_.cancel();
  if (transport_) transport_->close();
  transport_.reset();
  const Error closed(ErrorKind::closed);
  until_signed_in_->finish(closed);
  until_ready_->finish(closed);
  for (auto& [id, subscription] : std::exchange(subscriptions_, {})) {
    if (subscription->on_subscribed) subscription->on_subscribed(closed);
  }
  for (auto& [id, callback] : std::exchange(publishes_, {})) callback(closed);
  for (auto& [id, callback] : std::exchange(requests_, {})) (*callback)(closed, true);
  for (auto& [id, callback] : std::exchange(interests_, {})) callback(closed);
  for (auto& [id, callback] : std::exchange(questions_, {})) callback(closed);
  for (auto& [id, callback] : std::exchange(saves_, {})) callback(closed);
  for (auto& [id, callback] : std::exchange(stream_calls_, {})) (*callback)(closed, true);
  for (auto& [id, callback] : std::exchange(socket_requests_, {})) (*callback)(closed, true);
  for (auto& [id, callback] : std::exchange(core_stream_loads_, {})) callback(closed);
  for (auto& [id, callback] : std::exchange(dstream_calls_, {})) callback(closed);
  for (auto* held : {&core_streams_, &dstreams_}) {
    for (auto& [id, handlers] : std::exchange(*held, {})) {
      if (handlers->closed) handlers->closed();
    }
  }
  for (auto& [id, handlers] : std::exchange(dkvs_, {})) {
    if (handlers->closed) handlers->closed();
  }
  for (auto& [id, handlers] : std::exchange(streams_, {})) {
    if (handlers->failed) handlers->failed(closed);
  }
  for (auto& [id, handlers] : std::exchange(sockets_, {})) {
    if (handlers->state) handlers->state(SocketState::closed);
  }
  for (auto& [id, handlers] : std::exchange(servers_, {})) {
    if (handlers->state) handlers->state(SocketState::closed, std::nullopt);
  }
  on_state = {};
  on_info = {};
  on_connection_error = {};
  options_.auth = {};
}

// What waits is told as at any end; but nothing runs any more: the completions are destroyed with
// the loop, and with them the coroutines, which hold what they wait for.
void Driver::abandon() {
  if (gone_) return;
  transport_.reset();
  end();
}

void Driver::wait_until_signed_in(std::chrono::milliseconds timeout, Waiters::Done on_done) {
  if (gone_ || state() == ClientState::closed) return on_done(Error(ErrorKind::closed));
  if (fabric_.client().signed_in()) return on_done(Nothing{});
  until_signed_in_->add(timeout, std::move(on_done));
}

void Driver::wait_until_ready(std::chrono::milliseconds timeout, Waiters::Done on_done) {
  if (gone_ || state() == ClientState::closed) return on_done(Error(ErrorKind::closed));
  if (const std::optional<Status> known = readiness()) return on_done(*known);
  until_ready_->add(timeout, std::move(on_done));
}

std::optional<Status> Driver::readiness() {
  const conat::Client& client = fabric_.client();
  if (client.inbox_error()) return Status(*client.inbox_error());
  if (!client.signed_in() || !client.inbox_ready()) return std::nullopt;
  return Status(Nothing{});
}

// ---- messages ----

Result<SubscriptionId> Driver::subscribe(std::string_view pattern, const SubscribeOptions& options,
                                         OnMessage on_message, OnSubscribed on_subscribed) {
  auto id = fabric_.client().subscribe(now(), kOwner, pattern, options);
  if (!id.ok()) return id;
  subscriptions_[*id] =
      std::make_shared<Subscription>(Subscription{std::move(on_message), std::move(on_subscribed)});
  turn_soon();
  return id;
}

void Driver::unsubscribe(SubscriptionId subscription) {
  if (gone_) return;
  // What the callbacks hold goes after this, since it may call here.
  const auto kept = subscriptions_.extract(subscription);
  fabric_.client().unsubscribe(now(), subscription);
  turn_soon();
}

Result<CallId> Driver::publish(std::string_view subject, MessageData message,
                               const PublishOptions& options, OnPublished on_published) {
  auto call = fabric_.client().publish(now(), kOwner, subject, std::move(message), options);
  if (!call.ok()) return call;
  if (on_published) publishes_[*call] = std::move(on_published);
  turn_soon();
  return call;
}

Result<std::size_t> Driver::publish_now(std::string_view subject, const MessageData& message) {
  if (transport_ && transport_->unsent_bytes() > options_.max_unsent_bytes) {
    return Error(ErrorKind::limit_reached, "the network takes messages too slowly");
  }
  auto bytes = fabric_.client().publish_now(now(), subject, message);
  turn_soon();
  return bytes;
}

Result<CallId> Driver::request(std::string_view subject, MessageData message,
                               const RequestOptions& options, OnReply on_reply) {
  auto call = fabric_.client().request(now(), kOwner, subject, std::move(message), options);
  if (!call.ok()) return call;
  requests_[*call] = std::make_shared<OnReply>(std::move(on_reply));
  turn_soon();
  return call;
}

Result<CallId> Driver::wait_for_interest(std::string_view subject, std::int64_t timeout_ms,
                                         OnInterest on_interest) {
  auto call = fabric_.client().wait_for_interest(now(), kOwner, subject, timeout_ms);
  if (!call.ok()) return call;
  interests_[*call] = std::move(on_interest);
  turn_soon();
  return call;
}

Result<CallId> Driver::ask_server(ServerQuestion question, OnAnswer on_answer) {
  auto call = fabric_.client().ask_server(now(), kOwner, question);
  if (!call.ok()) return call;
  questions_[*call] = std::move(on_answer);
  turn_soon();
  return call;
}

void Driver::cancel(CallId request) {
  if (gone_) return;
  const auto kept = requests_.extract(request);
  fabric_.client().cancel(request);
}

// ---- stores ----

Result<DkvId> Driver::open_dkv(DkvOptions options, DkvHandlers handlers) {
  if (state() == ClientState::closed) return Error(ErrorKind::closed);
  auto dkv = fabric_.dkvs().open(now(), kOwner, std::move(options));
  if (!dkv.ok()) return dkv;
  dkvs_[*dkv] = std::make_shared<DkvHandlers>(std::move(handlers));
  turn_soon();
  return dkv;
}

void Driver::close_dkv(DkvId dkv) {
  if (gone_) return;
  const auto kept = dkvs_.extract(dkv);
  fabric_.dkvs().close(now(), dkv);
  turn_soon();
}

Status Driver::dkv_save(DkvId dkv, OnDone on_done) {
  if (gone_) return Error(ErrorKind::closed);
  const Result<CallId> call = fabric_.dkvs().save(now(), dkv);
  if (!call.ok()) return call.error();
  saves_[*call] = std::move(on_done);
  turn_soon();
  return Nothing{};
}

Result<StreamClientId> Driver::open_stream(StreamOpenOptions options, StreamHandlers handlers) {
  if (state() == ClientState::closed) return Error(ErrorKind::closed);
  auto stream = fabric_.streams().open(now(), kOwner, std::move(options));
  if (!stream.ok()) return stream;
  streams_[*stream] = std::make_shared<StreamHandlers>(std::move(handlers));
  turn_soon();
  return stream;
}

void Driver::close_stream(StreamClientId stream) {
  if (gone_) return;
  const auto kept = streams_.extract(stream);
  fabric_.streams().close(now(), stream);
  turn_soon();
}

void Driver::stream_command(StreamClientId stream, std::string_view name, const Value& arguments,
                            const StreamCallOptions& options, OnStreamAnswer on_answer) {
  if (gone_) return on_answer(Error(ErrorKind::closed), true);
  StreamCallOptions own = options;
  own.owner = kOwner;
  const CallId call = fabric_.streams().command(now(), stream, name, arguments, own);
  stream_calls_[call] = std::make_shared<OnStreamAnswer>(std::move(on_answer));
  turn_soon();
}

void Driver::stream_set(StreamClientId stream, const std::vector<StreamSet>& items,
                        const StreamCallOptions& options, OnStreamAnswer on_answer) {
  if (gone_) return on_answer(Error(ErrorKind::closed), true);
  const CallId call = fabric_.streams().set_many(now(), stream, items, options);
  stream_calls_[call] = std::make_shared<OnStreamAnswer>(std::move(on_answer));
  turn_soon();
}

Result<CoreStreamId> Driver::open_core_stream(StreamOpenOptions options, HeldHandlers handlers) {
  if (state() == ClientState::closed) return Error(ErrorKind::closed);
  auto stream = fabric_.core_streams().open(now(), kOwner, std::move(options));
  if (!stream.ok()) return stream;
  core_streams_[*stream] = std::make_shared<HeldHandlers>(std::move(handlers));
  turn_soon();
  return stream;
}

void Driver::close_core_stream(CoreStreamId stream) {
  if (gone_) return;
  const auto kept = core_streams_.extract(stream);
  fabric_.core_streams().close(now(), stream);
  turn_soon();
}

void Driver::core_stream_set(CoreStreamId stream, const std::vector<StreamSet>& items,
                             const StreamCallOptions& options, OnStreamAnswer on_answer) {
  if (gone_) return on_answer(Error(ErrorKind::closed), true);
  StreamCallOptions own = options;
  own.owner = kOwner;
  const CallId call = fabric_.core_streams().publish(now(), stream, items, own);
  stream_calls_[call] = std::make_shared<OnStreamAnswer>(std::move(on_answer));
  turn_soon();
}

Status Driver::core_stream_load(CoreStreamId stream, StreamSequence start_seq, OnDone on_done) {
  if (gone_) return Error(ErrorKind::closed);
  const Result<CallId> call = fabric_.core_streams().load(now(), stream, start_seq);
  if (!call.ok()) return call.error();
  core_stream_loads_[*call] = std::move(on_done);
  turn_soon();
  return Nothing{};
}

Result<DStreamId> Driver::open_dstream(DStreamOptions options, HeldHandlers handlers) {
  if (state() == ClientState::closed) return Error(ErrorKind::closed);
  auto stream = fabric_.dstreams().open(now(), kOwner, std::move(options));
  if (!stream.ok()) return stream;
  dstreams_[*stream] = std::make_shared<HeldHandlers>(std::move(handlers));
  turn_soon();
  return stream;
}

void Driver::close_dstream(DStreamId stream) {
  if (gone_) return;
  const auto kept = dstreams_.extract(stream);
  fabric_.dstreams().close(now(), stream);
  turn_soon();
}

Status Driver::dstream_save(DStreamId stream, OnDone on_done) {
  if (gone_) return Error(ErrorKind::closed);
  const Result<CallId> call = fabric_.dstreams().save(now(), stream);
  if (!call.ok()) return call.error();
  dstream_calls_[*call] = std::move(on_done);
  turn_soon();
  return Nothing{};
}

Status Driver::dstream_load(DStreamId stream, StreamSequence start_seq, OnDone on_done) {
  if (gone_) return Error(ErrorKind::closed);
  const Result<CallId> call = fabric_.dstreams().load(now(), stream, start_seq);
  if (!call.ok()) return call.error();
  dstream_calls_[*call] = std::move(on_done);
  turn_soon();
  return Nothing{};
}

// ---- sockets ----

Result<SocketId> Driver::connect_socket(std::string_view subject, const ConnectOptions& options,
                                        SocketHandlers handlers) {
  auto socket = fabric_.sockets().connect(now(), kOwner, subject, options);
  if (!socket.ok()) return socket;
  handle_socket(*socket, std::move(handlers));
  turn_soon();
  return socket;
}

Result<SocketServerId> Driver::listen(std::string_view subject, const ListenOptions& options,
                                      SocketServerHandlers handlers) {
  auto server = fabric_.sockets().listen(now(), kOwner, subject, options);
  if (!server.ok()) return server;
  servers_[*server] = std::make_shared<SocketServerHandlers>(std::move(handlers));
  turn_soon();
  return server;
}

void Driver::handle_socket(SocketId socket, SocketHandlers handlers) {
  sockets_[socket] = std::make_shared<SocketHandlers>(std::move(handlers));
}

Result<CallId> Driver::socket_request(SocketId socket, MessageData data,
                                      const RequestOptions& options, OnReply on_reply) {
  auto call = fabric_.sockets().request(now(), socket, std::move(data), options);
  if (!call.ok()) return call;
  socket_requests_[*call] = std::make_shared<OnReply>(std::move(on_reply));
  turn_soon();
  return call;
}

void Driver::cancel_socket_call(CallId request) {
  if (gone_) return;
  const auto kept = socket_requests_.extract(request);
  fabric_.sockets().cancel(request);
}

void Driver::close_socket(SocketId socket) {
  if (gone_) return;
  const auto kept = sockets_.extract(socket);
  fabric_.sockets().close(now(), socket);
  turn_soon();
}

void Driver::close_server(SocketServerId server) {
  if (gone_) return;
  const auto kept = servers_.extract(server);
  fabric_.sockets().close_server(now(), server);
  turn_soon();
}

}  // namespace conat::native
