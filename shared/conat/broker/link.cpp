#include "conat/broker/link.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "conat/broker/connection_table.hpp"
#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::int64_t kFirstAttemptMs = 250;
constexpr std::int64_t kLongestAttemptMs = 10'000;
constexpr double kDelayRandomization = 0.3;
constexpr ReaderCongestion::Reader kOtherBroker = 1;
constexpr std::uint64_t kLinkAckId = 1;
constexpr std::string_view kDefaultCluster = "default";
// Of the built-in persistence server's subjects (fabric/persist_host.hpp).
constexpr std::string_view kStorageSubjects = "persist.";

std::string text_at(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value == nullptr ? std::string() : std::string(value->text_or({}));
}

}  // namespace

LinkCounters& LinkCounters::operator+=(const LinkCounters& other) {
  ups += other.ups;
  downs += other.downs;
  forwarded += other.forwarded;
  forwarded_bytes += other.forwarded_bytes;
  dropped += other.dropped;
  return *this;
}

Link::Link(LinkOptions options, Random random)
    : options_(std::move(options)),
      random_(std::move(random)),
      backoff_(kFirstAttemptMs, kLongestAttemptMs, kDelayRandomization),
      high_water_bytes_(ReaderCongestion::high_water_bytes(options_.max_queue_bytes)),
      stale_until_(options_.shard_count, 0) {}

bool Link::next(LinkEffect& effect) {
  if (effects_.empty()) return false;
  effect = std::move(effects_.front());
  effects_.pop_front();
  return true;
}

// ---- attempts ----

void Link::start(TimeMs now) { try_now(now); }

void Link::try_now(TimeMs now) {
  phase_ = Phase::opening;
  due_at_ = now + options_.attempt_ms;
  effects_.push_back(link_effect::Open{});
}

void Link::hurry(TimeMs now) {
  if (phase_ == Phase::idle) try_now(now);
}

void Link::on_open(TimeMs now) {
  session_.emplace(now, PacketEncoding::msgpack, Value());
  unsent_bytes_ = 0;
  written_bytes_ = 0;
}

void Link::on_closed(TimeMs now, const std::string& reason) { disconnect(now, reason); }

// Gives the connection up.
void Link::fail(TimeMs now, std::string reason) {
  effects_.push_back(link_effect::Close{});
  disconnect(now, std::move(reason));
}

void Link::disconnect(TimeMs now, std::string reason) {
  if (phase_ == Phase::idle || phase_ == Phase::stopped) return;
  const bool was_up = phase_ == Phase::up;
  const bool was_linked = was_up || phase_ == Phase::catching_up;
  if (was_up) {
    ++counters_.downs;
    backoff_.reset();
  }
  phase_ = Phase::idle;
  session_.reset();
  due_at_ = now + backoff_.next_ms(random_);
  if (was_linked) forget_interest();
  effects_.push_back(link_effect::Down{std::move(reason), was_up});
}

void Link::stop(TimeMs now) {
  if (phase_ == Phase::stopped) return;
  fail(now, "left");
  phase_ = Phase::stopped;
  due_at_.reset();
  // Not before all shards have confirmed what they were told last.
  sync_shards(0, false);
}

// The shards have nobody there any more, and what they have sent until they know that is stale.
void Link::forget_interest() {
  let_go();
  unsent_bytes_ = 0;
  batches_.clear();
  for (const auto& [group, key] : groups_) {
    to_shards(peer::InterestChanged{key.pattern, key.queue, 0, group});
  }
  groups_.clear();
  sync_shards(0, false);
  std::fill(stale_until_.begin(), stale_until_.end(), last_token_);
}

void Link::on_time(TimeMs now) {
  if (session_ && session_->expired(now)) {
    fail(now, "nothing was heard of it for too long");
  } else if (due_at_ && now >= *due_at_) {
    if (phase_ == Phase::idle) {
      try_now(now);
    } else {
      fail(now, "no answer after " + std::to_string(options_.attempt_ms) + " ms");
    }
  }
  for (const ReaderCongestion::Sender sender :
       congestion_.check(now, [this](ReaderCongestion::Reader) { return written_bytes_; })
           .released) {
    asked_at_.erase(sender);
    to_shard_of(sender, peer::ReleaseSender{sender});
  }
}

std::optional<TimeMs> Link::deadline() const {
  std::optional<TimeMs> first = earlier(due_at_, congestion_.deadline());
  if (session_) first = earlier(first, session_->deadline());
  return first;
}

// ---- the other broker ----

void Link::send(WireMessages messages) {
  if (messages.empty()) return;
  for (const WireMessage& message : messages) unsent_bytes_ += message.payload.size();
  auto* last = effects_.empty() ? nullptr : std::get_if<link_effect::Send>(&effects_.back());
  if (last == nullptr) {
    effects_.push_back(link_effect::Send{std::move(messages)});
    return;
  }
  for (WireMessage& message : messages) last->messages.push_back(std::move(message));
}

void Link::on_message(TimeMs now, bool binary, ByteView message) {
  if (!session_) return;
  WireMessages answers;
  const ClientSession::Step step = session_->read(now, binary, message, answers);
  send(std::move(answers));
  switch (step) {
    case ClientSession::Step::none:
    case ClientSession::Step::connected:
      break;
    case ClientSession::Step::event:
      on_event(now);
      break;
    case ClientSession::Step::ack:
      on_ack(now);
      break;
    case ClientSession::Step::refused:
      fail(now, "it refused the connection: " + session_->error_text());
      break;
    case ClientSession::Step::disconnected:
      fail(now, "it sent this broker away");
      break;
    case ClientSession::Step::broken:
      fail(now, "it sent a malformed packet");
      break;
  }
}

void Link::on_event(TimeMs now) {
  const PacketView& packet = session_->packet();
  std::array<std::uint64_t, 2> numbers{};
  if (packet.name == link::event::interest && phase_ >= Phase::asking) {
    if (!link::read_interest(packet, interest_)) return fail(now, "it sent malformed interest");
    for (const link::InterestEntry& entry : interest_.entries) {
      if (!apply(entry)) return fail(now, "it sent an invalid pattern");
    }
    if (phase_ != Phase::up) due_at_ = now + options_.attempt_ms;  // it goes on
    sync_shards(interest_.batch, interest_.synced);
  } else if (packet.name == link::event::hold && link::read_numbers(packet, numbers)) {
    if (numbers[1] > static_cast<std::uint64_t>(peer::HoldKind::firm)) return;
    to_shard_of(numbers[0], peer::HoldSender{numbers[0], static_cast<peer::HoldKind>(numbers[1])});
  } else if (packet.name == link::event::release &&
             link::read_numbers(packet, std::span(numbers).first(1))) {
    to_shard_of(numbers[0], peer::ReleaseSender{numbers[0]});
  } else if (packet.name == "info" && phase_ == Phase::opening) {
    on_info(now);
  }
}

void Link::on_info(TimeMs now) {
  const PacketView& packet = session_->packet();
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments || arguments->empty()) return fail(now, "it sent a malformed packet");
  const Value& info = arguments->front();
  const Value* user = info.find("user");
  if (user != nullptr && user->find("error") != nullptr) {
    return fail(now, "it refused the system account: " + text_at(*user, "error"));
  }
  if (user == nullptr || user->find("hub_id") == nullptr) {
    return fail(now, "it does not know the system account of this broker's --system-password");
  }
  if (packet.ack_id) send(encode_ack(PacketEncoding::msgpack, *packet.ack_id, {}));
  broker_id_ = text_at(info, "id");
  broker_cluster_ = text_at(info, "clusterName");
  if (broker_cluster_.empty()) broker_cluster_ = kDefaultCluster;
  const Value* max_payload = info.find("max_payload");
  max_payload_bytes_ =
      max_payload == nullptr
          ? limits::max_payload_bytes
          : static_cast<std::size_t>(std::max<std::int64_t>(0, max_payload->integer_or(0)));
  phase_ = Phase::identified;
  const std::string_view own_cluster =
      options_.cluster_name.empty() ? kDefaultCluster : std::string_view(options_.cluster_name);
  if (broker_id_ == options_.id && broker_cluster_ == own_cluster) {
    return fail(now, "it is this broker itself, or has the same id ('" + broker_id_ +
                         "'): brokers of a cluster need different ones (--id)");
  }
  effects_.push_back(link_effect::Identified{});
}

void Link::accept(TimeMs now) {
  if (phase_ != Phase::identified) return;
  phase_ = Phase::asking;
  due_at_ = now + options_.attempt_ms;
  Value request;
  request.set("version", link::version);
  request.set("id", options_.id);
  if (!options_.cluster_name.empty()) request.set("clusterName", options_.cluster_name);
  send(encode_event(PacketEncoding::msgpack, link::event::link, {std::move(request)}, kLinkAckId));
}

void Link::on_ack(TimeMs now) {
  const PacketView& packet = session_->packet();
  if (phase_ != Phase::asking || packet.ack_id != kLinkAckId) return;
  const Result<Value::Array> arguments = decode_arguments(packet);
  if (!arguments || arguments->empty()) return fail(now, "it sent a malformed packet");
  const Value& answer = arguments->front();
  if (answer.find("error") != nullptr) {
    return fail(now, "it refused the link: " + text_at(answer, "error"));
  }
  phase_ = Phase::catching_up;
  due_at_ = now + options_.attempt_ms;
}

// ---- interest ----

bool Link::apply(const link::InterestEntry& entry) {
  if (entry.weight == 0) {
    const auto known = groups_.find(entry.group);
    if (known == groups_.end()) return true;  // it came and went between two batches
    to_shards(peer::InterestChanged{known->second.pattern, known->second.queue, 0, entry.group});
    groups_.erase(known);
    return true;
  }
  if (!is_valid_pattern(entry.pattern) || entry.queue.size() > limits::max_subject_bytes) {
    return false;
  }
  // Two stores for the same streams would each get a part of them.
  if (!options_.takes_storage && entry.pattern.starts_with(kStorageSubjects)) return true;
  groups_.insert_or_assign(entry.group, Key{std::string(entry.pattern), std::string(entry.queue)});
  to_shards(peer::InterestChanged{std::string(entry.pattern), std::string(entry.queue),
                                  entry.weight, entry.group});
  return true;
}

void Link::sync_shards(std::uint64_t batch, bool synced) {
  const std::uint64_t token = ++last_token_;
  batches_[token] = {batch, options_.shard_count, synced};
  to_shards(peer::InterestSync{token});
}

void Link::on_synced(TimeMs, ShardIndex shard, std::uint64_t token) {
  if (stale_until_[shard] == token) stale_until_[shard] = 0;
  const auto found = batches_.find(token);
  if (found == batches_.end() || --found->second.missing > 0) return;
  const Batch batch = found->second;
  batches_.erase(found);
  if (phase_ == Phase::stopped) {
    if (token == last_token_) effects_.push_back(link_effect::Gone{});
    return;
  }
  if (batch.number == 0 || !connected()) return;
  send(link::encode_numbers(link::event::applied, {batch.number}));
  if (phase_ == Phase::catching_up && batch.synced) {
    phase_ = Phase::up;
    due_at_.reset();
    backoff_.reset();
    ++counters_.ups;
    effects_.push_back(link_effect::Up{});
  }
}

// ---- shards ----

void Link::to_shards(const PeerMessage& message) {
  for (ShardIndex shard = 0; shard < options_.shard_count; ++shard) {
    effects_.push_back(link_effect::ToShard{shard, message});
  }
}

void Link::to_shard_of(peer::Sender sender, PeerMessage message) {
  const ShardIndex shard = ConnectionTable::shard_of(sender);
  if (shard >= options_.shard_count) return;
  effects_.push_back(link_effect::ToShard{shard, std::move(message)});
}

void Link::on_shard(TimeMs now, ShardIndex shard, PeerMessage message) {
  if (const auto* block = std::get_if<peer::ForwardBlock>(&message)) {
    if (!connected() || stale_until_[shard] != 0) {
      counters_.dropped += block->count();
      return;
    }
    peer::ForwardReader reader(*block);
    while (const peer::ForwardedPublish* forwarded = reader.next()) {
      if (connected()) {
        forward(now, *forwarded);
      } else {
        ++counters_.dropped;
      }
    }
  } else if (const auto* synced = std::get_if<peer::InterestSynced>(&message)) {
    on_synced(now, shard, synced->token);
  } else if (const auto* closed = std::get_if<peer::SenderClosed>(&message)) {
    congestion_.forget_sender(closed->sender);
    asked_at_.erase(closed->sender);
    if (connected()) send(link::encode_numbers(link::event::sender_closed, {closed->sender}));
  }
}

void Link::forward(TimeMs now, const peer::ForwardedPublish& forwarded) {
  Result<WireMessage> message = link::encode_forward(forwarded);
  if (!message || message->payload.size() > max_payload_bytes_ + link::spare_bytes) {
    ++counters_.dropped;
    return;
  }
  ++counters_.forwarded;
  counters_.forwarded_bytes += message->payload.size();
  WireMessages one;
  one.push_back(std::move(*message));
  send(std::move(one));
  if (unsent_bytes_ > options_.max_queue_bytes) {
    return fail(now, "it takes too little: " + std::to_string(unsent_bytes_) + " bytes waited");
  }
  if (unsent_bytes_ > high_water_bytes_) press_back(now, forwarded.sender);
}

// ---- back pressure ----

void Link::press_back(TimeMs now, peer::Sender sender) {
  if (!congestion_.hold(now, kOtherBroker, written_bytes_, sender, false)) return;
  const auto [asked, is_new] = asked_at_.try_emplace(sender, now);
  if (!is_new && now - asked->second < ReaderCongestion::ask_again_ms) return;
  asked->second = now;
  to_shard_of(sender, peer::HoldSender{sender, peer::HoldKind::fair});
}

void Link::on_written(TimeMs, std::uint64_t unsent, std::uint64_t written) {
  unsent_bytes_ = unsent;
  written_bytes_ = written;
  if (unsent_bytes_ < high_water_bytes_ / 2) let_go();
}

void Link::let_go() {
  if (!congestion_.is_congested(kOtherBroker)) return;
  for (const ReaderCongestion::Sender sender : congestion_.release(kOtherBroker)) {
    to_shard_of(sender, peer::ReleaseSender{sender});
  }
  asked_at_.clear();
}

}  // namespace conat
