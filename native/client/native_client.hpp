// A Conat client for C++ programs: the core's Fabric on one event loop.
//
//   boost::asio::io_context loop;
//   conat::native::NativeClient client(loop, *conat::native::parse_server_address(url));
//   client.connect();
//   client.subscribe("news.*", {}, [](const conat::Message& message) { ... });
//   loop.run();
//
// Thread safety: everything belongs to the thread that runs the io_context, the callbacks included;
// other threads enter by boost::asio::post(client.context(), ...). Callbacks are never called from
// within the call that they belong to, and may call everything but the destructor.
//
// Calls that cannot even begin (closed, an invalid subject) return their Error at once, and then
// the callback is not called; otherwise it is called exactly once (`request` with `many`: until
// `last`), also when the client is closed. Destroying the client drops all callbacks.
// run() of the io_context returns when the client is closed and nothing else is to do.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/server_address.hpp"
#include "conat/fabric/fabric.hpp"

namespace conat::native {

struct NativeClientOptions {
  ClientOptions client;
  // Sent with the WebSocket handshake.
  std::vector<std::pair<std::string, std::string>> headers;
  bool verify_certificate = true;
  // Bytes waiting for the network beyond which publish_now is refused (429).
  std::size_t max_unsent_bytes = limits::max_queue_bytes;
};

struct DkvHandlers {
  // The store is loaded, or could not be opened (then it is gone).
  std::function<void(const std::optional<Error>& error)> opened;
  std::function<void(const dkv_effect::Change& change)> change;
  std::function<void(const dkv_effect::Rejected& rejected)> rejected;
};

class NativeClient {
 public:
  using OnMessage = std::function<void(const Message& message)>;
  // Nothing: the server has confirmed. An error: the subscription is gone, now or later.
  using OnSubscribed = std::function<void(const std::optional<Error>& error)>;
  using OnPublished = std::function<void(const Result<PublishResult>& result)>;
  using OnReply = std::function<void(const Result<Message>& reply, bool last)>;
  using OnInterest = std::function<void(const Result<bool>& interest)>;
  using OnAnswer = std::function<void(const Result<Value>& answer)>;
  using OnDone = std::function<void(const std::optional<Error>& error)>;

  NativeClient(boost::asio::io_context& context, ServerAddress address,
               NativeClientOptions options = {});
  ~NativeClient();
  NativeClient(const NativeClient&) = delete;
  NativeClient& operator=(const NativeClient&) = delete;

  boost::asio::io_context& context();

  void connect();
  void disconnect();  // stays so until connect()
  void close();       // final
  void set_auth(Value auth);
  void on_state(std::function<void(ClientState state)> callback);
  // The server's `info`, on every sign-in; or its refusal of the user, which is tried again.
  void on_info(std::function<void(const Value& info, bool signed_in)> callback);
  // Why the last attempt or connection ended.
  void on_connection_error(std::function<void(const std::string& reason)> callback);

  Result<SubscriptionId> subscribe(std::string_view pattern, const SubscribeOptions& options,
                                   OnMessage on_message, OnSubscribed on_subscribed = {});
  void unsubscribe(SubscriptionId subscription);
  Result<CallId> publish(std::string_view subject, MessageData message,
                         const PublishOptions& options = {}, OnPublished on_published = {});
  // Fire and forget; dropped while not connected. Returns the payload's bytes.
  Result<std::size_t> publish_now(std::string_view subject, const MessageData& message);
  Result<CallId> request(std::string_view subject, MessageData message,
                         const RequestOptions& options, OnReply on_reply);
  // Answers a request when its sender is there to take it; does nothing for any other message.
  void respond(const Message& request, MessageData answer, OnPublished on_published = {});
  Result<CallId> wait_for_interest(std::string_view subject, std::int64_t timeout_ms,
                                   OnInterest on_interest);
  Result<CallId> ask_server(ServerQuestion question, OnAnswer on_answer);
  // Gives up a call; its callback is dropped.
  void cancel(CallId call);

  Result<DkvId> open_dkv(DkvOptions options, DkvHandlers handlers);
  void close_dkv(DkvId dkv);
  Status dkv_set(DkvId dkv, std::string_view key, EncodedValue value);
  Status dkv_erase(DkvId dkv, std::string_view key);
  // Calls back when everything is saved at the server.
  Status dkv_save(DkvId dkv, OnDone on_done);

  // For reading, and for what has no method here: after a direct call that changes anything, call
  // turn(). Effects that no callback above takes go to `on_effect`.
  Fabric& fabric();
  void on_effect(std::function<void(const FabricEffect& effect)> callback);
  void turn();
  TimeMs now() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace conat::native
