// How connections end, and what administrators see of them and do to them.
#include <string_view>
#include <unordered_set>
#include <utility>

#include "conat/broker/broker_impl.hpp"

namespace conat {

const char* close_reason_text(CloseReason reason) {
  switch (reason) {
#define CONAT_CLOSE_REASON(name, text) \
  case CloseReason::name:              \
    return text;
#include "conat/broker/close_reasons.def"
#undef CONAT_CLOSE_REASON
  }
  return "";
}

// Sends what the session has left and has the transport closed. The connection is still to be
// dropped.
void Broker::Impl::close_transport(ConnectionId id, ConnectionHead& head, CloseReason reason,
                                   bool flush) {
  Connection& connection = *head.connection;
  ++counters_.closes[static_cast<std::size_t>(reason)];
  auto details = std::make_unique<CloseDetails>();
  details->sid = connection.session.last_sid();
  details->user = connection.identity.user;
  details->address = connection.address;
  details->queued_bytes = head.queued_bytes;
  details->subject = std::move(connection.overflow_subject);
  flush_output(id, head);
  effects_.close({id, reason, flush, std::move(details)});
}

std::vector<ConnectionDescription> Broker::Impl::describe_connections() {
  std::vector<ConnectionDescription> all;
  all.reserve(connections_.size());
  connections_.for_each([&](ConnectionId, ConnectionHead& head) {
    const Connection& connection = *head.connection;
    const std::string_view sid = connection.session.sid();
    if (head.in_process || sid.empty()) return;
    ConnectionDescription& description = all.emplace_back();
    description.sid = sid;
    description.user = connection.identity.user;
    description.address = connection.address;
    description.sent = connection.received;
    description.received = connection.reported;
    description.subscriptions = connection.subscriptions.size();
    description.connected_at = connection.connected_at;
    description.active_at = connection.active_at;
  });
  return all;
}

std::size_t Broker::Impl::disconnect(TimeMs now, const std::vector<std::string>& sids) {
  const std::unordered_set<std::string_view> wanted(sids.begin(), sids.end());
  std::size_t count = 0;
  connections_.for_each([&](ConnectionId id, ConnectionHead& head) {
    ServerSession& session = head.connection->session;
    if (head.in_process || session.sid().empty() || !wanted.contains(session.sid())) return;
    ++count;
    session.disconnect(output_);
    close_transport(id, head, CloseReason::disconnected, true);
    drop(now, id, head);
  });
  return count;
}

std::uint64_t Broker::Impl::queued_bytes() {
  std::uint64_t sum = 0;
  connections_.for_each([&](ConnectionId, ConnectionHead& head) { sum += head.queued_bytes; });
  return sum;
}

}  // namespace conat
