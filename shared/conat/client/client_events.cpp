// What the server says: sign-in, deliveries, acknowledgements, refusals.
#include <algorithm>
#include <utility>

#include "conat/client/ack_values.hpp"
#include "conat/client/client_impl.hpp"

namespace conat {

using client_parts::AckKind;
using client_parts::AckTarget;
using client_parts::PermissionType;
using client_parts::SubscriptionTable;

namespace {

// A server may announce any maximum; chunks beyond a gigabyte are not cut smaller by it.
constexpr std::int64_t kMaxPayloadBytes = 1 << 30;
// Likewise for how long an identity lasts: ten years are for ever.
constexpr std::int64_t kMaxExpiresMs = std::int64_t{10} * 365 * 24 * 3600 * 1000;

}  // namespace

void Client::Impl::on_connected(TimeMs now) {
  received_here_ = {};
  send_statistics(now);
  set_state(ClientState::connected);
}

void Client::Impl::on_event(TimeMs now) {
  const PacketView& packet = session_->packet();
  if (deliver(now, packet)) return;
  // A subscription may have one of these names too, so deliveries come first.
  if (packet.name == "info") return on_info(now, packet);
  if (packet.name == "permission") return on_permission(now, packet);
}

bool Client::Impl::deliver(TimeMs now, const PacketView& packet) {
  const SubscriptionTable::Entry* entry = subscriptions_.find(packet.name);
  if (entry == nullptr) return false;
  Result<PublishView> delivery = parse_delivery(packet, scratch_);
  if (!delivery.ok()) return false;
  const Result<TailFields> fields = parse_tail(delivery->tail);
  if (!fields.ok()) return true;
  received_here_.bytes += fields->raw.size();
  statistics_.received.bytes += fields->raw.size();
  const std::uint64_t discarded = reassembler_.discarded();
  std::optional<MessageData> message = reassembler_.add(now, entry->number, *fields);
  if (reassembler_.discarded() != discarded) {
    effects_.push(client_effect::MessageDiscarded{std::string(delivery->subject)});
  }
  if (!message) return true;
  ++received_here_.messages;
  ++statistics_.received.messages;
  deliver_to(now, *entry, delivery->subject, *std::move(message));
  return true;
}

void Client::Impl::deliver_to(TimeMs now, const SubscriptionTable::Entry& entry,
                              std::string_view subject, MessageData message) {
  const bool is_inbox = &entry == &subscriptions_.inbox();
  const std::size_t takers = entry.locals.size();
  for (std::size_t i = 0; i < takers; ++i) {
    const SubscriptionTable::Local& local = entry.locals[i];
    const bool last = !is_inbox && i + 1 == takers;
    effects_.push(client_effect::MessageArrived{
        local.owner, local.id, Message{std::string(subject), last ? std::move(message) : message}});
  }
  if (!is_inbox) return;
  const std::size_t dot = subject.rfind('.');
  if (dot == std::string_view::npos) return;
  calls_.on_reply(now, subject.substr(dot + 1), Message{std::string(subject), std::move(message)});
}

void Client::Impl::on_info(TimeMs now, const PacketView& packet) {
  const std::optional<std::uint64_t> ack_id = packet.ack_id;
  const Value info = client_parts::ack_value(packet);
  if (ack_id) outgoing_.acknowledge(*ack_id);
  if (info.if_map() == nullptr) return;
  info_ = encode_msgpack(info);
  if (const Value* max_payload = info.find("max_payload")) {
    const std::int64_t bytes = max_payload->integer_or(0);
    if (bytes > 0) {
      calls_.set_max_payload(static_cast<std::size_t>(std::min(bytes, kMaxPayloadBytes)));
    }
  }
  const Value* user = info.find("user");
  const Value* error = user == nullptr ? nullptr : user->find("error");
  if (error != nullptr && !error->is_null()) {
    // The server disconnects by itself; one that does not is left after a moment.
    refused_ = true;
    refused_until_ = now + limits::client_refused_grace_ms;
    effects_.push(client_effect::InfoReceived{info_, false});
    return;
  }
  if (!signed_in_) sign_in(now);
  plan_renewal(now, info);
}

void Client::Impl::sign_in(TimeMs now) {
  signed_in_ = true;
  backoff_.reset();
  permissions_.clear();  // another user may have come back than left
  effects_.push(client_effect::InfoReceived{info_, true});
  subscriptions_.on_sign_in(now);
  calls_.on_sign_in(now);
  open_calls(now);
}

// Early enough for several tries, and not at the same time for all clients of a restarted server.
void Client::Impl::plan_renewal(TimeMs now, const Value& holder) {
  const Value* expires = holder.find("expires");
  renew_at_.reset();
  if (!options_.renew_auth || expires == nullptr || !expires->is_number()) return;
  const std::int64_t left = std::clamp<std::int64_t>(expires->integer_or(0), 0, kMaxExpiresMs);
  const double share = 0.75 + 0.1 * random_.unit();
  renew_at_ = now + static_cast<std::int64_t>(share * static_cast<double>(left));
}

void Client::Impl::renew_auth(TimeMs now, Value auth) {
  if (state_ == ClientState::closed) return;
  options_.auth = std::move(auth);
  if (phase_ != Phase::open || !signed_in_) return;
  outgoing_.emit("auth", {options_.auth}, {AckKind::auth, 0, 0});
  renew_at_ = now + limits::client_renewal_answer_timeout_ms;
}

void Client::Impl::renewal_failed(TimeMs now) {
  if (phase_ != Phase::open || !signed_in_) return;
  renew_at_ = now + renewal_backoff_.next_ms(random_);
}

void Client::Impl::on_renewed(TimeMs now, const Value& answer) {
  if (client_parts::ack_error(answer)) return renewal_failed(now);
  renewal_backoff_.reset();
  plan_renewal(now, answer);
}

void Client::Impl::open_calls(TimeMs now) {
  if (calls_open_ || !signed_in_ || !subscriptions_.settled()) return;
  calls_open_ = true;
  calls_.open(now);
}

void Client::Impl::on_permission(TimeMs now, const PacketView& packet) {
  const Value refusal = client_parts::ack_value(packet);
  const Value* subject = refusal.find("subject");
  const Value* type = refusal.find("type");
  const Value* message = refusal.find("message");
  if (subject == nullptr || type == nullptr || subject->if_text() == nullptr) return;
  const std::string_view kind = type->text_or("");
  if (kind != "pub" && kind != "sub") return;
  permissions_.add(now, kind == "pub" ? PermissionType::publish : PermissionType::subscribe,
                   *subject->if_text(),
                   std::string(message == nullptr ? "permission denied"
                                                  : message->text_or("permission denied")));
}

void Client::Impl::on_ack(TimeMs now) {
  const PacketView& packet = session_->packet();
  if (!packet.ack_id) return;
  const std::optional<AckTarget> target = outgoing_.take(*packet.ack_id);
  if (!target) return;
  switch (target->kind) {
    case AckKind::chunk:
      return calls_.on_chunk_ack(now, *target, packet);
    case AckKind::interest:
      return calls_.on_interest_ack(now, target->id, client_parts::ack_value(packet));
    case AckKind::question:
      return calls_.on_question_ack(target->id, client_parts::ack_value(packet));
    case AckKind::auth:
      return on_renewed(now, client_parts::ack_value(packet));
    case AckKind::subscribe:
      forget(subscriptions_.on_subscribe_ack(now, target->id, client_parts::ack_value(packet)));
      break;
    case AckKind::subscribe_all:
      forget(subscriptions_.on_batch_ack(now, target->id, client_parts::ack_value(packet)));
      break;
    case AckKind::list:
      subscriptions_.on_list(now, client_parts::ack_value(packet));
      break;
  }
  if (subscriptions_.inbox_error()) calls_.fail_requests(*subscriptions_.inbox_error());
  open_calls(now);
}

void Client::Impl::forget(const std::vector<std::uint64_t>& entries) {
  for (const std::uint64_t number : entries) reassembler_.forget(number);
}

void Client::Impl::send_statistics(TimeMs now) {
  statistics_at_ = now + limits::client_stats_interval_ms;
  const Value::Map received{{"messages", Value(received_here_.messages)},
                            {"bytes", Value(received_here_.bytes)}};
  outgoing_.emit("stats", {Value(Value::Map{{"recv0", Value(received)}})});
}

}  // namespace conat
