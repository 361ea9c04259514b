// The Client, put together: the connection's life here, the rest in its parts.
//
//   idle --connect()--> opening --transport open--> open --lost--> waiting --backoff--> opening
//
// `idle` also after disconnect() and after the server's plain DISCONNECT; `closed` is final.
// Thread safety: none.
#pragma once

#include <optional>
#include <string>

#include "conat/base/limits.hpp"
#include "conat/client/calls.hpp"
#include "conat/client/client.hpp"
#include "conat/client/effect_queue.hpp"
#include "conat/client/outgoing.hpp"
#include "conat/client/permission_cache.hpp"
#include "conat/client/subscription_table.hpp"
#include "conat/session/client_backoff.hpp"
#include "conat/session/client_session.hpp"
#include "conat/wire/chunks.hpp"

namespace conat {

class Client::Impl {
 public:
  Impl(ClientOptions options, Random random);

  void connect(TimeMs now);
  void disconnect(TimeMs now);
  void close();
  void wake(TimeMs now);
  void renew_auth(TimeMs now, Value auth);
  void renewal_failed(TimeMs now);
  void drop_transport(TimeMs now);

  void on_transport_open(TimeMs now);
  void on_transport_message(TimeMs now, bool binary, ByteView message);
  void on_transport_closed(TimeMs now);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;

  Result<SubscriptionId> subscribe(TimeMs now, Owner owner, std::string_view pattern,
                                   const SubscribeOptions& options);
  void unsubscribe(TimeMs now, SubscriptionId subscription);
  Result<CallId> publish(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         const PublishOptions& options);
  Result<std::size_t> publish_now(TimeMs now, std::string_view subject, const MessageData& message);
  Result<CallId> request(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         RequestOptions options);
  Result<CallId> wait_for_interest(TimeMs now, Owner owner, std::string_view subject,
                                   std::int64_t timeout_ms);
  Result<CallId> ask_server(TimeMs now, Owner owner, ServerQuestion question,
                            std::int64_t timeout_ms);
  void sync_subscriptions(TimeMs now) { subscriptions_.compare(now); }
  const ClientStatistics& statistics() const;

  ClientOptions options_;
  ClientState state_ = ClientState::disconnected;
  bool signed_in_ = false;
  std::string id_;
  std::string inbox_;
  Bytes info_;
  client_parts::EffectQueue effects_;
  client_parts::SubscriptionTable& subscriptions() { return subscriptions_; }
  const client_parts::SubscriptionTable& subscriptions() const { return subscriptions_; }
  client_parts::Calls& calls() { return calls_; }
  std::string_view socket_id() const;

 private:
  enum class Phase : std::uint8_t { idle, waiting, opening, open };

  void open_transport(TimeMs now);
  void retry_later(TimeMs now);
  // The connection is over, for whatever reason; `close_transport` when it is still there.
  void lose(TimeMs now, bool close_transport);
  // Not by the user's wish: comes back after the backoff.
  void fail_connection(TimeMs now, bool close_transport);
  void set_state(ClientState state);
  PacketEncoding attempt_encoding() const;

  void on_connected(TimeMs now);
  void on_event(TimeMs now);
  void on_ack(TimeMs now);
  bool deliver(TimeMs now, const PacketView& packet);
  void deliver_to(TimeMs now, const client_parts::SubscriptionTable::Entry& entry,
                  std::string_view subject, MessageData message);
  void on_info(TimeMs now, const PacketView& packet);
  void on_permission(TimeMs now, const PacketView& packet);
  void sign_in(TimeMs now);
  void open_calls(TimeMs now);
  void forget(const std::vector<std::uint64_t>& entries);
  void send_statistics(TimeMs now);
  // `holder`: info, or the answer to `auth`, which tell how long the identity lasts.
  void plan_renewal(TimeMs now, const Value& holder);
  void on_renewed(TimeMs now, const Value& answer);

  std::optional<Error> check_subject(std::string_view subject, std::string_view what) const;
  std::optional<Error> check_publish(TimeMs now, std::string_view subject);

  Random random_;
  client_parts::Outgoing outgoing_;
  mutable ClientStatistics statistics_;
  client_parts::SubscriptionTable subscriptions_;
  client_parts::Calls calls_;
  client_parts::PermissionCache permissions_;
  Reassembler reassembler_;
  ClientBackoff backoff_;
  std::optional<ClientSession> session_;
  Phase phase_ = Phase::idle;
  bool calls_open_ = false;
  bool refused_ = false;  // by info.user.error or CONNECT_ERROR
  bool try_other_encoding_ = false;
  TimeMs phase_until_ = 0;  // waiting: when to try again; opening: when to give up
  TimeMs opening_since_ = 0;
  std::optional<TimeMs> refused_until_;
  std::optional<TimeMs> statistics_at_;
  std::optional<TimeMs> renew_at_;  // when to ask for fresh authentication data
  ClientBackoff renewal_backoff_;
  std::optional<TimeMs> check_at_;  // the subscriptions, once after the start
  bool started_ = false;
  ClientStatistics::Direction received_here_;  // on this connection
  Bytes scratch_;
};

}  // namespace conat
