// The native client of a Conat server.
//
//   using namespace conat::native;
//   Awaitable<void> talk(Client client) {
//     auto news = co_await client.subscribe("news.*");
//     co_await client.publish("news.today", object("title", "It works"));
//     if (auto message = co_await news->next()) use(*message->data.decode());
//   }
//   int main() {
//     boost::asio::io_context loop;
//     boost::asio::co_spawn(loop, talk(*connect(loop, {"http://..."})), detached);
//     loop.run();
//   }
//
// A Client is a handle: copies share one connection, which is closed by close(), or when the last
// copy and everything made by it (subscriptions, stores, ...) is gone. It connects by itself and
// comes back after every loss, for ever, with backoff; what was subscribed stays so.
//
// Errors are values: nothing throws. Operations take any completion token of Asio
// (client/completion.hpp) and, at the end, complete exactly once, with `closed` when the client is
// closed before. There is no cancellation of single operations: each has its time limit.
//
// Thread safety: none. A client and everything made by it belong to the thread that runs its
// io_context; other threads enter by boost::asio::post(client.loop(), ...). An io_context that
// several threads run needs a program that makes sure of this itself.
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

#include "client/akv.hpp"
#include "client/completion.hpp"
#include "client/dko.hpp"
#include "client/dkv.hpp"
#include "client/held_stream.hpp"
#include "client/pubsub.hpp"
#include "client/service.hpp"
#include "client/settings.hpp"
#include "client/socket.hpp"
#include "client/stream.hpp"
#include "client/subscription.hpp"
#include "client/transport.hpp"
#include "client/values.hpp"
#include "conat/base/result.hpp"
#include "conat/client/client.hpp"

namespace conat::native {

// What a program needs of the core, so that `using namespace conat::native` is enough.
using conat::Bytes;
using conat::ClientState;
using conat::decode_json;
using conat::decode_payload;
using conat::encode_json;
using conat::encode_msgpack;
using conat::Error;
using conat::ErrorCode;
using conat::ErrorKind;
using conat::Headers;
using conat::MergeKind;
using conat::Message;
using conat::MessageData;
using conat::Nothing;
using conat::PacketEncoding;
using conat::PayloadEncoding;
using conat::PublishResult;
using conat::Result;
using conat::SetResult;
using conat::SocketState;
using conat::Status;
using conat::StreamMessage;
using conat::StreamSequence;
using conat::StreamUpdate;
using conat::Value;

class Connection;
class Driver;

class Client {
 public:
  // Connects at once, unless settings.auto_connect is off. Error: invalid_argument for the address
  // or the inbox prefix.
  static Result<Client> create(asio::io_context& loop, ClientSettings settings = {});

  asio::io_context& loop() const;

  // ---- the connection ----
  void connect() const;
  void disconnect() const;  // comes back by connect() only
  void close() const;       // final
  ClientState state() const;
  bool signed_in() const;
  // The server's `info` of the last sign-in: {max_payload, id, user, ...}; null before.
  Value info() const;
  const std::string& id() const;  // 10 random characters
  ClientStatistics statistics() const;
  TransportTraffic traffic() const;  // of the present connection, on the wire
  std::size_t subscription_count() const;
  // For signing in as somebody else, from the next connect on. (Not with an auth_function.)
  void set_auth(Value auth) const;
  // The last one that was set is called.
  void on_state(std::function<void(ClientState state)> callback) const;
  // On every sign-in, and when the server refuses the user: then signed_in is false, info.user has
  // the error, and the client tries again.
  void on_info(std::function<void(const Value& info, bool signed_in)> callback) const;
  // Why an attempt to connect, or a connection, ended.
  void on_connection_error(std::function<void(const std::string& reason)> callback) const;
  // -> Status. Timeout 0: none; else 408 after it.
  template <class Token = DefaultToken>
  auto wait_until_signed_in(Milliseconds timeout = Milliseconds(0), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [self = *this, timeout](Completion<Status> done) {
      self.begin_wait_until_signed_in(timeout, std::move(done));
    });
  }
  // -> Status: signed in and able to receive answers. Errors: also the server's refusal of the
  // inbox, 403 when `inbox_prefix` is not one that the user may subscribe to.
  template <class Token = DefaultToken>
  auto wait_until_ready(Milliseconds timeout = Milliseconds(0), Token&& token = {}) const {
    return initiate<Status>(loop(), token, [self = *this, timeout](Completion<Status> done) {
      self.begin_wait_until_ready(timeout, std::move(done));
    });
  }
  // What the subjects of answers to this client begin with; wait_until_ready() tells when it works.
  const std::string& inbox() const;

  // ---- subscriptions ----
  // -> Result<Subscription>, when the server has confirmed. Subscriptions to the same pattern share
  // one at the server, and each gets every message; another queue group for it is refused.
  template <class Token = DefaultToken>
  auto subscribe(std::string pattern, SubscribeSettings settings = {}, Token&& token = {}) const {
    return initiate<Result<Subscription>>(
        loop(), token,
        [self = *this, pattern = std::move(pattern),
         settings = std::move(settings)](Completion<Result<Subscription>> done) {
          self.begin_subscribe(pattern, settings, std::move(done));
        });
  }
  // Does not wait for the server, whose refusal ends the subscription with an error.
  Result<Subscription> subscribe_now(std::string_view pattern,
                                     const SubscribeSettings& settings = {}) const;

  // ---- publishing ----
  // -> Result<PublishResult>, when the server has acknowledged: waits until signed in. An error
  // 503 means that the connection was lost; whether the message was delivered is then unknown.
  template <class Token = DefaultToken>
  auto publish(std::string subject, MessageData message, PublishSettings settings = {},
               Token&& token = {}) const {
    return initiate<Result<PublishResult>>(
        loop(), token,
        [self = *this, subject = std::move(subject), message = std::move(message),
         settings = std::move(settings)](Completion<Result<PublishResult>> done) mutable {
          self.begin_publish(subject, std::move(message), settings, std::move(done));
        });
  }
  template <class Token = DefaultToken>
  auto publish(std::string subject, const Value& value, PublishSettings settings = {},
               Token&& token = {}) const {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return publish(std::move(subject), std::move(data), std::move(settings),
                   std::forward<Token>(token));
  }
  // Fire and forget: dropped while not connected, on purpose. Returns the payload's bytes.
  Result<std::size_t> publish_now(std::string_view subject, const MessageData& message) const;
  Result<std::size_t> publish_now(std::string_view subject, const Value& value,
                                  const PublishSettings& settings = {}) const;

  // ---- requests ----
  // -> Result<Message>. Errors: 503 at once when nobody subscribes, 408 without an answer in time.
  template <class Token = DefaultToken>
  auto request(std::string subject, MessageData message, RequestSettings settings = {},
               Token&& token = {}) const {
    return initiate<Result<Message>>(
        loop(), token,
        [self = *this, subject = std::move(subject), message = std::move(message),
         settings = std::move(settings)](Completion<Result<Message>> done) mutable {
          self.begin_request(subject, std::move(message), settings, std::move(done));
        });
  }
  template <class Token = DefaultToken>
  auto request(std::string subject, const Value& value, RequestSettings settings = {},
               Token&& token = {}) const {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return request(std::move(subject), std::move(data), std::move(settings),
                   std::forward<Token>(token));
  }
  // The answers as they come, until one is null, or silence, or enough. Nobody there: it ends with
  // the error 503.
  Result<Subscription> request_many(std::string_view subject, const Value& value,
                                    const RequestManySettings& settings = {}) const;
  // -> Result<PublishResult>; waits until the asker is there to take it. For a message that is no
  // request it does nothing.
  template <class Token = DefaultToken>
  auto respond(const Message& request, MessageData answer, PublishSettings settings = {},
               Token&& token = {}) const {
    return initiate<Result<PublishResult>>(
        loop(), token,
        [self = *this, subject = std::string(request.reply_subject()), answer = std::move(answer),
         settings = std::move(settings)](Completion<Result<PublishResult>> done) mutable {
          self.begin_respond(subject, std::move(answer), settings, std::move(done));
        });
  }
  template <class Token = DefaultToken>
  auto respond(const Message& request, const Value& value, PublishSettings settings = {},
               Token&& token = {}) const {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return respond(request, std::move(data), std::move(settings), std::forward<Token>(token));
  }
  Result<std::size_t> respond_now(const Message& request, const Value& value,
                                  const PublishSettings& settings = {}) const;

  // ---- services ----
  // -> Result<Service>, when the server has confirmed.
  template <class Token = DefaultToken>
  auto service(std::string subject, ServiceMethods methods, ServiceSettings settings = {},
               Token&& token = {}) const {
    return initiate<Result<Service>>(
        loop(), token,
        [self = *this, subject = std::move(subject), methods = std::move(methods),
         settings = std::move(settings)](Completion<Result<Service>> done) {
          self.begin_service(subject, methods, settings, std::move(done));
        });
  }
  // -> Result<Value>: what the service's method answered, or its error.
  template <class Token = DefaultToken>
  auto call(std::string subject, std::string method, Value::Array arguments = {},
            RequestSettings settings = {}, Token&& token = {}) const {
    return initiate<Result<Value>>(
        loop(), token,
        [self = *this, subject = std::move(subject),
         request = Value(Value::Array{std::move(method), std::move(arguments)}),
         settings = std::move(settings)](Completion<Result<Value>> done) {
          self.begin_call(subject, request, settings, std::move(done));
        });
  }
  // The answers of the services of all queue groups; service_result() tells what each says.
  Result<Subscription> call_many(std::string_view subject, std::string method,
                                 Value::Array arguments = {},
                                 const RequestManySettings& settings = {}) const;

  // ---- interest ----
  // -> Result<bool>: true when somebody subscribes; 408 when nobody does in time.
  template <class Token = DefaultToken>
  auto wait_for_interest(std::string subject, Milliseconds timeout = Milliseconds(30'000),
                         Token&& token = {}) const {
    return initiate<Result<bool>>(
        loop(), token,
        [self = *this, subject = std::move(subject), timeout](Completion<Result<bool>> done) {
          self.begin_interest(subject, timeout, std::move(done));
        });
  }
  // -> Result<bool>: whether somebody does now.
  template <class Token = DefaultToken>
  auto interest(std::string subject, Token&& token = {}) const {
    return wait_for_interest(std::move(subject), Milliseconds(0), std::forward<Token>(token));
  }

  // ---- the server ----
  // -> Result<std::vector<std::string>>: the addresses of the cluster's brokers, this one first.
  template <class Token = DefaultToken>
  auto cluster(Token&& token = {}) const {
    return ask(ServerQuestion::cluster, token);
  }
  // -> the same: the patterns that the server has for this connection, the inbox with them.
  template <class Token = DefaultToken>
  auto server_subscriptions(Token&& token = {}) const {
    return ask(ServerQuestion::subscriptions, token);
  }

  // ---- stores and streams ----
  // -> Result<Dkv>, when it is loaded. Tries for ever, but for refusals (400, 403, 429).
  template <class Token = DefaultToken>
  auto dkv(DkvSettings settings, Token&& token = {}) const {
    return initiate<Result<Dkv>>(
        loop(), token,
        [self = *this, settings = std::move(settings)](Completion<Result<Dkv>> done) {
          self.begin_dkv(settings, std::move(done));
        });
  }
  // -> Result<Dko>, likewise: objects, each field of which merges by itself.
  template <class Token = DefaultToken>
  auto dko(DkoSettings settings, Token&& token = {}) const {
    return initiate<Result<Dko>>(
        loop(), token,
        [self = *this, settings = std::move(settings)](Completion<Result<Dko>> done) {
          self.begin_dko(settings, std::move(done));
        });
  }
  // -> Result<CoreStream>, Result<DStream>, likewise.
  template <class Token = DefaultToken>
  auto core_stream(HeldStreamSettings settings, Token&& token = {}) const {
    return initiate<Result<CoreStream>>(
        loop(), token,
        [self = *this, settings = std::move(settings)](Completion<Result<CoreStream>> done) {
          self.begin_core_stream(settings, std::move(done));
        });
  }
  template <class Token = DefaultToken>
  auto dstream(HeldStreamSettings settings, Token&& token = {}) const {
    return initiate<Result<DStream>>(
        loop(), token,
        [self = *this, settings = std::move(settings)](Completion<Result<DStream>> done) {
          self.begin_dstream(settings, std::move(done));
        });
  }
  // Error: a path that is not allowed.
  Result<Stream> stream(StreamSettings settings) const;
  Result<Akv> akv(StreamSettings settings) const;
  // -> Result<PubSub>, when the server has confirmed that it listens. Errors: 403, 429,
  // invalid_argument.
  template <class Token = DefaultToken>
  auto pubsub(PubSubSettings settings, Token&& token = {}) const {
    return initiate<Result<PubSub>>(
        loop(), token,
        [self = *this, settings = std::move(settings)](Completion<Result<PubSub>> done) {
          self.begin_pubsub(settings, std::move(done));
        });
  }

  // ---- sockets ----
  // client.socket().listen("chat"), client.socket().connect("chat"); see socket.hpp.
  SocketNamespace socket() const { return SocketNamespace(connection_); }

 private:
  explicit Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  Driver& driver() const;

  template <class Token>
  auto ask(ServerQuestion question, Token&& token) const {
    return initiate<Result<std::vector<std::string>>>(
        loop(), token, [self = *this, question](Completion<Result<std::vector<std::string>>> done) {
          self.begin_ask(question, std::move(done));
        });
  }
  void begin_wait_until_signed_in(Milliseconds timeout, Completion<Status> done) const;
  void begin_wait_until_ready(Milliseconds timeout, Completion<Status> done) const;
  void begin_subscribe(const std::string& pattern, const SubscribeSettings& settings,
                       Completion<Result<Subscription>> done) const;
  void begin_publish(const std::string& subject, MessageData message,
                     const PublishSettings& settings, Completion<Result<PublishResult>> done) const;
  void begin_respond(const std::string& subject, MessageData answer,
                     const PublishSettings& settings, Completion<Result<PublishResult>> done) const;
  void begin_request(const std::string& subject, MessageData message,
                     const RequestSettings& settings, Completion<Result<Message>> done) const;
  void begin_call(const std::string& subject, const Value& request, const RequestSettings& settings,
                  Completion<Result<Value>> done) const;
  void begin_service(const std::string& subject, const ServiceMethods& methods,
                     const ServiceSettings& settings, Completion<Result<Service>> done) const;
  void begin_interest(const std::string& subject, Milliseconds timeout,
                      Completion<Result<bool>> done) const;
  void begin_ask(ServerQuestion question, Completion<Result<std::vector<std::string>>> done) const;
  void begin_dkv(const DkvSettings& settings, Completion<Result<Dkv>> done) const;
  void begin_dko(const DkoSettings& settings, Completion<Result<Dko>> done) const;
  void begin_core_stream(const HeldStreamSettings& settings,
                         Completion<Result<CoreStream>> done) const;
  void begin_dstream(const HeldStreamSettings& settings, Completion<Result<DStream>> done) const;
  void begin_pubsub(const PubSubSettings& settings, Completion<Result<PubSub>> done) const;
  Result<Subscription> many(std::string_view subject, const Value& value,
                            const RequestManySettings& settings, bool null_ends) const;

  std::shared_ptr<Connection> connection_;
};

inline Result<Client> connect(asio::io_context& loop, ClientSettings settings = {}) {
  return Client::create(loop, std::move(settings));
}

}  // namespace conat::native
