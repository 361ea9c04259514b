// What comes out of the Fabric: to the transport, or to the callback that waits for it.
// clang-format off
#include <utility>
// clang-format on

#include <chrono>

#include "client/driver.hpp"

namespace conat::native {
namespace {

template <class Key, class Callback>
Callback take(std::unordered_map<Key, Callback>& callbacks, Key key) {
  const auto found = callbacks.find(key);
  if (found == callbacks.end()) return {};
  Callback callback = std::move(found->second);
  callbacks.erase(found);
  return callback;
}

// A copy of the pointer: the entry may go while its callback runs.
template <class Key, class Handlers>
std::shared_ptr<Handlers> find(const std::unordered_map<Key, std::shared_ptr<Handlers>>& all,
                               Key key) {
  const auto found = all.find(key);
  return found == all.end() ? nullptr : found->second;
}

}  // namespace

void Driver::carry_out(FabricEffect& effect) {
  std::visit(
      [this](auto& layer_effect) {
        std::visit([this](auto& item) { this->handle(item); }, layer_effect);
      },
      effect);
}

// ---- the connection ----

void Driver::handle(client_effect::OpenTransport&) {
  ++attempt_;
  if (options_.auth) {
    authenticate();
  } else {
    open_transport();
  }
}

void Driver::handle(client_effect::SendMessages& send) {
  if (transport_) transport_->send(send.messages);
}

void Driver::handle(client_effect::CloseTransport&) {
  ++attempt_;
  if (transport_) transport_->close();
  transport_.reset();
}

// The identity expires soon: it is renewed on the connection that there is.
void Driver::handle(client_effect::AuthNeeded&) {
  const AuthFunction auth = options_.auth;
  if (!auth) return fabric_.client().renewal_failed(now());
  auth([weak = weak_from_this()](Result<Value> answer) {
    const std::shared_ptr<Driver> self = weak.lock();
    if (!self || self->gone_) return;
    if (answer.ok()) {
      self->fabric_.client().renew_auth(now(), std::move(*answer));
    } else {
      self->fabric_.client().renewal_failed(now());
    }
    self->turn_soon();
  });
}

void Driver::handle(client_effect::StateChanged& changed) {
  const auto callback = on_state;
  if (callback) callback(changed.state);
}

void Driver::handle(client_effect::InfoReceived& info) {
  if (info.signed_in) until_signed_in_->finish(Nothing{});
  const auto callback = on_info;
  if (!callback) return;
  const Result<Value> value = decode_msgpack(info.info);
  if (value.ok()) callback(*value, info.signed_in);
}

void Driver::authenticate() {
  const AuthFunction auth = options_.auth;
  auth([weak = weak_from_this(), attempt = attempt_](Result<Value> answer) {
    const std::shared_ptr<Driver> self = weak.lock();
    if (!self || self->gone_ || self->attempt_ != attempt) return;
    if (!answer.ok()) {
      self->attempt_failed("cannot authenticate: " + answer.error().text);
    } else {
      self->fabric_.client().set_auth(std::move(*answer));
      self->open_transport();
    }
    self->turn_soon();
  });
}

void Driver::attempt_failed(const std::string& reason) {
  transport_.reset();
  fabric_.client().on_transport_closed(now());
  const auto callback = on_connection_error;
  if (callback) callback(reason);
}

void Driver::open_transport() {
  const auto current = [weak = weak_from_this(), attempt = attempt_]() -> std::shared_ptr<Driver> {
    std::shared_ptr<Driver> self = weak.lock();
    return self && !self->gone_ && self->attempt_ == attempt ? self : nullptr;
  };
  TransportHandlers handlers;
  handlers.opened = [current] {
    const auto self = current();
    if (!self) return;
    self->fabric_.client().on_transport_open(now());
    self->turn();
  };
  handlers.message = [current](bool binary, ByteView message) {
    const auto self = current();
    if (!self) return;
    self->fabric_.client().on_transport_message(now(), binary, message);
    self->turn();
  };
  handlers.closed = [current](const std::string& reason) {
    const auto self = current();
    if (!self) return;
    self->attempt_failed(reason);
    self->turn();
  };
  TransportOptions transport;
  transport.address = address_;
  transport.headers = options_.headers;
  transport.verify_certificate = options_.verify_certificate;
  transport.ca_file = options_.ca_file;
  transport_ = Transport::open(loop_, std::move(transport), std::move(handlers), random_.fork());
}

void Driver::arm_timer() {
  const std::optional<TimeMs> deadline = fabric_.deadline();
  if (deadline == armed_) return;
  armed_ = deadline;
  timer_.cancel();
  if (!deadline) return;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(*deadline)));
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->gone_) return;
    self->armed_.reset();
    self->fabric_.on_time(now());
    self->turn();
  });
}

// ---- messages ----

void Driver::handle(client_effect::SubscribeDone& done) { told(done.subscription, done.error); }

void Driver::handle(client_effect::SubscriptionEnded& ended) {
  told(ended.subscription, ended.error);
}

void Driver::told(SubscriptionId id, const std::optional<Error>& error) {
  const auto subscription = find(subscriptions_, id);
  if (!subscription) return;
  if (error) subscriptions_.erase(id);
  if (subscription->on_subscribed) subscription->on_subscribed(error);
}

void Driver::handle(client_effect::MessageArrived& arrived) {
  const auto subscription = find(subscriptions_, arrived.subscription);
  if (subscription && subscription->on_message) {
    subscription->on_message(std::move(arrived.message));
  }
}

void Driver::handle(client_effect::PublishDone& done) {
  if (const OnPublished callback = take(publishes_, done.call)) callback(done.result);
}

void Driver::handle(client_effect::ReplyArrived& arrived) {
  const auto callback = find(requests_, arrived.call);
  if (!callback) return;
  if (arrived.last) requests_.erase(arrived.call);
  (*callback)(std::move(arrived.reply), arrived.last);
}

void Driver::handle(client_effect::InterestDone& done) {
  if (const OnInterest callback = take(interests_, done.call)) callback(done.interest);
}

void Driver::handle(client_effect::ServerAnswered& answered) {
  const OnAnswer callback = take(questions_, answered.call);
  if (!callback) return;
  if (answered.answer.ok()) {
    callback(decode_msgpack(*answered.answer));
  } else {
    callback(answered.answer.error());
  }
}

// ---- sockets ----

void Driver::handle(socket_effect::ServerStateChanged& changed) {
  const auto handlers = find(servers_, changed.server);
  if (!handlers) return;
  if (changed.state == SocketState::closed) servers_.erase(changed.server);
  if (handlers->state) handlers->state(changed.state, changed.error);
}

void Driver::handle(socket_effect::Connected& connected) {
  const auto handlers = find(servers_, connected.server);
  if (handlers && handlers->connected) handlers->connected(connected.socket);
}

void Driver::handle(socket_effect::StateChanged& changed) {
  const auto handlers = find(sockets_, changed.socket);
  if (!handlers) return;
  if (changed.state == SocketState::closed) sockets_.erase(changed.socket);
  if (handlers->state) handlers->state(changed.state);
}

void Driver::handle(socket_effect::Data& data) {
  const auto handlers = find(sockets_, data.socket);
  if (handlers && handlers->data) handlers->data(std::move(data.data));
}

void Driver::handle(socket_effect::Request& request) {
  const auto handlers = find(sockets_, request.socket);
  if (handlers && handlers->request) handlers->request(std::move(request));
}

void Driver::handle(socket_effect::Drained& drained) {
  const auto handlers = find(sockets_, drained.socket);
  if (handlers && handlers->drained) handlers->drained();
}

void Driver::handle(socket_effect::Ended& ended) {
  const auto handlers = find(sockets_, ended.socket);
  if (handlers && handlers->ended) handlers->ended();
}

void Driver::handle(socket_effect::ServerNeeded& needed) {
  const auto handlers = find(sockets_, needed.socket);
  if (handlers && handlers->server_needed) handlers->server_needed();
}

void Driver::handle(socket_effect::ReplyArrived& arrived) {
  const auto callback = find(socket_requests_, arrived.call);
  if (!callback) return;
  if (arrived.last) socket_requests_.erase(arrived.call);
  (*callback)(std::move(arrived.reply), arrived.last);
}

// ---- stores ----

void Driver::handle(stream_client_effect::Snapshot& snapshot) {
  const auto handlers = find(streams_, snapshot.stream);
  if (handlers && handlers->snapshot) handlers->snapshot(std::move(snapshot));
}

void Driver::handle(stream_client_effect::Changes& changes) {
  const auto handlers = find(streams_, changes.stream);
  if (handlers && handlers->changes) handlers->changes(std::move(changes));
}

void Driver::handle(stream_client_effect::Failed& failed) {
  const auto handlers = find(streams_, failed.stream);
  if (!handlers) return;
  streams_.erase(failed.stream);
  if (handlers->failed) handlers->failed(failed.error);
}

void Driver::handle(stream_client_effect::ConnectionChanged& changed) {
  const auto handlers = find(streams_, changed.stream);
  if (handlers && handlers->connection) handlers->connection(changed.connected);
}

void Driver::handle(stream_client_effect::Answer& answer) {
  const auto callback = find(stream_calls_, answer.call);
  if (!callback) return;
  if (answer.last) stream_calls_.erase(answer.call);
  (*callback)(std::move(answer.reply), answer.last);
}

void Driver::handle(dkv_effect::Opened& opened) {
  const auto handlers = find(dkvs_, opened.dkv);
  if (!handlers) return;
  if (opened.error) dkvs_.erase(opened.dkv);
  if (handlers->opened) handlers->opened(opened.error);
}

void Driver::handle(dkv_effect::Change& change) {
  const auto handlers = find(dkvs_, change.dkv);
  if (handlers && handlers->change) handlers->change(change);
}

void Driver::handle(dkv_effect::Rejected& rejected) {
  const auto handlers = find(dkvs_, rejected.dkv);
  if (handlers && handlers->rejected) handlers->rejected(rejected);
}

void Driver::handle(dkv_effect::MergeNeeded& conflict) {
  const auto handlers = find(dkvs_, conflict.dkv);
  if (handlers && handlers->merge) handlers->merge(conflict);
}

void Driver::handle(dkv_effect::Saved& saved) {
  if (const OnDone callback = take(saves_, saved.call)) callback(saved.error);
}

// ---- streams that are held whole ----

void Driver::handle(core_stream_effect::Opened& opened) {
  const auto handlers = find(core_streams_, opened.stream);
  if (!handlers) return;
  if (opened.error) core_streams_.erase(opened.stream);
  if (handlers->opened) handlers->opened(opened.error);
}

void Driver::handle(core_stream_effect::Change& change) {
  const auto handlers = find(core_streams_, change.stream);
  if (handlers && handlers->change) handlers->change(change.change);
}

void Driver::handle(core_stream_effect::Loaded& loaded) {
  if (const OnDone callback = take(core_stream_loads_, loaded.call)) callback(loaded.error);
}

void Driver::handle(dstream_effect::Opened& opened) {
  const auto handlers = find(dstreams_, opened.stream);
  if (!handlers) return;
  if (opened.error) dstreams_.erase(opened.stream);
  if (handlers->opened) handlers->opened(opened.error);
}

void Driver::handle(dstream_effect::Change& change) {
  const auto handlers = find(dstreams_, change.stream);
  if (handlers && handlers->change) handlers->change(change.change);
}

void Driver::handle(dstream_effect::Rejected& rejected) {
  const auto handlers = find(dstreams_, rejected.stream);
  if (handlers && handlers->rejected) handlers->rejected(rejected.value, rejected.error);
}

void Driver::handle(dstream_effect::Saved& saved) {
  if (const OnDone callback = take(dstream_calls_, saved.call)) callback(saved.error);
}

void Driver::handle(dstream_effect::Loaded& loaded) {
  if (const OnDone callback = take(dstream_calls_, loaded.call)) callback(loaded.error);
}

}  // namespace conat::native
