// Sibling shards, and back pressure on senders here and there.
#include <utility>

#include "conat/broker/broker_impl.hpp"
#include "conat/broker/link_codec.hpp"

namespace conat {

void Broker::Impl::on_peer(TimeMs now, ShardIndex from, PeerMessage message) {
  if (from >= forward_groups_.size() || from == options_.shard) return;
  if (const auto* block = std::get_if<peer::ForwardBlock>(&message)) {
    peer::ForwardReader reader(*block);
    while (const peer::ForwardedPublish* forwarded = reader.next()) {
      on_forward(now, *forwarded, Reach::shard);
    }
  } else if (const auto* change = std::get_if<peer::InterestChanged>(&message)) {
    on_interest_changed(from, *change);
  } else if (const auto* sync = std::get_if<peer::InterestSync>(&message)) {
    // (Brokers that have joined this one are told nothing of what one that it joined has.)
    if (!is_sibling(from) || !wait_for_brokers(now, from, sync->token)) {
      effects_.to_peer(from, peer::InterestSynced{sync->token});
    }
  } else if (const auto* synced = std::get_if<peer::InterestSynced>(&message)) {
    on_synced(synced->token);
  } else if (const auto* closed = std::get_if<peer::SenderClosed>(&message)) {
    on_sender_closed(closed->sender);
  } else if (const auto* hold = std::get_if<peer::HoldSender>(&message)) {
    on_hold(now, from, *hold);
  } else if (const auto* released = std::get_if<peer::ReleaseSender>(&message)) {
    if (ConnectionTable::is_link_sender(released->sender)) {
      tell_link_sender(released->sender, link::event::release, std::nullopt);
    } else if (holds_.release(now, released->sender, from)) {
      resume_reading(now, released->sender);
    }
  }
  settle(now);
}

// ---- interest ----

void Broker::Impl::to_siblings(const PeerMessage& message) {
  if (shut_down_) return;
  for (ShardIndex shard = 0; shard < options_.shard_count; ++shard) {
    if (shard != options_.shard) effects_.to_peer(shard, message);
  }
}

// The joined brokers as well, which remember senders, too.
void Broker::Impl::to_peers(const PeerMessage& message) {
  to_siblings(message);
  for (std::size_t peer = options_.shard_count; peer < forward_groups_.size(); ++peer) {
    if (!shut_down_) effects_.to_peer(static_cast<ShardIndex>(peer), message);
  }
}

void Broker::Impl::announce(const InterestGroup& group, std::uint32_t weight) {
  if (options_.shard_count == 1 && joined_by_.empty()) return;
  to_siblings(peer::InterestChanged{group.pattern->text, group.queue, weight, group.id});
  touch(&group);
  interest_announced_ = true;
}

void Broker::Impl::flush_syncs(TimeMs now) {
  const std::uint64_t token = ++last_token_;
  Sync sync{options_.shard_count - 1u, std::exchange(unsynced_acks_, {})};
  if (wait_for_brokers(now, options_.shard, token)) ++sync.missing;
  if (sync.missing == 0) return finish_sync(sync);
  syncs_[token] = std::move(sync);
  to_siblings(peer::InterestSync{token});
}

void Broker::Impl::on_synced(std::uint64_t token) {
  const auto sync = syncs_.find(token);
  if (sync == syncs_.end() || --sync->second.missing > 0) return;
  finish_sync(sync->second);
  syncs_.erase(sync);
}

void Broker::Impl::finish_sync(Sync& sync) {
  for (PendingAck& ack : sync.acks) {
    ConnectionHead* head = connections_.find(ack.connection);
    if (head != nullptr) send(ack.connection, *head, std::move(ack.bytes));
  }
}

void Broker::Impl::on_interest_changed(ShardIndex from, const peer::InterestChanged& change) {
  // What joined brokers have is told to nobody: they tell it themselves.
  const bool told = !joined_by_.empty() && is_sibling(from);
  if (told) touch(interest_.find_group(change.pattern, change.queue));  // it may be gone then
  if (interest_.set_remote(change.pattern, change.queue, {from, change.weight, change.group})) {
    answer_waits(change.pattern);
  }
  if (told) touch(interest_.find_group(change.pattern, change.queue));
}

void Broker::Impl::on_sender_closed(peer::Sender sender) {
  chunk_routes_.forget(sender);
  congestion_.forget_sender(sender);
  remote_senders_.erase(sender);
}

// ---- back pressure ----

// Some taker of this publish is above its mark.
void Broker::Impl::press_back(const Delivery& delivery) {
  const bool own = delivery.own_fullest != 0;
  if (!own && delivery.fed_others) return;  // it would slow down those that keep up
  const ConnectionId reader = own ? delivery.own_fullest : delivery.fullest;
  ConnectionHead& head = connections_.at(reader);
  head.congested = true;
  if (head.queued_bytes > high_water_bytes_) head.behind = true;
  if (congestion_.hold(delivery.now, reader, head.written_bytes, delivery.sender, own)) {
    hold_sender(delivery.now, delivery.sender, own ? peer::HoldKind::firm : peer::HoldKind::fair);
  }
}

void Broker::Impl::hold_sender(TimeMs now, peer::Sender sender, peer::HoldKind kind) {
  const ShardIndex shard = connections_.shard_of(sender);
  const bool over_link = ConnectionTable::is_link_sender(sender);
  if (shard == options_.shard && !over_link) {
    connections_.at(sender).known_sender = true;
    if (holds_.hold(now, sender, SenderHolds::this_shard, kind)) stop_reading(sender);
    return;
  }
  RemoteSender& remote = remote_senders_[sender];
  if (remote.asked_at && now - *remote.asked_at < ReaderCongestion::ask_again_ms) return;
  remote.asked_at = now;
  if (kind == peer::HoldKind::fair && remote.fed_others) kind = peer::HoldKind::brief;
  if (shard == options_.shard) return tell_link_sender(sender, link::event::hold, kind);
  effects_.to_peer(shard, peer::HoldSender{sender, kind});
}

// The only taker of a large message is on a sibling shard: what comes next is not read before that
// shard has said whether the taker keeps up. (A hold that it asks for would come when more chunks
// are on their way.)
void Broker::Impl::await_sibling(TimeMs now, ConnectionId id, ConnectionHead& head,
                                 const Delivery& delivery) {
  if (delivery.takers != 1 || !is_sibling(*delivery.farther)) return;
  if (!std::exchange(head.known_sender, true)) {
    holds_.published(id, delivery.tail_bytes, delivery.fed_others);
  }
  head.known_to_peers = true;
  if (holds_.hold(now, id, *delivery.farther, peer::HoldKind::fair)) stop_reading(id);
}

// Says that the taker of a large message keeps up; else the sender is let go when it has caught up.
void Broker::Impl::answer_sibling(const Delivery& delivery) {
  const peer::Sender sender = delivery.sender;
  if (ConnectionTable::is_link_sender(sender) || congestion_.holds(sender)) return;
  effects_.to_peer(connections_.shard_of(sender), peer::ReleaseSender{sender});
}

void Broker::Impl::on_hold(TimeMs now, ShardIndex from, const peer::HoldSender& hold) {
  if (link_senders_.count(hold.sender) > 0) {
    return tell_link_sender(hold.sender, link::event::hold, hold.kind);
  }
  ConnectionHead* head = connections_.find(hold.sender);
  if (head == nullptr) {
    // It has closed before it was known that siblings keep something of it.
    effects_.to_peer(from, peer::SenderClosed{hold.sender});
    return;
  }
  head->known_sender = true;
  head->known_to_peers = true;
  if (holds_.hold(now, hold.sender, from, hold.kind)) stop_reading(hold.sender);
}

void Broker::Impl::let_go(TimeMs now, const std::vector<peer::Sender>& senders) {
  for (const peer::Sender sender : senders) {
    const ShardIndex shard = connections_.shard_of(sender);
    const bool over_link = ConnectionTable::is_link_sender(sender);
    if (shard == options_.shard && !over_link) {
      if (holds_.release(now, sender, SenderHolds::this_shard)) resume_reading(now, sender);
      continue;
    }
    const auto remote = remote_senders_.find(sender);
    if (remote != remote_senders_.end()) remote->second = {};
    if (shard == options_.shard) {
      tell_link_sender(sender, link::event::release, std::nullopt);
    } else {
      effects_.to_peer(shard, peer::ReleaseSender{sender});
    }
  }
}

void Broker::Impl::stop_reading(ConnectionId id) {
  ++counters_.reading_pauses;
  pause(id, *connections_.at(id).connection, Connection::held_up);
}

void Broker::Impl::resume_reading(TimeMs now, ConnectionId id) {
  if (ConnectionHead* head = connections_.find(id)) {
    go_on(now, id, *head->connection, Connection::held_up);
  }
}

// Reading stops with the first reason for it, and goes on when the last one has gone.
void Broker::Impl::pause(ConnectionId id, Connection& connection, std::uint8_t reason) {
  const bool reading = connection.pauses == 0;
  connection.pauses |= reason;
  if (!reading) return;
  connection.session.reading_paused();
  effects_.pause_reading(id, true);
}

void Broker::Impl::go_on(TimeMs now, ConnectionId id, Connection& connection, std::uint8_t reason) {
  if ((connection.pauses & reason) == 0) return;
  connection.pauses = static_cast<std::uint8_t>(connection.pauses & ~reason);
  if (connection.pauses != 0) return;
  connection.session.reading_resumed(now);
  effects_.pause_reading(id, false);
}

void Broker::Impl::check_congestion(TimeMs now) {
  const ReaderCongestion::Checked checked = congestion_.check(
      now, [this](ConnectionId reader) { return connections_.at(reader).written_bytes; });
  for (const ConnectionId reader : checked.stuck) connections_.at(reader).stuck = true;
  let_go(now, checked.released);
  for (const ConnectionId sender : holds_.take_due(now)) resume_reading(now, sender);
}

}  // namespace conat
