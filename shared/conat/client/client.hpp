// The client side of one connection: sign-in, keep-alive, reconnects, subscriptions that survive
// everything, publishing with acknowledgement, requests over one inbox.
//
// Shape: the layers above (sockets, streams, the user's shell) call down into the Client; what
// happens comes up as ClientEffect values, each tagged with the Owner that asked. The `fabric`
// drains them and hands each to its owner's layer.
//
// Calls never block and never fail late by themselves: a call that needs an answer returns a
// CallId, and exactly one PublishDone or InterestDone follows. Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "conat/base/limits.hpp"
#include "conat/base/random.hpp"
#include "conat/base/result.hpp"
#include "conat/base/time.hpp"
#include "conat/wire/message.hpp"
#include "conat/wire/packet.hpp"

namespace conat {

// Which layer a subscription or call belongs to, and which object of it.
enum class Layer : std::uint8_t { user, socket, stream, service, sync, core_stream, dstream };
struct Owner {
  Layer layer = Layer::user;
  std::uint32_t id = 0;
  bool operator==(const Owner& other) const { return layer == other.layer && id == other.id; }
};

using SubscriptionId = std::uint32_t;  // never 0
using CallId = std::uint64_t;          // never 0

enum class ClientState : std::uint8_t { disconnected, connected, closed };

struct ClientOptions {
  std::string inbox_prefix = "_INBOX";
  PacketEncoding encoding = PacketEncoding::msgpack;
  Value auth;  // Socket.IO `auth` object; null for none. Replaceable with set_auth.
  // Whether the shell answers AuthNeeded: then an identity that expires is renewed in time, without
  // a new connection.
  bool renew_auth = false;
  bool reconnection = true;
  std::int64_t reconnection_delay_ms = 500;
  std::int64_t reconnection_delay_max_ms = 15'000;
  double randomization_factor = 0.5;
  std::int64_t request_timeout_ms = limits::request_timeout_ms;
  std::int64_t publish_timeout_ms = limits::publish_timeout_ms;
};

struct SubscribeOptions {
  std::string queue;  // empty: a random queue of its own (an ordinary subscriber)
  // For the confirmation, from sign-in on. 0: none, it stays until the server refuses it.
  std::int64_t timeout_ms = limits::request_timeout_ms;
};

struct PublishOptions {
  std::int64_t timeout_ms = 0;     // 0: the client's default
  bool wait_for_interest = false;  // on count 0 wait for a subscriber and publish again
};

struct RequestOptions {
  std::int64_t timeout_ms = 0;  // 0: the client's default
  bool wait_for_interest = false;
  // requestMany: replies keep coming until a `null` payload, `max_messages`, or `max_wait_ms`
  // without one. Then `timeout_ms` is for the delivery only.
  bool many = false;
  std::int64_t max_wait_ms = 0;    // 0: timeout_ms
  std::uint32_t max_messages = 0;  // 0: no bound
  // With `many`: whether a `null` payload is the last one. Off for callers of several services, any
  // of which may answer null.
  bool null_ends = true;
};

// What a client can ask the server about: the patterns it holds for this connection, or the
// addresses of the brokers of its cluster. Both are answered with an array of texts.
enum class ServerQuestion : std::uint8_t { subscriptions, cluster };

struct PublishResult {
  std::size_t bytes = 0;
  std::uint64_t count = 0;
};

namespace client_effect {
// ---- for the transport shell ----
struct OpenTransport {};  // connect (again); answer with on_transport_open or on_transport_closed
struct SendMessages {
  WireMessages messages;  // write in this order
};
struct CloseTransport {};  // on_transport_closed is not expected afterwards

// ---- for everyone ----
struct StateChanged {
  ClientState state;
};
// The server's `info` arrived (sign-in): MessagePack bytes of the map.
struct InfoReceived {
  Bytes info;
  bool signed_in;  // false: info.user.error; the client retries with backoff
};

// The server's `info` said that the identity expires, and 80 % of that time are over: answer with
// renew_auth() or renewal_failed(). Only with ClientOptions::renew_auth.
struct AuthNeeded {};
// Chunks of a message were missing; the rest was discarded.
struct MessageDiscarded {
  std::string subject;
};

// ---- for an owner ----
// The server confirmed a subscription, or refused it (then the subscription is gone).
struct SubscribeDone {
  Owner owner;
  SubscriptionId subscription;
  std::optional<Error> error;
};
// The server refused the subscription on a reconnect: it has ended.
struct SubscriptionEnded {
  Owner owner;
  SubscriptionId subscription;
  Error error;
};
struct MessageArrived {
  Owner owner;
  SubscriptionId subscription;
  Message message;
};
struct PublishDone {
  Owner owner;
  CallId call;
  Result<PublishResult> result;
};
// The answer to request(); with `many` one for each reply: `last` tells the final one. The final
// one of a stream that ended by `null` carries that null message.
struct ReplyArrived {
  Owner owner;
  CallId call;
  Result<Message> reply;
  bool last;
};
// A request with `many` has reached somebody; its replies are on their way.
struct RequestDelivered {
  Owner owner;
  CallId call;
};
struct InterestDone {
  Owner owner;
  CallId call;
  Result<bool> interest;
};
// The answer to ask_server(), as MessagePack bytes.
struct ServerAnswered {
  Owner owner;
  CallId call;
  Result<Bytes> answer;
};
}  // namespace client_effect

using ClientEffect = std::variant<
    client_effect::OpenTransport, client_effect::SendMessages, client_effect::CloseTransport,
    client_effect::StateChanged, client_effect::InfoReceived, client_effect::AuthNeeded,
    client_effect::MessageDiscarded, client_effect::SubscribeDone, client_effect::SubscriptionEnded,
    client_effect::MessageArrived, client_effect::PublishDone, client_effect::ReplyArrived,
    client_effect::RequestDelivered, client_effect::InterestDone, client_effect::ServerAnswered>;

struct ClientStatistics {
  struct Direction {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };
  Direction sent;
  Direction received;
  std::uint64_t subscriptions = 0;
};

class Client {
 public:
  Client(ClientOptions options, Random random);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- the user's lifecycle ----
  void connect(TimeMs now);
  void disconnect(TimeMs now);  // stays disconnected until connect()
  void close(TimeMs now);       // final; every pending call is answered with `closed`
  void set_auth(Value auth);    // used from the next connect on
  // Answers AuthNeeded: sends `auth` to the server, and uses it for later connects too. Without a
  // connection it does no more than set_auth.
  void renew_auth(TimeMs now, Value auth);
  // Answers AuthNeeded: none could be made. It is asked for again after a while.
  void renewal_failed(TimeMs now);
  // The network is back or the tab woke up: reconnect at once instead of after the backoff, and
  // begin an attempt anew that has got nowhere for a while.
  void wake(TimeMs now);
  // Cuts the connection as a broken network would: it comes back after the backoff.
  void drop_transport(TimeMs now);

  // ---- the transport ----
  void on_transport_open(TimeMs now);
  void on_transport_message(TimeMs now, bool binary, ByteView message);
  void on_transport_closed(TimeMs now);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;

  // ---- messaging ----
  // Errors: closed; invalid_argument for an invalid pattern, or a second queue for one pattern.
  Result<SubscriptionId> subscribe(TimeMs now, Owner owner, std::string_view pattern,
                                   const SubscribeOptions& options = {});
  void unsubscribe(TimeMs now, SubscriptionId subscription);
  // Waits for sign-in, sends in chunks, reports PublishDone.
  Result<CallId> publish(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         const PublishOptions& options = {});
  // Fire and forget; dropped while not connected. Returns the payload's bytes.
  Result<std::size_t> publish_now(TimeMs now, std::string_view subject, const MessageData& message);
  // Publishes with a reply subject in the inbox; reports ReplyArrived. No subscribers: 503 at once.
  Result<CallId> request(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         const RequestOptions& options = {});
  // Gives up a call: nothing more is reported for it.
  void cancel(CallId call);
  // timeout_ms 0: tells whether there is interest now. On expiry the error is 408.
  Result<CallId> wait_for_interest(TimeMs now, Owner owner, std::string_view subject,
                                   std::int64_t timeout_ms);
  Result<CallId> ask_server(TimeMs now, Owner owner, ServerQuestion question,
                            std::int64_t timeout_ms = 0);
  // Compares the subscriptions with the server's and mends what differs.
  void sync_subscriptions(TimeMs now);

  ClientState state() const;
  bool signed_in() const;
  const std::string& id() const;       // 10 characters
  std::string_view socket_id() const;  // Socket.IO sid, empty while disconnected
  const Bytes& info() const;           // MessagePack bytes, empty before the first sign-in
  const std::string& inbox() const;    // "{prefix}.{random}"
  bool inbox_ready() const;            // the server has confirmed the inbox
  // Why this connection's server refused the inbox; nothing while it did not. Requests fail with
  // it.
  const std::optional<Error>& inbox_error() const;
  std::size_t subscription_count() const;  // patterns, with the inbox once it was requested
  // The queue group of a subscription's pattern, the random ones included; empty when unknown.
  std::string_view queue(SubscriptionId subscription) const;
  const ClientStatistics& statistics() const;

  bool next(ClientEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
