// Publishes on their way to their takers.
#include <algorithm>
#include <limits>
#include <utility>

#include "conat/broker/broker_impl.hpp"
#include "conat/wire/payload_size.hpp"

namespace conat {

void Broker::Impl::on_publish(TimeMs now, ConnectionId id, ConnectionHead& head,
                              const PacketView& packet) {
  const Result<PublishView> publish = parse_publish(packet, scratch_);
  std::span<InterestPattern* const> patterns;
  Value refusal;
  if (!publish) {
    refusal = malformed();
    refusal.set("error", publish.error().text);
    if (publish.error().code.number == 0) refusal.erase("code");
  } else if (!interest_.match(publish->subject, patterns)) {
    refusal.set("error", Error(ErrorKind::invalid_subject).text);
  } else if (!head.connection->authorization.may_publish(publish->subject)) {
    refusal = refuse(id, head, true, publish->subject);
  }
  if (!refusal.is_null()) {
    acknowledge(id, head, packet, std::move(refusal));
    return;
  }
  Connection& connection = *head.connection;
  Delivery delivery;
  delivery.now = now;
  delivery.subject = publish->subject;
  delivery.tail = &publish->tail;
  delivery.sender = id;
  // What a client had buffered while it was away shall not come back to it.
  if (!packet.ack_id && !connection.session.info_acknowledged()) delivery.excluded = id;
  delivery.tail_bytes = publish->tail.elements.size();
  for (const ByteView attachment : publish->tail.attachments) {
    delivery.tail_bytes += attachment.size();
  }
  ++connection.received.messages;
  connection.received.bytes += payload_size(publish->tail);
  ++counters_.messages_received;
  counters_.bytes_received += delivery.tail_bytes;
  delivery.mark = mark_for(delivery.tail_bytes);
  const std::uint64_t count = route(delivery, patterns);
  judge(delivery);
  if (packet.ack_id) send(id, head, frame_count_ack(head.encoding, *packet.ack_id, count));
  if (head.known_sender) holds_.published(id, delivery.tail_bytes, delivery.fed_others);
  if (delivery.farther && is_large(delivery)) await_sibling(now, id, head, delivery);
  if (delivery.fullest != 0 || delivery.own_fullest != 0) press_back(delivery);
}

std::uint64_t Broker::Impl::route(Delivery& delivery, std::span<InterestPattern* const> patterns) {
  prepare_chunks(delivery);
  std::uint64_t count = 0;
  for (const InterestPattern* pattern : patterns) {
    set_pattern(delivery, *pattern);
    std::uint64_t taken = 0;
    for (const InterestPattern::Place& place : pattern->groups) {
      ConnectionId member = place.only_member;
      if (member == delivery.excluded && member != 0) continue;
      if (member == 0 || delivery.chunked) {
        const GroupChoice choice = choose(delivery, *place.group, Reach::all);
        if (choice.remote != nullptr) {
          pass_on(delivery, *choice.remote);
          ++taken;
          continue;
        }
        member = choice.member;
        if (member == 0) continue;
      }
      if (deliver(delivery, member)) ++taken;
    }
    if (!pattern->is_tap) count += taken;
  }
  if (delivery.farther) {
    forward(delivery);
    // Siblings remember the senders of chunks, joined brokers all.
    if (delivery.chunked || forward_groups_.size() > options_.shard_count) {
      connections_.at(delivery.sender).known_to_peers = true;
    }
  }
  finish_chunks(delivery);
  return count;
}

void Broker::Impl::prepare_chunks(Delivery& delivery) {
  const MessageHead& message = delivery.tail->head;
  delivery.chunked = message.sequence > 0 || !message.done;
  if (!delivery.chunked) return;
  if (message.sequence > 0) {
    delivery.route = chunk_routes_.find(delivery.sender, message.id);
  } else {
    chunk_routes_.finish(delivery.sender, message.id);  // of an earlier message of this name
  }
}

void Broker::Impl::finish_chunks(const Delivery& delivery) {
  const MessageHead& message = delivery.tail->head;
  if (delivery.route != nullptr && message.done) {
    chunk_routes_.finish(delivery.sender, message.id);
  }
}

void Broker::Impl::set_pattern(Delivery& delivery, const InterestPattern& pattern) {
  delivery.pattern = &pattern;
  delivery.frames = {};
  delivery.failed = {};
}

// ---- one delivery ----

bool Broker::Impl::deliver(Delivery& delivery, ConnectionId member) {
  ConnectionHead& head = connections_.at(member);
  const SharedBytes& frame = delivery.frames[static_cast<std::size_t>(head.encoding)];
  if (frame.empty() && !make_frame(delivery, head.encoding)) return false;
  delivery.fed_others |= head.queued_bytes < keep_up_bytes_ && delivery.now >= head.behind_until;
  ++delivery.takers;
  head.queued_bytes += frame.size();
  ++counters_.deliveries;
  counters_.bytes_delivered += frame.size();
  if (head.queued_bytes > delivery.mark) note_full(delivery, member, head);
  effects_.send(member, frame);
  return true;
}

bool Broker::Impl::make_frame(Delivery& delivery, PacketEncoding encoding) {
  const auto index = static_cast<std::size_t>(encoding);
  if (delivery.failed[index]) return false;
  Result<SharedBytes> frame =
      frame_delivery(encoding, delivery.pattern->text, delivery.subject, *delivery.tail);
  delivery.failed[index] = !frame;
  if (!frame) ++counters_.drops_unconvertible;
  if (frame) delivery.frames[index] = std::move(*frame);
  return frame.ok();
}

// A large message fills a queue by itself: its takers are looked at early.
std::uint64_t Broker::Impl::mark_for(std::size_t tail_bytes) const {
  const std::uint64_t large_bytes = high_water_bytes_ / 4;
  return tail_bytes >= large_bytes ? large_bytes : high_water_bytes_;
}

// The only taker of a large message sets the pace of the next one, however well it keeps up: that
// delays nobody else, and what the broker holds of a transfer stays at a chunk or two.
void Broker::Impl::judge(Delivery& delivery) const {
  if (is_large(delivery) && delivery.takers == 1 && delivery.fullest != 0) {
    delivery.fed_others = false;
  }
}

void Broker::Impl::note_full(Delivery& delivery, ConnectionId member, ConnectionHead& head) {
  if (head.in_process) {
    if (head.queued_bytes > high_water_bytes_) delivery.own_fullest = member;
    return;
  }
  if (head.queued_bytes > options_.max_queue_bytes) overflow(member, head, delivery.subject);
  if (head.overflowed || head.stuck || head.queued_bytes <= delivery.fullest_bytes) return;
  delivery.fullest = member;
  delivery.fullest_bytes = head.queued_bytes;
}

// ---- who of a group ----

GroupChoice Broker::Impl::choose(Delivery& delivery, const InterestGroup& group, Reach reach) {
  if (delivery.chunked) return choose_for_chunk(delivery, group, reach);
  return choose_at_random(group, delivery.excluded, reach);
}

GroupChoice Broker::Impl::choose_at_random(const InterestGroup& group, ConnectionId excluded,
                                           Reach reach) {
  const MemberList& members = group.members;
  const bool skip = excluded != 0 && members.contains(excluded);
  const std::uint64_t here = members.size() - (skip ? 1 : 0);
  std::uint64_t weight = here;
  if (reach == Reach::all) weight += group.remote_weight;
  if (reach == Reach::broker) weight += group.reach_below(options_.shard_count).weight;
  if (weight == 0) return {};
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t pick =
      weight == 1 ? 0 : random_.below(static_cast<std::uint32_t>(std::min(weight, kMost)));
  if (pick < here) {
    for (std::size_t i = 0; skip && i <= pick; ++i) {
      if (members[i] == excluded) ++pick;
    }
    return {members[static_cast<std::size_t>(pick)], nullptr};
  }
  pick -= here;  // siblings come before joined brokers
  for (const InterestGroup::Remote& remote : group.remotes) {
    if (pick < remote.weight) return {0, &remote};
    pick -= remote.weight;
  }
  return {};
}

GroupChoice Broker::Impl::choose_for_chunk(Delivery& delivery, const InterestGroup& group,
                                           Reach reach) {
  const MessageHead& message = delivery.tail->head;
  std::size_t remotes = reach == Reach::all ? group.remotes.size() : 0;
  if (reach == Reach::broker) remotes = group.reach_below(options_.shard_count).remotes;
  if (message.sequence == 0) {
    const GroupChoice choice = choose_at_random(group, delivery.excluded, reach);
    const bool alone = group.members.size() == 1 && remotes == 0;
    if (alone || (choice.member == 0 && choice.remote == nullptr)) return choice;
    if (delivery.route == nullptr) {
      delivery.route = chunk_routes_.begin(delivery.now, delivery.sender, message.id);
    }
    delivery.route->note(group, choice);
    return choice;
  }
  if (delivery.route != nullptr) {
    if (const auto recorded = delivery.route->find(group)) return *recorded;
  }
  const ConnectionId oldest = group.members.oldest();
  if (oldest != 0) return {oldest == delivery.excluded ? 0 : oldest, nullptr};
  if (remotes == 0) return {};
  const std::uint64_t hash = chunk_routes_.hash_of(delivery.sender, message.id);
  return {0, &group.remotes[hash % remotes]};
}

// ---- takers on sibling shards and joined brokers ----

// To be forwarded, once all takers are known.
void Broker::Impl::pass_on(Delivery& delivery, const InterestGroup::Remote& taker) {
  forward_groups_[taker.shard].push_back(taker.group);
  delivery.farther = taker.shard;
  ++delivery.takers;
}

void Broker::Impl::forward(const Delivery& delivery) {
  peer::ForwardedPublish forwarded{{delivery.subject, *delivery.tail}, {}, delivery.sender};
  peer::ForwardBlock::SharedBody body;
  for (ShardIndex shard = 0; shard < forward_groups_.size(); ++shard) {
    std::vector<peer::Group>& groups = forward_groups_[shard];
    if (groups.empty()) continue;
    forwarded.groups = groups;
    effects_.forward(shard, forwarded, body);
    groups.clear();
  }
}

void Broker::Impl::on_forward(TimeMs now, const peer::ForwardedPublish& forwarded, Reach reach) {
  const Tail& tail = forwarded.publish.tail;
  Delivery delivery;
  delivery.now = now;
  delivery.subject = forwarded.publish.subject;
  delivery.tail = &tail;
  delivery.sender = forwarded.sender;
  delivery.tail_bytes = tail.elements.size();
  for (const ByteView attachment : tail.attachments) delivery.tail_bytes += attachment.size();
  delivery.mark = mark_for(delivery.tail_bytes);
  prepare_chunks(delivery);
  for (const peer::Group id : forwarded.groups) {
    const InterestGroup* group = interest_.find_group(id);
    if (group == nullptr) {  // gone while the message was on its way
      ++counters_.drops_gone;
      continue;
    }
    if (group->pattern != delivery.pattern) set_pattern(delivery, *group->pattern);
    const GroupChoice choice = choose(delivery, *group, reach);
    if (choice.member != 0) {
      deliver(delivery, choice.member);
    } else if (choice.remote != nullptr) {
      pass_on(delivery, *choice.remote);
    }
  }
  if (delivery.farther) forward(delivery);
  finish_chunks(delivery);
  judge(delivery);
  if (!remote_senders_.empty() && delivery.fed_others) {
    const auto sender = remote_senders_.find(forwarded.sender);
    if (sender != remote_senders_.end()) sender->second.fed_others = true;
  }
  if (delivery.fullest != 0 || delivery.own_fullest != 0) press_back(delivery);
  if (is_large(delivery) && reach == Reach::shard) answer_sibling(delivery);
}

}  // namespace conat
