// The core's Fabric on one event loop: carries bytes between it and a Transport, runs its timers,
// and hands its effects to callbacks. `Client` and its parts are built on it.
//
// Thread safety: none, the thread that runs the io_context. Callbacks may call everything. Calls
// without a Result may call back before they return.
//
// Calls that cannot even begin (closed, an invalid subject) return their Error at once, and then
// the callback is not called; otherwise it is called exactly once (`request` with `many`: until
// `last`), also when the client is closed. A driver lives until it is closed and has done what that
// takes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/completion.hpp"
#include "client/server_address.hpp"
#include "client/transport.hpp"
#include "client/waiters.hpp"
#include "conat/fabric/fabric.hpp"

namespace conat::native {

// Asked for Socket.IO's auth object at each connect, and in time before an identity expires;
// `answer` may come later, from the loop's thread. An error counts as a failed attempt to connect.
using AuthFunction = std::function<void(std::function<void(Result<Value>)> answer)>;

struct DriverOptions {
  ClientOptions client;
  // Sent with the WebSocket handshake.
  std::vector<std::pair<std::string, std::string>> headers;
  AuthFunction auth;  // instead of client.auth
  bool verify_certificate = true;
  std::string ca_file;  // PEM, trusted besides the system's certificates
  // Bytes waiting for the network beyond which publish_now is refused (429).
  std::size_t max_unsent_bytes = limits::max_queue_bytes;
};

class Driver : public std::enable_shared_from_this<Driver> {
 public:
  // Nothing: the server has confirmed. An error: the subscription is gone, now or later.
  using OnMessage = std::function<void(Message message)>;
  using OnSubscribed = std::function<void(const std::optional<Error>& error)>;
  using OnPublished = std::function<void(const Result<PublishResult>& result)>;
  using OnReply = std::function<void(Result<Message> reply, bool last)>;
  using OnInterest = std::function<void(const Result<bool>& interest)>;
  using OnAnswer = std::function<void(const Result<Value>& answer)>;
  using OnDone = std::function<void(const std::optional<Error>& error)>;
  using OnStreamAnswer = std::function<void(Result<MessageData> reply, bool last)>;

  struct DkvHandlers {
    // The store is loaded, or could not be opened (then it is gone).
    std::function<void(const std::optional<Error>& error)> opened;
    std::function<void(const dkv_effect::Change& change)> change;
    std::function<void(const dkv_effect::Rejected& rejected)> rejected;
    std::function<void(const dkv_effect::MergeNeeded& conflict)> merge;
    std::function<void()> closed;  // with the client
  };
  struct StreamHandlers {
    std::function<void(stream_client_effect::Snapshot snapshot)> snapshot;
    std::function<void(stream_client_effect::Changes changes)> changes;
    std::function<void(const Error& error)> failed;  // for good, or the client was closed
    std::function<void(bool connected)> connection;
  };
  // Of a CoreStream or a DStream.
  struct HeldHandlers {
    // It is loaded, or could not be opened (then it is gone).
    std::function<void(const std::optional<Error>& error)> opened;
    std::function<void(const StreamLogChange& change)> change;
    std::function<void(const EncodedValue& value, const Error& error)> rejected;
    std::function<void()> closed;  // with the client
  };
  struct SocketHandlers {
    std::function<void(SocketState state)> state;
    std::function<void(MessageData data)> data;
    std::function<void(socket_effect::Request request)> request;
    std::function<void()> drained;
    std::function<void()> ended;          // the answer to Sockets::end
    std::function<void()> server_needed;  // with ConnectOptions::custom_balancer
  };
  struct SocketServerHandlers {
    std::function<void(SocketState state, const std::optional<Error>& error)> state;
    // Sets the handlers of the new socket with handle_socket().
    std::function<void(SocketId socket)> connected;
  };

  Driver(asio::io_context& loop, ServerAddress address, DriverOptions options);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  asio::io_context& loop() const { return loop_; }
  static TimeMs now();
  // For reading. After a direct call that changes anything: turn_soon().
  Fabric& fabric() { return fabric_; }
  void turn_soon();

  void connect();
  void disconnect();  // stays so until connect()
  void close();       // final
  ClientState state() { return fabric_.client().state(); }
  // Of the present connection; zero without one.
  TransportTraffic traffic() const {
    return transport_ ? transport_->traffic() : TransportTraffic();
  }
  std::chrono::milliseconds request_timeout() const {
    return std::chrono::milliseconds(options_.client.request_timeout_ms);
  }
  // Timeout 0: none; else an error 408 after it.
  void wait_until_signed_in(std::chrono::milliseconds timeout, Waiters::Done on_done);
  // Likewise, until answers can be received; the server's refusal of the inbox is an error.
  void wait_until_ready(std::chrono::milliseconds timeout, Waiters::Done on_done);

  std::function<void(ClientState state)> on_state;
  // The server's `info`, on every sign-in; or its refusal of the user, which is tried again.
  std::function<void(const Value& info, bool signed_in)> on_info;
  // Why the last attempt or connection ended.
  std::function<void(const std::string& reason)> on_connection_error;

  Result<SubscriptionId> subscribe(std::string_view pattern, const SubscribeOptions& options,
                                   OnMessage on_message, OnSubscribed on_subscribed);
  void unsubscribe(SubscriptionId subscription);
  Result<CallId> publish(std::string_view subject, MessageData message,
                         const PublishOptions& options, OnPublished on_published);
  // Fire and forget; dropped while not connected. Returns the payload's bytes.
  Result<std::size_t> publish_now(std::string_view subject, const MessageData& message);
  Result<CallId> request(std::string_view subject, MessageData message,
                         const RequestOptions& options, OnReply on_reply);
  Result<CallId> wait_for_interest(std::string_view subject, std::int64_t timeout_ms,
                                   OnInterest on_interest);
  Result<CallId> ask_server(ServerQuestion question, OnAnswer on_answer);
  // Gives up a request; its callback is dropped.
  void cancel(CallId request);

  Result<DkvId> open_dkv(DkvOptions options, DkvHandlers handlers);
  void close_dkv(DkvId dkv);
  Status dkv_save(DkvId dkv, OnDone on_done);

  Result<StreamClientId> open_stream(StreamOpenOptions options, StreamHandlers handlers);
  void close_stream(StreamClientId stream);
  void stream_command(StreamClientId stream, std::string_view name, const Value& arguments,
                      const StreamCallOptions& options, OnStreamAnswer on_answer);
  void stream_set(StreamClientId stream, const std::vector<StreamSet>& items,
                  const StreamCallOptions& options, OnStreamAnswer on_answer);

  // Streams that are held whole. Their commands go to the stream below, see stream_command().
  Result<CoreStreamId> open_core_stream(StreamOpenOptions options, HeldHandlers handlers);
  void close_core_stream(CoreStreamId stream);
  void core_stream_set(CoreStreamId stream, const std::vector<StreamSet>& items,
                       const StreamCallOptions& options, OnStreamAnswer on_answer);
  Status core_stream_load(CoreStreamId stream, StreamSequence start_seq, OnDone on_done);
  Result<DStreamId> open_dstream(DStreamOptions options, HeldHandlers handlers);
  void close_dstream(DStreamId stream);
  Status dstream_save(DStreamId stream, OnDone on_done);
  Status dstream_load(DStreamId stream, StreamSequence start_seq, OnDone on_done);

  Result<SocketId> connect_socket(std::string_view subject, const ConnectOptions& options,
                                  SocketHandlers handlers);
  Result<SocketServerId> listen(std::string_view subject, const ListenOptions& options,
                                SocketServerHandlers handlers);
  void handle_socket(SocketId socket, SocketHandlers handlers);
  Result<CallId> socket_request(SocketId socket, MessageData data, const RequestOptions& options,
                                OnReply on_reply);
  // Gives up a request inside a socket; its callback is dropped.
  void cancel_socket_call(CallId request);
  void close_socket(SocketId socket);
  void close_server(SocketServerId server);

  // The loop is being destroyed.
  void abandon();

 private:
  struct Subscription {
    OnMessage on_message;
    OnSubscribed on_subscribed;
  };
  template <class Key, class Callback>
  using Map = std::unordered_map<Key, Callback>;

  void turn();
  void end();
  void carry_out(FabricEffect& effect);
  template <class Other>
  void handle(Other&) {}
  void handle(client_effect::OpenTransport&);
  void handle(client_effect::SendMessages&);
  void handle(client_effect::CloseTransport&);
  void handle(client_effect::AuthNeeded&);
  void handle(client_effect::StateChanged&);
  void handle(client_effect::InfoReceived&);
  void handle(client_effect::SubscribeDone&);
  void handle(client_effect::SubscriptionEnded&);
  void handle(client_effect::MessageArrived&);
  void handle(client_effect::PublishDone&);
  void handle(client_effect::ReplyArrived&);
  void handle(client_effect::InterestDone&);
  void handle(client_effect::ServerAnswered&);
  void handle(socket_effect::ServerStateChanged&);
  void handle(socket_effect::Connected&);
  void handle(socket_effect::StateChanged&);
  void handle(socket_effect::Data&);
  void handle(socket_effect::Request&);
  void handle(socket_effect::Drained&);
  void handle(socket_effect::Ended&);
  void handle(socket_effect::ServerNeeded&);
  void handle(socket_effect::ReplyArrived&);
  void handle(stream_client_effect::Snapshot&);
  void handle(stream_client_effect::Changes&);
  void handle(stream_client_effect::Failed&);
  void handle(stream_client_effect::ConnectionChanged&);
  void handle(stream_client_effect::Answer&);
  void handle(dkv_effect::Opened&);
  void handle(dkv_effect::Change&);
  void handle(dkv_effect::Rejected&);
  void handle(dkv_effect::MergeNeeded&);
  void handle(dkv_effect::Saved&);
  void handle(core_stream_effect::Opened&);
  void handle(core_stream_effect::Change&);
  void handle(core_stream_effect::Loaded&);
  void handle(dstream_effect::Opened&);
  void handle(dstream_effect::Change&);
  void handle(dstream_effect::Rejected&);
  void handle(dstream_effect::Saved&);
  void handle(dstream_effect::Loaded&);
  void told(SubscriptionId id, const std::optional<Error>& error);
  // Whether requests can be answered; an error when they never can.
  std::optional<Status> readiness();
  void authenticate();
  void open_transport();
  void attempt_failed(const std::string& reason);
  void arm_timer();

  asio::io_context& loop_;
  DriverOptions options_;
  ServerAddress address_;
  Random random_;
  Fabric fabric_;
  asio::steady_timer timer_;
  std::optional<TimeMs> armed_;
  std::shared_ptr<Transport> transport_;
  std::uint64_t attempt_ = 0;  // what belongs to an earlier one is not listened to
  bool turn_scheduled_ = false;
  bool in_turn_ = false;
  bool gone_ = false;  // nothing more is done, or listened to

  // Shared pointers where a callback may remove the entry that it came from.
  Map<SubscriptionId, std::shared_ptr<Subscription>> subscriptions_;
  Map<CallId, OnPublished> publishes_;
  Map<CallId, std::shared_ptr<OnReply>> requests_;
  Map<CallId, OnInterest> interests_;
  Map<CallId, OnAnswer> questions_;
  const std::shared_ptr<Waiters> until_signed_in_;
  const std::shared_ptr<Waiters> until_ready_;
  Map<DkvId, std::shared_ptr<DkvHandlers>> dkvs_;
  Map<CallId, OnDone> saves_;
  Map<StreamClientId, std::shared_ptr<StreamHandlers>> streams_;
  Map<CallId, std::shared_ptr<OnStreamAnswer>> stream_calls_;
  Map<CoreStreamId, std::shared_ptr<HeldHandlers>> core_streams_;
  Map<CallId, OnDone> core_stream_loads_;
  Map<DStreamId, std::shared_ptr<HeldHandlers>> dstreams_;
  Map<CallId, OnDone> dstream_calls_;
  Map<SocketId, std::shared_ptr<SocketHandlers>> sockets_;
  Map<CallId, std::shared_ptr<OnReply>> socket_requests_;
  Map<SocketServerId, std::shared_ptr<SocketServerHandlers>> servers_;
};

}  // namespace conat::native
