// clang-format off
#include <utility>
// clang-format on

#include "client/native_client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <unordered_map>

#include "client/random_seed.hpp"
#include "client/transport.hpp"

namespace conat::native {
namespace {

const Owner kOwner{Layer::user, 0};

template <class Key, class Callback>
Callback take(std::unordered_map<Key, Callback>& callbacks, Key key) {
  const auto found = callbacks.find(key);
  if (found == callbacks.end()) return {};
  Callback callback = std::move(found->second);
  callbacks.erase(found);
  return callback;
}

}  // namespace

// Shared with the handlers of timers and transports, which find out by it that it was shut down.
class NativeClient::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, ServerAddress address, NativeClientOptions options)
      : context(loop),
        options_(std::move(options)),
        address_(std::move(address)),
        random_(seeded_random()),
        fabric(options_.client, random_.fork()),
        timer_(loop) {}

  void shut_down() {
    gone_ = true;
    timer_.cancel();
    if (transport_) transport_->close();
    transport_.reset();
  }

  static TimeMs now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  // Callbacks never run inside the user's own call: the turn comes a moment later.
  void turn_soon() {
    if (turn_scheduled_ || in_turn_ || gone_) return;
    turn_scheduled_ = true;
    boost::asio::post(context, [self = shared_from_this()] {
      self->turn_scheduled_ = false;
      self->turn();
    });
  }

  void turn() {
    if (in_turn_ || gone_) return;
    in_turn_ = true;
    FabricEffect effect;
    while (!gone_ && fabric.next(now(), effect)) carry_out(effect);
    in_turn_ = false;
    if (!gone_) arm_timer();
  }

  std::size_t unsent_bytes() const { return transport_ ? transport_->unsent_bytes() : 0; }

  boost::asio::io_context& context;

 private:
  NativeClientOptions options_;
  ServerAddress address_;
  Random random_;

 public:
  const NativeClientOptions& options() const { return options_; }

  Fabric fabric;
  std::function<void(ClientState)> on_state;
  std::function<void(const Value&, bool)> on_info;
  std::function<void(const std::string&)> on_connection_error;
  std::function<void(const FabricEffect&)> on_effect;
  struct Subscription {
    OnMessage on_message;
    OnSubscribed on_subscribed;
  };
  // Shared pointers, since a callback may remove the entry that it came from.
  std::unordered_map<SubscriptionId, std::shared_ptr<Subscription>> subscriptions;
  std::unordered_map<CallId, OnPublished> publishes;
  std::unordered_map<CallId, std::shared_ptr<OnReply>> requests;
  std::unordered_map<CallId, OnInterest> interests;
  std::unordered_map<CallId, OnAnswer> questions;
  std::unordered_map<CallId, OnDone> saves;
  std::unordered_map<DkvId, std::shared_ptr<DkvHandlers>> dkvs;

 private:
  void carry_out(const FabricEffect& effect) {
    const bool taken = std::visit(
        [this](const auto& layer_effect) {
          return std::visit([this](const auto& item) { return this->handle(item); }, layer_effect);
        },
        effect);
    if (!taken && on_effect) on_effect(effect);
  }

  template <class Other>
  bool handle(const Other&) {
    return false;
  }

  bool handle(const client_effect::OpenTransport&) {
    open_transport();
    return true;
  }
  bool handle(const client_effect::SendMessages& send) {
    if (transport_) transport_->send(send.messages);
    return true;
  }
  bool handle(const client_effect::CloseTransport&) {
    if (transport_) transport_->close();
    transport_.reset();
    return true;
  }
  bool handle(const client_effect::StateChanged& changed) {
    if (on_state) on_state(changed.state);
    return true;
  }
  bool handle(const client_effect::InfoReceived& info) {
    if (!on_info) return true;
    const Result<Value> value = decode_msgpack(info.info);
    if (value.ok()) on_info(*value, info.signed_in);
    return true;
  }
  bool handle(const client_effect::SubscribeDone& done) {
    return told(done.subscription, done.error);
  }
  bool handle(const client_effect::SubscriptionEnded& ended) {
    return told(ended.subscription, ended.error);
  }
  bool handle(const client_effect::MessageArrived& arrived) {
    const auto found = subscriptions.find(arrived.subscription);
    if (found == subscriptions.end()) return false;
    const std::shared_ptr<Subscription> subscription = found->second;
    if (subscription->on_message) subscription->on_message(arrived.message);
    return true;
  }
  bool handle(const client_effect::PublishDone& done) {
    if (const OnPublished callback = take(publishes, done.call)) callback(done.result);
    return true;
  }
  bool handle(const client_effect::ReplyArrived& arrived) {
    const auto found = requests.find(arrived.call);
    if (found == requests.end()) return false;
    const std::shared_ptr<OnReply> callback = found->second;
    if (arrived.last) requests.erase(found);
    (*callback)(arrived.reply, arrived.last);
    return true;
  }
  bool handle(const client_effect::InterestDone& done) {
    if (const OnInterest callback = take(interests, done.call)) callback(done.interest);
    return true;
  }
  bool handle(const client_effect::ServerAnswered& answered) {
    const OnAnswer callback = take(questions, answered.call);
    if (!callback) return false;
    if (answered.answer.ok()) {
      callback(decode_msgpack(*answered.answer));
    } else {
      callback(answered.answer.error());
    }
    return true;
  }
  bool handle(const dkv_effect::Opened& opened) {
    const auto found = dkvs.find(opened.dkv);
    if (found == dkvs.end()) return false;
    const std::shared_ptr<DkvHandlers> handlers = found->second;
    if (opened.error) dkvs.erase(found);
    if (handlers->opened) handlers->opened(opened.error);
    return true;
  }
  bool handle(const dkv_effect::Change& change) {
    const auto found = dkvs.find(change.dkv);
    if (found == dkvs.end()) return false;
    const std::shared_ptr<DkvHandlers> handlers = found->second;
    if (handlers->change) handlers->change(change);
    return true;
  }
  bool handle(const dkv_effect::Rejected& rejected) {
    const auto found = dkvs.find(rejected.dkv);
    if (found == dkvs.end()) return false;
    const std::shared_ptr<DkvHandlers> handlers = found->second;
    if (handlers->rejected) handlers->rejected(rejected);
    return true;
  }
  bool handle(const dkv_effect::Saved& saved) {
    if (const OnDone callback = take(saves, saved.call)) callback(saved.error);
    return true;
  }

  bool told(SubscriptionId id, const std::optional<Error>& error) {
    const auto found = subscriptions.find(id);
    if (found == subscriptions.end()) return false;
    const std::shared_ptr<Subscription> subscription = found->second;
    if (error) subscriptions.erase(found);
    if (subscription->on_subscribed) subscription->on_subscribed(error);
    return true;
  }

  void open_transport() {
    const std::uint64_t attempt = ++attempt_;
    const std::weak_ptr<Impl> weak = weak_from_this();
    // A transport that was replaced meanwhile is not listened to.
    const auto current = [weak, attempt]() -> std::shared_ptr<Impl> {
      const std::shared_ptr<Impl> self = weak.lock();
      return self && !self->gone_ && self->attempt_ == attempt ? self : nullptr;
    };
    TransportHandlers handlers;
    handlers.opened = [current] {
      const auto self = current();
      if (!self) return;
      self->fabric.client().on_transport_open(now());
      self->turn();
    };
    handlers.message = [current](bool binary, ByteView message) {
      const auto self = current();
      if (!self) return;
      self->fabric.client().on_transport_message(now(), binary, message);
      self->turn();
    };
    handlers.closed = [current](const std::string& reason) {
      const auto self = current();
      if (!self) return;
      self->transport_.reset();
      self->fabric.client().on_transport_closed(now());
      if (self->on_connection_error) self->on_connection_error(reason);
      self->turn();
    };
    TransportOptions transport_options;
    transport_options.address = address_;
    transport_options.headers = options_.headers;
    transport_options.verify_certificate = options_.verify_certificate;
    transport_ =
        Transport::open(context, std::move(transport_options), std::move(handlers), random_.fork());
  }

  void arm_timer() {
    // Once closed, no layer has anything to do, whatever it had planned; the loop may end.
    const bool closed = fabric.client().state() == ClientState::closed;
    const std::optional<TimeMs> deadline = closed ? std::nullopt : fabric.deadline();
    if (deadline == armed_) return;
    armed_ = deadline;
    timer_.cancel();
    if (!deadline) return;
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(*deadline)));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || self->gone_) return;
      self->armed_.reset();
      self->fabric.on_time(now());
      self->turn();
    });
  }

  boost::asio::steady_timer timer_;
  std::optional<TimeMs> armed_;
  std::shared_ptr<Transport> transport_;
  std::uint64_t attempt_ = 0;
  bool turn_scheduled_ = false;
  bool in_turn_ = false;
  bool gone_ = false;
};

NativeClient::NativeClient(boost::asio::io_context& context, ServerAddress address,
                           NativeClientOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(address), std::move(options))) {}

NativeClient::~NativeClient() { impl_->shut_down(); }

boost::asio::io_context& NativeClient::context() { return impl_->context; }

void NativeClient::connect() {
  impl_->fabric.client().connect(now());
  impl_->turn_soon();
}

void NativeClient::disconnect() {
  impl_->fabric.client().disconnect(now());
  impl_->turn_soon();
}

void NativeClient::close() {
  impl_->fabric.client().close(now());
  impl_->turn_soon();
}

void NativeClient::set_auth(Value auth) { impl_->fabric.client().set_auth(std::move(auth)); }

void NativeClient::on_state(std::function<void(ClientState)> callback) {
  impl_->on_state = std::move(callback);
}

void NativeClient::on_info(std::function<void(const Value&, bool)> callback) {
  impl_->on_info = std::move(callback);
}

void NativeClient::on_connection_error(std::function<void(const std::string&)> callback) {
  impl_->on_connection_error = std::move(callback);
}

Result<SubscriptionId> NativeClient::subscribe(std::string_view pattern,
                                               const SubscribeOptions& options,
                                               OnMessage on_message, OnSubscribed on_subscribed) {
  auto id = impl_->fabric.client().subscribe(now(), kOwner, pattern, options);
  if (!id.ok()) return id;
  impl_->subscriptions[*id] = std::make_shared<Impl::Subscription>(
      Impl::Subscription{std::move(on_message), std::move(on_subscribed)});
  impl_->turn_soon();
  return id;
}

void NativeClient::unsubscribe(SubscriptionId subscription) {
  impl_->subscriptions.erase(subscription);
  impl_->fabric.client().unsubscribe(now(), subscription);
  impl_->turn_soon();
}

Result<CallId> NativeClient::publish(std::string_view subject, MessageData message,
                                     const PublishOptions& options, OnPublished on_published) {
  auto call = impl_->fabric.client().publish(now(), kOwner, subject, std::move(message), options);
  if (!call.ok()) return call;
  if (on_published) impl_->publishes[*call] = std::move(on_published);
  impl_->turn_soon();
  return call;
}

Result<std::size_t> NativeClient::publish_now(std::string_view subject,
                                              const MessageData& message) {
  if (impl_->unsent_bytes() > impl_->options().max_unsent_bytes) {
    return Error(ErrorKind::limit_reached, "the network takes messages too slowly");
  }
  auto bytes = impl_->fabric.client().publish_now(now(), subject, message);
  impl_->turn_soon();
  return bytes;
}

Result<CallId> NativeClient::request(std::string_view subject, MessageData message,
                                     const RequestOptions& options, OnReply on_reply) {
  auto call = impl_->fabric.client().request(now(), kOwner, subject, std::move(message), options);
  if (!call.ok()) return call;
  impl_->requests[*call] = std::make_shared<OnReply>(std::move(on_reply));
  impl_->turn_soon();
  return call;
}

void NativeClient::respond(const Message& request, MessageData answer, OnPublished on_published) {
  const std::string_view subject = request.reply_subject();
  if (subject.empty()) return;
  PublishOptions options;
  options.wait_for_interest = true;
  const OnPublished callback = on_published;
  const auto call = publish(subject, std::move(answer), options, std::move(on_published));
  if (call.ok() || !callback) return;
  boost::asio::post(impl_->context, [callback, error = call.error()] { callback(error); });
}

Result<CallId> NativeClient::wait_for_interest(std::string_view subject, std::int64_t timeout_ms,
                                               OnInterest on_interest) {
  auto call = impl_->fabric.client().wait_for_interest(now(), kOwner, subject, timeout_ms);
  if (!call.ok()) return call;
  impl_->interests[*call] = std::move(on_interest);
  impl_->turn_soon();
  return call;
}

Result<CallId> NativeClient::ask_server(ServerQuestion question, OnAnswer on_answer) {
  auto call = impl_->fabric.client().ask_server(now(), kOwner, question);
  if (!call.ok()) return call;
  impl_->questions[*call] = std::move(on_answer);
  impl_->turn_soon();
  return call;
}

void NativeClient::cancel(CallId call) {
  impl_->fabric.client().cancel(call);
  impl_->publishes.erase(call);
  impl_->requests.erase(call);
  impl_->interests.erase(call);
  impl_->questions.erase(call);
}

Result<DkvId> NativeClient::open_dkv(DkvOptions options, DkvHandlers handlers) {
  auto dkv = impl_->fabric.dkvs().open(now(), kOwner, std::move(options));
  if (!dkv.ok()) return dkv;
  impl_->dkvs[*dkv] = std::make_shared<DkvHandlers>(std::move(handlers));
  impl_->turn_soon();
  return dkv;
}

void NativeClient::close_dkv(DkvId dkv) {
  impl_->dkvs.erase(dkv);
  impl_->fabric.dkvs().close(now(), dkv);
  impl_->turn_soon();
}

Status NativeClient::dkv_set(DkvId dkv, std::string_view key, EncodedValue value) {
  Status status = impl_->fabric.dkvs().set(now(), dkv, key, std::move(value));
  impl_->turn_soon();
  return status;
}

Status NativeClient::dkv_erase(DkvId dkv, std::string_view key) {
  Status status = impl_->fabric.dkvs().erase(now(), dkv, key);
  impl_->turn_soon();
  return status;
}

Status NativeClient::dkv_save(DkvId dkv, OnDone on_done) {
  const Result<CallId> call = impl_->fabric.dkvs().save(now(), dkv);
  if (!call.ok()) return call.error();
  impl_->saves[*call] = std::move(on_done);
  impl_->turn_soon();
  return Nothing{};
}

Fabric& NativeClient::fabric() { return impl_->fabric; }

void NativeClient::on_effect(std::function<void(const FabricEffect&)> callback) {
  impl_->on_effect = std::move(callback);
}

void NativeClient::turn() { impl_->turn_soon(); }

TimeMs NativeClient::now() const { return Impl::now(); }

}  // namespace conat::native
