// Brokers that have joined this one: ordinary connections of a hub user that have asked by the
// event `link` to be told this broker's interest, and that may forward publishes to its groups.
//
// They are told the interest of this whole broker, siblings included, but not that of brokers which
// this one has joined itself: that they learn from those. So two brokers that join each other, or
// three, make no loop.
#include <algorithm>
#include <utility>

#include "conat/broker/broker_impl.hpp"
#include "conat/broker/link_codec.hpp"
#include "conat/wire/codec.hpp"

namespace conat {
namespace {

// How long a `subscribe` waits for brokers that are slow to confirm that they know of it.
constexpr std::int64_t kBrokerPatienceMs = 1000;

}  // namespace

// ---- begin and end ----

void Broker::Impl::on_link(ConnectionId id, ConnectionHead& head, const PacketView& packet) {
  acknowledge(id, head, packet, begin_joined_by(id, head, packet));
}

Value Broker::Impl::begin_joined_by(ConnectionId id, ConnectionHead& head,
                                    const PacketView& packet) {
  Connection& connection = *head.connection;
  if (!connection.authorization.is_hub() || head.in_process) {
    ++counters_.permission_errors;
    std::string text = "permission denied joining from ";
    encode_json(connection.identity.user, text);
    return error_value(std::move(text), 403);
  }
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments || arguments->size() != 1 || connection.joined_by) return malformed();
  const Value* version = arguments->front().find("version");
  if (version == nullptr) return malformed();
  if (version->integer_or(0) != link::version || head.encoding != PacketEncoding::msgpack) {
    return error_value("Error: this broker speaks version " + std::to_string(link::version) +
                           " of the protocol between brokers, in MessagePack",
                       400);
  }
  connection.joined_by = std::make_unique<JoinedBy>();
  connection.session.allow_larger_messages(link::spare_bytes);
  joined_by_.push_back(id);
  ++counters_.joined_by;
  InterestExport& interest = connection.joined_by->interest;
  interest_.for_each_group([&](const InterestGroup& group) {
    if (own_weight(group) > 0) interest.touch(group.id);
  });
  interest.set_lagging();  // nobody waits until it has everything
  interest_due_ = true;
  Value answer;
  answer.set("status", "linked");
  return answer;
}

// It has gone, or has ended its session.
void Broker::Impl::end_joined_by(TimeMs now, ConnectionId id, Connection& connection) {
  const std::unique_ptr<JoinedBy> ended = std::exchange(connection.joined_by, nullptr);
  for (const auto& [there, here] : ended->senders) forget_link_sender(here);
  std::erase(joined_by_, id);
  --counters_.joined_by;
  check_barriers(now);
}

// ---- interest ----

void Broker::Impl::touch(const InterestGroup* group) {
  if (group == nullptr) return;
  for (const ConnectionId id : joined_by_) {
    connections_.at(id).connection->joined_by->interest.touch(group->id);
    interest_due_ = true;
  }
}

// Tells what has changed, as far as it may be under way.
void Broker::Impl::send_interest() {
  interest_due_ = false;
  for (const ConnectionId id : joined_by_) {
    ConnectionHead& head = connections_.at(id);
    InterestExport& interest = head.connection->joined_by->interest;
    while (!head.overflowed && interest.due()) send_batch(id, head, interest);
  }
}

void Broker::Impl::send_batch(ConnectionId id, ConnectionHead& head, InterestExport& interest) {
  link::InterestBatch batch;
  while (!interest.empty() && !batch.full()) {
    const peer::Group changed = interest.take();
    const InterestGroup* group = interest_.find_group(changed);
    const std::uint64_t weight = group == nullptr ? 0 : own_weight(*group);
    if (weight == 0) {
      batch.add_gone(changed);
    } else {
      batch.add(changed, static_cast<std::uint32_t>(weight), group->pattern->text, group->queue);
    }
  }
  const bool synced = interest.empty();
  send(id, head, websocket_frames(batch.finish(interest.sent(), synced)));
}

// Tells `from`, or this shard, that the interest of now is known, as soon as the brokers that have
// joined this one have confirmed it; false when they have already.
bool Broker::Impl::wait_for_brokers(TimeMs now, ShardIndex from, std::uint64_t token) {
  if (joined_by_.empty()) return false;
  Barrier barrier{now + kBrokerPatienceMs, from, token, {}};
  for (const ConnectionId id : joined_by_) {
    const Barrier::Wait wait{id, connections_.at(id).connection->joined_by->interest.touched()};
    if (!is_settled(wait)) barrier.waits.push_back(wait);
  }
  if (barrier.waits.empty()) return false;
  barriers_.push_back(std::move(barrier));
  return true;
}

bool Broker::Impl::is_settled(const Barrier::Wait& wait) {
  const ConnectionHead* head = connections_.find(wait.broker);
  if (head == nullptr || !head->connection->joined_by) return true;
  const InterestExport& interest = head->connection->joined_by->interest;
  return interest.lagging() || interest.has_confirmed(wait.point);
}

// None is passed before one that began earlier: whom that one waits for has not confirmed what came
// later either. One that waits for too long declares those brokers slow, and passes.
void Broker::Impl::check_barriers(TimeMs now) {
  while (!barriers_.empty()) {
    Barrier& first = barriers_.front();
    std::erase_if(first.waits, [this](const Barrier::Wait& wait) { return is_settled(wait); });
    if (!first.waits.empty()) {
      if (now < first.until) return;
      for (const Barrier::Wait& wait : first.waits) {
        ++counters_.late_confirmations;
        connections_.at(wait.broker).connection->joined_by->interest.set_lagging();
      }
    }
    const Barrier passed = std::move(first);
    barriers_.pop_front();
    pass_barrier(passed);
  }
}

void Broker::Impl::pass_barrier(const Barrier& barrier) {
  if (barrier.from == options_.shard) return on_synced(barrier.token);
  if (!shut_down_) effects_.to_peer(barrier.from, peer::InterestSynced{barrier.token});
}

// ---- what they send ----

// False when it is not an event between brokers.
bool Broker::Impl::on_joined_by_event(TimeMs now, ConnectionId id, ConnectionHead& head,
                                      const PacketView& packet) {
  JoinedBy& joined_by = *head.connection->joined_by;
  std::uint64_t number = 0;
  if (packet.name == link::event::forward) {
    peer::ForwardedPublish forwarded;
    if (!link::read_forward(packet, scratch_, link_groups_, forwarded)) {
      ++counters_.malformed_events;
      return true;
    }
    ++counters_.forwards_received;
    forwarded.sender = link_sender(id, joined_by, forwarded.sender);
    on_forward(now, forwarded, Reach::broker);
  } else if (packet.name == link::event::applied) {
    if (!link::read_numbers(packet, {&number, 1}) || !joined_by.interest.on_applied(number)) {
      ++counters_.malformed_events;
      return true;
    }
    interest_due_ = true;
    check_barriers(now);
  } else if (packet.name == link::event::sender_closed) {
    if (!link::read_numbers(packet, {&number, 1})) {
      ++counters_.malformed_events;
      return true;
    }
    const auto sender = joined_by.senders.find(number);
    if (sender == joined_by.senders.end()) return true;
    forget_link_sender(sender->second);
    joined_by.senders.erase(sender);
  } else {
    return false;
  }
  return true;
}

peer::Sender Broker::Impl::link_sender(ConnectionId id, JoinedBy& joined_by, peer::Sender there) {
  peer::Sender& here = joined_by.senders[there];
  if (here == 0) {
    here = connections_.link_sender_id(++last_link_sender_);
    link_senders_[here] = {id, there};
  }
  return here;
}

void Broker::Impl::forget_link_sender(peer::Sender sender) {
  on_sender_closed(sender);
  to_siblings(peer::SenderClosed{sender});
  link_senders_.erase(sender);
}

// Passes on that a sender is to be held up, or let go.
void Broker::Impl::tell_link_sender(peer::Sender sender, std::string_view event,
                                    std::optional<peer::HoldKind> kind) {
  const auto known = link_senders_.find(sender);
  if (known == link_senders_.end()) return;
  const auto [broker, there] = known->second;
  ConnectionHead* head = connections_.find(broker);
  if (head == nullptr) return;
  send(broker, *head,
       websocket_frames(
           kind ? link::encode_numbers(event, {there, static_cast<std::uint64_t>(*kind)})
                : link::encode_numbers(event, {there})));
}

}  // namespace conat
