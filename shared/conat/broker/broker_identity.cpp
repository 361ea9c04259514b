// Who connections are: signing in, renewing, and what a change of rights takes away.
#include <algorithm>
#include <utility>

#include "conat/broker/broker_impl.hpp"

namespace conat {
namespace {

// So many wrong tries to renew are looked into; a client that has more to try connects anew, where
// the shell limits its rate.
constexpr std::uint8_t kMaxFailedRenewals = 5;

Value refusal_value(std::string_view text, int code) { return refusal(text, code).user; }

// What is in force now, as the answer to `auth`.
Value renewed_value(TimeMs now, const Identity& identity) {
  Value value;
  value.set("user", identity.user);
  if (identity.expires_at) {
    value.set("expires", std::max<std::int64_t>(0, *identity.expires_at - now));
  }
  return value;
}

}  // namespace

// ---- signing in ----

void Broker::Impl::ask_identity(ConnectionId id, ConnectionHead& head) {
  Connection& connection = *head.connection;
  const Result<Value::Array> data = decode_arguments(connection.session.packet());
  connection.question = Question::sign_in;
  effects_.authenticate(id, data && !data->empty() ? data->front() : Value(), false);
}

bool Broker::Impl::on_authenticated(TimeMs now, ConnectionId id, Identity identity) {
  ConnectionHead* head = connections_.find(id);
  if (head == nullptr) return false;
  bool in_force = false;
  switch (std::exchange(head->connection->question, Question::none)) {
    case Question::none:
      return false;
    case Question::sign_in:
      in_force = sign_in(now, id, *head, std::move(identity));
      break;
    case Question::renewal:
      in_force = renew(now, id, *head, std::move(identity));
      break;
  }
  if (!overflowed_.empty()) settle(now);
  if (!unsynced_acks_.empty()) flush_syncs(now);
  head = connections_.find(id);
  if (head != nullptr) arm_timer(id, *head->connection);
  return in_force && head != nullptr;
}

void Broker::Impl::withdraw(TimeMs now, ConnectionId id) {
  ConnectionHead* head = connections_.find(id);
  if (head == nullptr || head->in_process) return;
  head->connection->session.close(WebSocketCloseCode::policy_violation, output_);
  close_transport(id, *head, CloseReason::withdrawn, true);
  drop(now, id, *head);
  if (!overflowed_.empty()) settle(now);
  if (!unsynced_acks_.empty()) flush_syncs(now);
}

bool Broker::Impl::sign_in(TimeMs now, ConnectionId id, ConnectionHead& head, Identity identity) {
  Connection& connection = *head.connection;
  const bool accepted = !identity.refused();
  if (!accepted) {
    ++counters_.refused_users;
    identity.expires_at.reset();  // it does not last that long
  }
  connection.identity = std::move(identity);
  connection.authorization =
      Authorization(connection.identity.user, connection.identity.rights, options_.rules);
  connection.failed_renewals = 0;
  connection.signed_in(now);
  connection.session.set_expiry(connection.identity.expires_at);
  if (connection.session.on_authenticated(now, random_, connection.identity.user, output_)) {
    head.encoding = connection.session.encoding();
  }
  flush_output(id, head);
  return accepted;
}

// ---- renewing ----

// `auth`: the same argument as CONNECT's, and an acknowledgement.
void Broker::Impl::on_auth(TimeMs now, ConnectionId id, ConnectionHead& head,
                           const PacketView& packet) {
  Connection& connection = *head.connection;
  Result<Value::Array> arguments = decode_arguments(packet);
  const bool is_auth = arguments && !arguments->empty() &&
                       (arguments->front().if_map() != nullptr || arguments->front().is_null());
  if (!is_auth || !packet.ack_id) {
    acknowledge(id, head, packet, malformed());
    return;
  }
  if (connection.identity.refused()) {
    acknowledge(id, head, packet, connection.identity.user);
  } else if (!connection.asks) {
    acknowledge(id, head, packet, renewed_value(now, connection.identity));
  } else if (connection.question != Question::none) {
    acknowledge(id, head, packet, refusal_value("Error: authentication is already going on", 429));
  } else if (connection.failed_renewals >= kMaxFailedRenewals) {
    acknowledge(id, head, packet, refusal_value("Error: too many failed authentications", 429));
  } else {
    connection.question = Question::renewal;
    connection.renewal_ack_id = *packet.ack_id;
    effects_.authenticate(id, std::move(arguments->front()), true);
  }
}

bool Broker::Impl::renew(TimeMs now, ConnectionId id, ConnectionHead& head, Identity identity) {
  Connection& connection = *head.connection;
  Value answer;
  const bool accepted = !identity.refused() && identity.user == connection.identity.user;
  if (!accepted) {
    ++counters_.failed_renewals;
    ++connection.failed_renewals;
    answer = identity.refused() ? std::move(identity.user)
                                : refusal_value("Error: authentication as another user", 403);
  } else {
    ++counters_.renewals;
    connection.failed_renewals = 0;
    const bool other_rights = !(identity.rights == connection.identity.rights);
    connection.identity.rights = std::move(identity.rights);
    connection.identity.expires_at = identity.expires_at;
    connection.session.set_expiry(identity.expires_at);
    answer = renewed_value(now, connection.identity);
    if (other_rights) {
      connection.authorization =
          Authorization(connection.identity.user, connection.identity.rights, options_.rules);
      drop_refused_subscriptions(id, head);
    }
  }
  send(id, head,
       websocket_frames(encode_ack(head.encoding, connection.renewal_ack_id, {std::move(answer)})));
  return accepted;
}

// Takes away what the connection may not be subscribed to any more, and tells it so.
void Broker::Impl::drop_refused_subscriptions(ConnectionId id, ConnectionHead& head) {
  Connection& connection = *head.connection;
  std::vector<InterestGroup*> refused;
  connection.subscriptions.for_each([&](InterestGroup& group) {
    if (!connection.authorization.may_subscribe(group.pattern->text)) refused.push_back(&group);
  });
  for (InterestGroup* group : refused) {
    refuse(id, head, false, group->pattern->text);
    connection.subscriptions.remove(*group);
    remove_subscription(id, *group);
  }
}

}  // namespace conat
