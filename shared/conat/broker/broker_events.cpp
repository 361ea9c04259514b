// What clients ask for, other than publishing.
#include <algorithm>
#include <cmath>
#include <utility>

#include "conat/broker/broker_impl.hpp"
#include "conat/broker/link_codec.hpp"
#include "conat/subject/subject.hpp"
#include "conat/wire/codec.hpp"

namespace conat {
namespace {

// A client's own timer of the same length must win: the answer comes this much later.
constexpr std::int64_t kExpiryDelayMs = 1500;
// What a request may hold beyond the subscriptions that its connection may have.
constexpr std::size_t kSpareRequests = 1000;

Value status_value(const char* status) {
  Value value;
  value.set("status", status);
  return value;
}

// The text under `key` of a request, or null when it is none.
const std::string* text_of(const Value& request, std::string_view key) {
  const Value* value = request.find(key);
  return value == nullptr ? nullptr : value->if_text();
}

std::int64_t interest_timeout(const Value& request) {
  const Value* timeout = request.find("timeout");
  if (timeout == nullptr || !timeout->is_number()) return limits::interest_timeout_ms;
  const double given = timeout->number_or(0);
  if (!(given > 0)) return 0;  // what is no number, too
  return static_cast<std::int64_t>(
      std::ceil(std::min(given, static_cast<double>(limits::interest_timeout_ms))));
}

std::uint64_t count_of(const Value& counts, std::string_view key) {
  const Value* count = counts.find(key);
  return count == nullptr
             ? 0
             : static_cast<std::uint64_t>(std::max<std::int64_t>(0, count->integer_or(0)));
}

SharedBytes frame_ack(const ConnectionHead& head, std::uint64_t ack_id, Value value) {
  return websocket_frames(encode_ack(head.encoding, ack_id, {std::move(value)}));
}

}  // namespace

Value Broker::Impl::error_value(std::string text, int code) {
  Value value;
  value.set("error", std::move(text));
  if (code != 0) value.set("code", code);
  return value;
}

Value Broker::Impl::error_value(const Error& error) {
  return error_value(error.text, error.code.number);
}

void Broker::Impl::on_event(TimeMs now, ConnectionId id, ConnectionHead& head) {
  const PacketView& packet = head.connection->session.packet();
  if (packet.name == "publish") {
    on_publish(now, id, head, packet);
  } else if (packet.name == "subscribe") {
    on_subscribe(id, head, packet);
  } else if (packet.name == "unsubscribe") {
    on_unsubscribe(id, head, packet);
  } else if (packet.name == "wait-for-interest") {
    on_wait_for_interest(now, id, head, packet);
  } else if (packet.name == "subscriptions") {
    on_subscriptions(id, head, packet);
  } else if (packet.name == "stats") {
    on_stats(id, head, packet);
  } else if (packet.name == "cluster") {
    on_cluster(id, head, packet);
  } else if (packet.name == "auth") {
    on_auth(now, id, head, packet);
  } else if (head.connection->joined_by && on_joined_by_event(now, id, head, packet)) {
    // The part of a linked broker.
  } else if (packet.name == link::event::link) {
    on_link(id, head, packet);
  } else {
    ++counters_.malformed_events;  // not even an error is the answer to an unknown event
  }
}

void Broker::Impl::acknowledge(ConnectionId id, ConnectionHead& head, const PacketView& packet,
                               Value value) {
  if (packet.ack_id) send(id, head, frame_ack(head, *packet.ack_id, std::move(value)));
}

// Holds the acknowledgement back until all siblings know what has changed.
void Broker::Impl::acknowledge_when_synced(ConnectionId id, ConnectionHead& head,
                                           const PacketView& packet, Value value) {
  const bool announced = std::exchange(interest_announced_, false);
  if (!announced || !packet.ack_id) {
    acknowledge(id, head, packet, std::move(value));
    return;
  }
  unsynced_acks_.push_back({id, frame_ack(head, *packet.ack_id, std::move(value))});
}

Value Broker::Impl::malformed() {
  ++counters_.malformed_events;
  return error_value(Error(ErrorKind::bad_request));
}

// Tells a client by an event of its own what it may not do; returns the same for its ack.
Value Broker::Impl::refuse(ConnectionId id, ConnectionHead& head, bool publishing,
                           std::string_view subject) {
  ++counters_.permission_errors;
  std::string message = "permission denied ";
  message += publishing ? "publishing to '" : "subscribing to '";
  message.append(subject).append("' from ");
  encode_json(head.connection->identity.user, message);
  Value event;
  event.set("message", message);
  event.set("subject", subject);
  event.set("type", publishing ? "pub" : "sub");
  send(id, head,
       websocket_frames(
           encode_event(head.encoding, "permission", {std::move(event)}, std::nullopt)));
  return error_value("Error: " + message, 403);
}

// ---- subscribe, unsubscribe ----

std::size_t Broker::Impl::subscription_limit(const Connection& connection) const {
  return connection.authorization.is_hub() ? options_.max_subscriptions_per_hub
                                           : options_.max_subscriptions_per_client;
}

// The argument is one request, or an array of them whose answers come in order.
Value Broker::Impl::for_each_request(ConnectionId id, ConnectionHead& head,
                                     const PacketView& packet, RequestHandler handle) {
  interest_announced_ = false;
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments || arguments->empty()) return malformed();
  const Value& argument = arguments->front();
  const Value::Array* requests = argument.if_array();
  if (requests == nullptr) return (this->*handle)(id, head, argument);
  const std::size_t most = 2 * subscription_limit(*head.connection) + kSpareRequests;
  if (requests->size() > most && !head.in_process) {
    ++counters_.malformed_events;
    return error_value(
        "Error: there is a limit of at most " + std::to_string(most) + " requests in one event",
        429);
  }
  Value::Array answers;
  answers.reserve(requests->size());
  for (const Value& request : *requests) answers.push_back((this->*handle)(id, head, request));
  return answers;
}

void Broker::Impl::on_subscribe(ConnectionId id, ConnectionHead& head, const PacketView& packet) {
  acknowledge_when_synced(id, head, packet, for_each_request(id, head, packet, &Impl::subscribe));
}

void Broker::Impl::on_unsubscribe(ConnectionId id, ConnectionHead& head, const PacketView& packet) {
  acknowledge_when_synced(id, head, packet, for_each_request(id, head, packet, &Impl::unsubscribe));
}

Value Broker::Impl::subscribe(ConnectionId id, ConnectionHead& head, const Value& request) {
  if (request.if_map() == nullptr) return malformed();
  const std::string* pattern = text_of(request, "subject");
  // A pattern that is one of Socket.IO's own event names could not be delivered under.
  if (pattern == nullptr || !is_valid_pattern(*pattern) || is_reserved_event(*pattern)) {
    if (pattern == nullptr) ++counters_.malformed_events;
    return error_value(Error(ErrorKind::invalid_subject));
  }
  const std::string* queue = text_of(request, "queue");
  if (queue == nullptr) return error_value(Error(ErrorKind::queue_undefined));
  if (queue->size() > limits::max_subject_bytes) return error_value("Error: queue is too long");
  Connection& connection = *head.connection;
  if (!connection.authorization.may_subscribe(*pattern)) return refuse(id, head, false, *pattern);
  const InterestPattern* known = interest_.find_pattern(*pattern);
  if (known != nullptr && connection.subscriptions.find(known) != nullptr) {
    return status_value("already-added");
  }
  const std::size_t limit = subscription_limit(connection);
  const std::size_t current = connection.subscriptions.size();
  if (current >= limit && !head.in_process) {
    return error_value("Error: there is a limit of at most " + std::to_string(limit) +
                           " subscriptions and you currently have " + std::to_string(current) +
                           " subscriptions -- subscription to '" + *pattern + "' denied",
                       429);
  }
  const InterestTable::Added added = interest_.add(*pattern, *queue, id);
  connection.subscriptions.add(*added.group);
  ++counters_.subscriptions;
  announce(*added.group, static_cast<std::uint32_t>(added.group->members.size()));
  if (added.new_pattern) answer_waits(*pattern);
  return status_value("added");
}

Value Broker::Impl::unsubscribe(ConnectionId id, ConnectionHead& head, const Value& request) {
  if (request.if_map() == nullptr) return malformed();
  const std::string* pattern = text_of(request, "subject");
  if (pattern == nullptr) return malformed();
  const InterestPattern* known = interest_.find_pattern(*pattern);
  InterestGroup* group = known == nullptr ? nullptr : head.connection->subscriptions.find(known);
  if (group != nullptr) {
    head.connection->subscriptions.remove(*group);
    remove_subscription(id, *group);
  }
  return Value();
}

// The connection's own list does not name the group any more.
void Broker::Impl::remove_subscription(ConnectionId id, InterestGroup& group) {
  --counters_.subscriptions;
  announce(group, static_cast<std::uint32_t>(group.members.size() - 1));
  interest_.remove(group, id);
}

void Broker::Impl::on_subscriptions(ConnectionId id, ConnectionHead& head,
                                    const PacketView& packet) {
  if (!packet.ack_id) {
    ++counters_.malformed_events;
    return;
  }
  Value::Array patterns;
  patterns.reserve(head.connection->subscriptions.size());
  head.connection->subscriptions.for_each(
      [&](const InterestGroup& group) { patterns.emplace_back(group.pattern->text); });
  acknowledge(id, head, packet, std::move(patterns));
}

// ---- wait-for-interest ----

void Broker::Impl::on_wait_for_interest(TimeMs now, ConnectionId id, ConnectionHead& head,
                                        const PacketView& packet) {
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments || arguments->empty() || arguments->front().if_map() == nullptr) {
    acknowledge(id, head, packet, malformed());
    return;
  }
  if (!packet.ack_id) {
    ++counters_.malformed_events;
    return;
  }
  const Value& request = arguments->front();
  const std::string* subject = text_of(request, "subject");
  if (subject == nullptr || !is_valid_subject(*subject)) {
    acknowledge(id, head, packet, error_value("invalid subject"));
    return;
  }
  if (!head.connection->authorization.may_publish(*subject)) {
    std::string message = "permission denied waiting for interest in '" + *subject + "' from ";
    encode_json(head.connection->identity.user, message);
    acknowledge(id, head, packet, error_value(std::move(message), 403));
    return;
  }
  const bool interest = interest_.has_interest(*subject);
  const std::int64_t timeout_ms = interest_timeout(request);
  if (interest || timeout_ms == 0) {
    acknowledge(id, head, packet, interest);
    return;
  }
  if (waits_.count(id) >= limits::max_interest_waits && !head.in_process) {
    acknowledge(id, head, packet,
                error_value("Error: there is a limit of at most " +
                                std::to_string(limits::max_interest_waits) +
                                " pending calls of wait-for-interest",
                            429));
    return;
  }
  waits_.add(*subject, {id, *packet.ack_id}, now + timeout_ms + kExpiryDelayMs);
}

void Broker::Impl::answer_waits(std::string_view pattern) {
  if (waits_.size() == 0 || pattern == ">") return;
  for (const InterestWaits::Waiter& waiter : waits_.take_matching(pattern)) {
    ConnectionHead& head = connections_.at(waiter.connection);
    send(waiter.connection, head, frame_ack(head, waiter.ack_id, true));
  }
}

void Broker::Impl::expire_waits(TimeMs now) {
  for (const InterestWaits::Waiter& waiter : waits_.take_expired(now)) {
    ConnectionHead& head = connections_.at(waiter.connection);
    send(waiter.connection, head, frame_ack(head, waiter.ack_id, error_value("Error: timeout")));
  }
}

// ---- the rest ----

void Broker::Impl::on_stats(ConnectionId id, ConnectionHead& head, const PacketView& packet) {
  const Result<Value::Array> arguments = decode_arguments(packet);
  const Value* received =
      !arguments || arguments->empty() ? nullptr : arguments->front().find("recv0");
  if (received == nullptr || received->if_map() == nullptr) {
    acknowledge(id, head, packet, malformed());
    return;
  }
  head.connection->reported = {count_of(*received, "messages"), count_of(*received, "bytes")};
}

void Broker::Impl::on_cluster(ConnectionId id, ConnectionHead& head, const PacketView& packet) {
  if (!packet.ack_id || packet.argument_count != 0) {
    acknowledge(id, head, packet, malformed());
    return;
  }
  acknowledge(id, head, packet, Value::Array(cluster_addresses_.begin(), cluster_addresses_.end()));
}

}  // namespace conat
