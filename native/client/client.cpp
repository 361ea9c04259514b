#include "client/client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdlib>

#include "client/connection.hpp"
#include "client/dkv_state.hpp"
#include "client/held_stream_state.hpp"
#include "client/stream_state.hpp"
#include "client/subscription_state.hpp"
#include "conat/subject/subject.hpp"

namespace conat::native {
namespace {

using AuthAnswer = std::function<void(Result<Value>)>;

// Asks the program's coroutine; what it throws counts as a failed attempt.
Awaitable<void> ask_for_auth(std::function<Awaitable<Result<Value>>()> function,
                             AuthAnswer answer) {
  Result<Value> auth = Error(ErrorKind::internal);
  try {
    auth = co_await function();
  } catch (const std::exception& error) {
    auth = Error(ErrorKind::internal, error.what());
  } catch (...) {
    auth = Error(ErrorKind::internal, "the authentication function threw something");
  }
  answer(std::move(auth));
}

ClientOptions core_options(const ClientSettings& settings) {
  ClientOptions options;
  options.inbox_prefix = settings.inbox_prefix;
  options.encoding = settings.encoding;
  options.auth = settings.auth;
  options.renew_auth = static_cast<bool>(settings.auth_function);
  options.reconnection = settings.reconnection;
  options.reconnection_delay_ms = settings.reconnection_delay.count();
  options.reconnection_delay_max_ms = settings.reconnection_delay_max.count();
  options.randomization_factor = settings.randomization_factor;
  options.request_timeout_ms = settings.request_timeout.count();
  options.publish_timeout_ms = settings.publish_timeout.count();
  return options;
}

DriverOptions driver_options(asio::io_context& loop, ClientSettings settings) {
  DriverOptions options;
  options.client = core_options(settings);
  options.headers = std::move(settings.headers);
  if (!settings.system_password.empty()) {
    options.headers.emplace_back("Cookie", "sys=" + settings.system_password);
  }
  if (settings.auth_function) {
    options.auth = [&loop, function = std::move(settings.auth_function)](AuthAnswer answer) {
      asio::co_spawn(loop, ask_for_auth(function, std::move(answer)), asio::detached);
    };
  }
  options.verify_certificate = settings.verify_certificate;
  options.ca_file = std::move(settings.ca_file);
  options.max_unsent_bytes = settings.max_unsent_bytes;
  return options;
}

SubscribeOptions core_options(const SubscribeSettings& settings) {
  SubscribeOptions options;
  options.queue = settings.queue;
  options.timeout_ms = settings.timeout.count();
  return options;
}

PublishOptions core_options(const PublishSettings& settings) {
  PublishOptions options;
  options.timeout_ms = settings.timeout.count();
  options.wait_for_interest = settings.wait_for_interest;
  return options;
}

std::string address_or_default(std::string address) {
  if (!address.empty()) return address;
  const char* const server = std::getenv("CONAT_SERVER");
  return server != nullptr && *server != '\0' ? server : "http://127.0.0.1:8080";
}

}  // namespace

// ---- the connection ----

Result<Client> Client::create(asio::io_context& loop, ClientSettings settings) {
  auto address = parse_server_address(address_or_default(settings.address));
  if (!address.ok()) return address.error();
  if (settings.inbox_prefix.rfind("_INBOX", 0) != 0) {
    return Error(ErrorKind::invalid_argument, "inbox_prefix must start with _INBOX");
  }
  if (!is_valid_subject(settings.inbox_prefix)) {
    return Error(ErrorKind::invalid_argument, "inbox_prefix '" + settings.inbox_prefix +
                                                  "' must be a valid subject without wildcards");
  }
  const bool connect_now = settings.auto_connect;
  auto driver = std::make_shared<Driver>(loop, std::move(*address),
                                         driver_options(loop, std::move(settings)));
  if (connect_now) driver->connect();
  return Client(std::make_shared<Connection>(std::move(driver)));
}

Driver& Client::driver() const { return *connection_->driver; }
asio::io_context& Client::loop() const { return driver().loop(); }
void Client::connect() const { driver().connect(); }
void Client::disconnect() const { driver().disconnect(); }
void Client::close() const { driver().close(); }
ClientState Client::state() const { return driver().state(); }
bool Client::signed_in() const { return driver().fabric().client().signed_in(); }

Value Client::info() const {
  const Bytes& info = driver().fabric().client().info();
  if (info.empty()) return {};
  Result<Value> value = decode_msgpack(info);
  return value.ok() ? std::move(*value) : Value();
}

const std::string& Client::id() const { return driver().fabric().client().id(); }

ClientStatistics Client::statistics() const { return driver().fabric().client().statistics(); }

TransportTraffic Client::traffic() const { return driver().traffic(); }

std::size_t Client::subscription_count() const {
  return driver().fabric().client().subscription_count();
}

void Client::set_auth(Value auth) const { driver().fabric().client().set_auth(std::move(auth)); }

void Client::on_state(std::function<void(ClientState)> callback) const {
  driver().on_state = std::move(callback);
}

void Client::on_info(std::function<void(const Value&, bool)> callback) const {
  driver().on_info = std::move(callback);
}

void Client::on_connection_error(std::function<void(const std::string&)> callback) const {
  driver().on_connection_error = std::move(callback);
}

const std::string& Client::inbox() const { return driver().fabric().client().inbox(); }

void Client::begin_wait_until_ready(Milliseconds timeout, Completion<Status> done) const {
  driver().wait_until_ready(timeout, std::move(done));
}

void Client::begin_wait_until_signed_in(Milliseconds timeout, Completion<Status> done) const {
  driver().wait_until_signed_in(timeout, std::move(done));
}

// ---- subscriptions ----

namespace {

// The callbacks of a subscription whose messages go to `state`. `confirmed` hears once of the
// server's answer.
template <class State>
Result<SubscriptionId> start_subscription(const std::shared_ptr<Connection>& connection,
                                          const std::shared_ptr<State>& state,
                                          const SubscribeSettings& settings,
                                          Completion<Status> confirmed) {
  auto waiting = std::make_shared<Completion<Status>>(std::move(confirmed));
  const auto id = connection->driver->subscribe(
      state->subject, core_options(settings),
      [state](Message message) { state->on_message(std::move(message)); },
      [state, waiting](const std::optional<Error>& error) {
        if (error) state->finish(*error);
        const auto done = std::exchange(*waiting, {});
        if (done) done(error ? Status(*error) : Status(Nothing{}));
      });
  if (!id.ok()) return id;
  state->start([connection, number = *id] { connection->driver->unsubscribe(number); });
  return id;
}

}  // namespace

void Client::begin_subscribe(const std::string& pattern, const SubscribeSettings& settings,
                             Completion<Result<Subscription>> done) const {
  const auto state = std::make_shared<Subscription::State>(loop(), pattern, settings);
  const auto begun =
      start_subscription(connection_, state, settings, [state, done](const Status& confirmed) {
        if (!confirmed.ok()) return done(confirmed.error());
        done(Subscription(state));
      });
  if (!begun.ok()) done(begun.error());
}

Result<Subscription> Client::subscribe_now(std::string_view pattern,
                                           const SubscribeSettings& settings) const {
  const auto state = std::make_shared<Subscription::State>(loop(), std::string(pattern), settings);
  const auto begun = start_subscription(connection_, state, settings, {});
  if (!begun.ok()) return begun.error();
  return Subscription(state);
}

// ---- publishing ----

void Client::begin_publish(const std::string& subject, MessageData message,
                           const PublishSettings& settings,
                           Completion<Result<PublishResult>> done) const {
  const auto begun = driver().publish(subject, std::move(message), core_options(settings), done);
  if (!begun.ok()) done(begun.error());
}

Result<std::size_t> Client::publish_now(std::string_view subject,
                                        const MessageData& message) const {
  return driver().publish_now(subject, message);
}

Result<std::size_t> Client::publish_now(std::string_view subject, const Value& value,
                                        const PublishSettings& settings) const {
  return publish_now(subject, MessageData::of(value, Headers(settings.headers), settings.encoding));
}

// ---- requests ----

void Client::begin_request(const std::string& subject, MessageData message,
                           const RequestSettings& settings,
                           Completion<Result<Message>> done) const {
  RequestOptions options;
  options.timeout_ms = settings.timeout.count();
  options.wait_for_interest = settings.wait_for_interest;
  const auto begun =
      driver().request(subject, std::move(message), options,
                       [done](Result<Message> reply, bool) { done(std::move(reply)); });
  if (!begun.ok()) done(begun.error());
}

void Client::begin_respond(const std::string& subject, MessageData answer,
                           const PublishSettings& settings,
                           Completion<Result<PublishResult>> done) const {
  if (subject.empty()) return done(PublishResult{});
  PublishOptions options = core_options(settings);
  options.wait_for_interest = true;
  const auto begun = driver().publish(subject, std::move(answer), options, done);
  if (!begun.ok()) done(begun.error());
}

Result<std::size_t> Client::respond_now(const Message& request, const Value& value,
                                        const PublishSettings& settings) const {
  if (request.reply_subject().empty()) return std::size_t{0};
  return publish_now(request.reply_subject(), value, settings);
}

Result<Subscription> Client::request_many(std::string_view subject, const Value& value,
                                          const RequestManySettings& settings) const {
  return many(subject, value, settings, true);
}

Result<Subscription> Client::many(std::string_view subject, const Value& value,
                                  const RequestManySettings& settings, bool null_ends) const {
  const auto state =
      std::make_shared<Subscription::State>(loop(), std::string(subject), SubscribeSettings{});
  const auto on_reply = [state, null_ends](Result<Message> reply, bool last) {
    state->on_reply(std::move(reply), last, null_ends);
  };
  MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
  const auto call =
      driver().request(subject, std::move(data), many_options(settings, null_ends), on_reply);
  if (!call.ok()) return call.error();
  state->start([connection = connection_, number = *call] { connection->driver->cancel(number); });
  return Subscription(state);
}

// ---- interest, the server ----

void Client::begin_interest(const std::string& subject, Milliseconds timeout,
                            Completion<Result<bool>> done) const {
  const auto begun = driver().wait_for_interest(subject, timeout.count(), done);
  if (!begun.ok()) done(begun.error());
}

void Client::begin_ask(ServerQuestion question,
                       Completion<Result<std::vector<std::string>>> done) const {
  const auto begun = driver().ask_server(question, [done](const Result<Value>& answer) {
    if (!answer.ok()) return done(answer.error());
    std::vector<std::string> texts;
    if (const Value::Array* items = answer->if_array()) {
      for (const Value& item : *items) texts.emplace_back(item.text_or({}));
    }
    done(std::move(texts));
  });
  if (!begun.ok()) done(begun.error());
}

// ---- stores, streams ----

void Client::begin_dkv(const DkvSettings& settings, Completion<Result<Dkv>> done) const {
  std::make_shared<Dkv::State>(connection_, settings)->open(std::move(done));
}

Result<Stream> Client::stream(StreamSettings settings) const {
  const auto state = std::make_shared<Stream::State>(connection_, std::move(settings));
  if (Status opened = state->open(); !opened.ok()) return opened.error();
  return Stream(state);
}

Result<Akv> Client::akv(StreamSettings settings) const {
  auto below = stream(std::move(settings));
  if (!below.ok()) return below.error();
  return Akv(std::move(*below));
}

void Client::begin_dko(const DkoSettings& settings, Completion<Result<Dko>> done) const {
  begin_dkv(Dko::settings_below(settings), [done](Result<Dkv> dkv) {
    if (!dkv.ok()) return done(dkv.error());
    done(Dko(std::move(*dkv)));
  });
}

void Client::begin_core_stream(const HeldStreamSettings& settings,
                               Completion<Result<CoreStream>> done) const {
  const auto state = std::make_shared<HeldStream::CoreState>(connection_, settings);
  state->open([state, done](const std::optional<Error>& error) {
    done(error ? Result<CoreStream>(*error) : Result<CoreStream>(CoreStream(state)));
  });
}

void Client::begin_dstream(const HeldStreamSettings& settings,
                           Completion<Result<DStream>> done) const {
  const auto state = std::make_shared<HeldStream::DState>(connection_, settings);
  state->open([state, done](const std::optional<Error>& error) {
    done(error ? Result<DStream>(*error) : Result<DStream>(DStream(state)));
  });
}

void Client::begin_pubsub(const PubSubSettings& settings, Completion<Result<PubSub>> done) const {
  const auto subject = PubSub::subject_of(settings);
  if (!subject.ok()) return done(subject.error());
  SubscribeSettings subscribe;
  subscribe.max_buffered = settings.max_buffered;
  begin_subscribe(*subject, subscribe,
                  [connection = connection_, done](Result<Subscription> subscription) {
                    if (!subscription.ok()) return done(subscription.error());
                    done(PubSub(connection, std::move(*subscription)));
                  });
}

}  // namespace conat::native
