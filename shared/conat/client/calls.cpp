#include "conat/client/calls.hpp"

#include <algorithm>
#include <utility>

#include "conat/client/ack_values.hpp"
#include "conat/wire/chunks.hpp"

namespace conat::client_parts {
namespace {

// What a call costs besides its payload, so that the bound on bytes bounds their number too.
constexpr std::size_t kCallOverheadBytes = 512;
// Pauses when the server reports interest and yet nobody takes the message.
constexpr std::int64_t kFirstRestMs = 100;
constexpr std::int64_t kMaxRestMs = 1000;

// Room that a chunk's headers, subject and framing take, with a margin for JSON's escapes.
std::size_t overhead(std::string_view subject, const MessageData& message) {
  return 2 * message.headers.encoded().size() + subject.size() + 512;
}

bool is_null(const MessageData& message) {
  if (message.encoding == PayloadEncoding::json) return as_text(message.raw) == "null";
  return message.raw.size() == 1 && message.raw[0] == 0xc0;
}

}  // namespace

Calls::Calls(EffectQueue& effects, Outgoing& outgoing, Random random, std::string inbox,
             ClientStatistics& statistics)
    : effects_(effects),
      outgoing_(outgoing),
      random_(std::move(random)),
      inbox_(std::move(inbox)),
      statistics_(statistics) {}

Result<CallId> Calls::publish(TimeMs now, Owner owner, std::string_view subject,
                              MessageData message, std::int64_t timeout_ms,
                              bool wait_for_interest) {
  if (std::optional<Error> error = check_room(subject, message)) return *std::move(error);
  Call call;
  call.kind = Kind::publish;
  call.owner = owner;
  call.wait_for_interest = wait_for_interest;
  call.timeout_ms = timeout_ms;
  call.subject = std::string(subject);
  call.message = std::move(message);
  return add(now, std::move(call));
}

Result<CallId> Calls::request(TimeMs now, Owner owner, std::string_view subject,
                              MessageData message, const RequestOptions& options) {
  if (std::optional<Error> error = check_room(subject, message)) return *std::move(error);
  Call call;
  call.kind = Kind::request;
  call.owner = owner;
  call.wait_for_interest = options.wait_for_interest;
  call.many = options.many;
  call.max_messages = options.max_messages;
  call.null_ends = options.null_ends;
  call.timeout_ms = options.timeout_ms;
  call.max_wait_ms = options.max_wait_ms;
  call.subject = std::string(subject);
  call.message = std::move(message);
  call.token = random_.id();
  call.message.headers.set(header::reply, Value(inbox_ + "." + call.token));
  const std::string token = call.token;
  const CallId id = next_id_;
  tokens_.emplace(token, id);
  return add(now, std::move(call));
}

Status Calls::forget_after_send(TimeMs now, std::string_view subject, const MessageData& message) {
  if (std::optional<Error> error = check_room(subject, message)) return *std::move(error);
  if (!open_ || !outbox_.empty()) {
    Call call;
    call.kind = Kind::forget;
    call.subject = std::string(subject);
    call.message = message;
    add(now, std::move(call));
    return Nothing{};
  }
  const std::string id = random_.id();
  std::size_t offset = 0;
  for (std::uint64_t sequence = 0;; ++sequence) {
    const Chunk chunk = next_chunk(subject, message, offset);
    outgoing_.publish({subject, id, sequence, chunk.is_last, message.encoding,
                       ByteView(message.raw).subspan(offset, chunk.size),
                       chunk.is_last ? ByteView(message.headers.encoded()) : ByteView()});
    offset += chunk.size;
    if (chunk.is_last) break;
  }
  ++statistics_.sent.messages;
  statistics_.sent.bytes += message.raw.size();
  return Nothing{};
}

CallId Calls::interest(TimeMs now, Owner owner, std::string_view subject, std::int64_t timeout_ms,
                       std::int64_t answer_timeout_ms) {
  Call call;
  call.kind = Kind::interest;
  call.owner = owner;
  call.ask_interest = true;
  call.wants_answer_now = timeout_ms == 0;
  call.timeout_ms = timeout_ms == 0 ? answer_timeout_ms : timeout_ms;
  call.subject = std::string(subject);
  return add(now, std::move(call));
}

CallId Calls::question(TimeMs now, Owner owner, ServerQuestion question, std::int64_t timeout_ms) {
  Call call;
  call.kind = Kind::question;
  call.owner = owner;
  call.question = question;
  call.timeout_ms = timeout_ms;
  return add(now, std::move(call));
}

void Calls::cancel(CallId id) {
  if (find(id) != nullptr) remove(id);
}

void Calls::on_sign_in(TimeMs now) {
  signed_in_ = true;
  for (const CallId id : ids()) {
    Call& call = *find(id);
    if (call.deadline || call.kind == Kind::forget) continue;
    call.deadline = now + call.timeout_ms;
    arm(id, call, *call.deadline);
  }
}

void Calls::open(TimeMs now) {
  open_ = true;
  pump(now);
}

void Calls::on_lost(TimeMs) {
  signed_in_ = false;
  open_ = false;
  for (const CallId id : ids()) lose(id, *find(id));
  unacknowledged_bytes_ = 0;
}

void Calls::close() {
  open_ = false;
  signed_in_ = false;
  for (const CallId id : ids()) fail(id, Error(ErrorKind::closed));
  outbox_.clear();
  deadlines_.clear();
}

void Calls::fail_requests(const Error& error) {
  for (const CallId id : ids()) {
    if (find(id)->kind == Kind::request) fail(id, error);
  }
}

void Calls::on_chunk_ack(TimeMs now, const AckTarget& target, const PacketView& packet) {
  Call* call = find(target.id);
  if (call == nullptr) return;
  --call->unacknowledged;
  call->unacknowledged_bytes -= target.bytes;
  unacknowledged_bytes_ -= target.bytes;
  if (const std::optional<std::uint64_t> count = ack_count(packet)) {
    call->count = std::max(call->count, *count);
  } else if (std::optional<Error> error = ack_error(ack_value(packet))) {
    fail(target.id, *error);
    pump(now);
    return;
  }
  if (!call->all_sent || call->unacknowledged > 0) {
    extend(now, *call);
  } else {
    on_acknowledged(now, target.id, *call);
  }
  pump(now);
}

void Calls::on_interest_ack(TimeMs now, CallId id, const Value& answer) {
  Call* call = find(id);
  if (call == nullptr || call->stage != Stage::asked) return;
  if (std::optional<Error> error = ack_error(answer)) {
    // The server's own timer ran out before ours, which decides.
    if (error->text.find("timeout") != std::string::npos) return rest(now, id, *call);
    return fail(id, *error);
  }
  const bool* interested = answer.if_bool();
  if (interested == nullptr) return fail(id, Error(ErrorKind::malformed));
  if (call->kind == Kind::interest) {
    const Owner owner = call->owner;
    remove(id);
    effects_.push(client_effect::InterestDone{owner, id, *interested});
    return;
  }
  if (!*interested) return rest(now, id, *call);
  requeue(id, *call, false);
  pump(now);
}

void Calls::on_question_ack(CallId id, const Value& answer) {
  Call* call = find(id);
  if (call == nullptr || call->kind != Kind::question) return;
  if (std::optional<Error> error = ack_error(answer)) return fail(id, *error);
  const Owner owner = call->owner;
  remove(id);
  effects_.push(client_effect::ServerAnswered{owner, id, encode_msgpack(answer)});
}

void Calls::on_reply(TimeMs now, std::string_view token, Message message) {
  const auto found = tokens_.find(std::string(token));
  if (found == tokens_.end()) return;
  const CallId id = found->second;
  Call& call = *find(id);
  ++call.received;
  bool last = true;
  if (call.many) {
    last = (call.null_ends && is_null(message.data)) ||
           (call.max_messages != 0 && call.received >= call.max_messages);
    extend(now, call);
  }
  const Owner owner = call.owner;
  if (last) {
    remove(id);
    pump(now);
  }
  effects_.push(client_effect::ReplyArrived{owner, id, std::move(message), last});
}

void Calls::on_time(TimeMs now) {
  while (const std::optional<DeadlineHeap::Entry> due = deadlines_.pop_due(now)) {
    Call* call = find(due->id);
    if (call == nullptr || call->alarm != due->when) continue;
    call->alarm.reset();
    on_alarm(now, due->id, *call);
  }
  pump(now);
}

void Calls::set_max_payload(std::size_t bytes) { max_payload_bytes_ = bytes; }

CallId Calls::add(TimeMs now, Call call) {
  const CallId id = next_id_++;
  call.bytes = call.message.raw.size();
  call.held = kCallOverheadBytes + call.bytes + call.message.headers.encoded().size();
  held_bytes_ += call.held;
  Call& added = calls_.emplace(id, std::move(call)).first->second;
  if (signed_in_ && added.kind != Kind::forget) {
    added.deadline = now + added.timeout_ms;
    arm(id, added, *added.deadline);
  }
  outbox_.push_back(id);
  pump(now);
  return id;
}

std::optional<Error> Calls::check_room(std::string_view subject, const MessageData& message) const {
  if (overhead(subject, message) > max_payload_bytes_) return Error(ErrorKind::too_large);
  const std::size_t size =
      kCallOverheadBytes + message.raw.size() + message.headers.encoded().size();
  // One message of any size is let through when nothing else waits.
  if (held_bytes_ > 0 && held_bytes_ + size > limits::client_max_waiting_bytes) {
    return Error(ErrorKind::limit_reached, "too many messages are waiting to be sent");
  }
  return std::nullopt;
}

Calls::Chunk Calls::next_chunk(std::string_view subject, const MessageData& message,
                               std::size_t offset) const {
  const std::size_t left = message.raw.size() - offset;
  const std::size_t size = std::min(left, chunk_size(max_payload_bytes_));
  // Headers that do not fit behind the last bytes travel in an empty chunk of their own.
  const bool fits = size == 0 || size + overhead(subject, message) <= max_payload_bytes_;
  return {size, size == left && fits};
}

Calls::Call* Calls::find(CallId id) {
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : &found->second;
}

void Calls::pump(TimeMs now) {
  while (open_ && !outbox_.empty()) {
    const CallId id = outbox_.front();
    outbox_.pop_front();
    Call* call = find(id);
    if (call == nullptr || send_head(now, id, *call)) continue;
    outbox_.push_front(id);  // the window is full
    return;
  }
}

bool Calls::send_head(TimeMs now, CallId id, Call& call) {
  if (call.kind == Kind::question) {
    const bool cluster = call.question == ServerQuestion::cluster;
    call.stage = Stage::asked;
    call.started = true;
    call.first_ack = call.last_ack = outgoing_.emit(
        cluster ? "cluster" : "subscriptions", cluster ? Value::Array{} : Value::Array{Value()},
        {AckKind::question, id, 0});
    return true;
  }
  if (call.ask_interest) {
    ask_interest(now, id, call);
    return true;
  }
  return send_chunks(now, id, call);
}

bool Calls::send_chunks(TimeMs now, CallId id, Call& call) {
  const bool acknowledged = call.kind != Kind::forget;
  const std::size_t window = limits::client_window_chunks * chunk_size(max_payload_bytes_);
  while (!call.all_sent) {
    const Chunk chunk = next_chunk(call.subject, call.message, call.offset);
    if (acknowledged && unacknowledged_bytes_ > 0 && unacknowledged_bytes_ + chunk.size > window) {
      return false;
    }
    if (call.sequence == 0) {
      call.message_id = random_.id();
      call.stage = Stage::sending;
      // It may have waited long behind a big message; its own time starts now.
      if (!call.started) extend(now, call);
      call.started = true;
    }
    const PublishChunk part{call.subject,
                            call.message_id,
                            call.sequence,
                            chunk.is_last,
                            call.message.encoding,
                            ByteView(call.message.raw).subspan(call.offset, chunk.size),
                            chunk.is_last ? ByteView(call.message.headers.encoded()) : ByteView()};
    if (acknowledged) {
      call.last_ack = outgoing_.publish(part, {AckKind::chunk, id, chunk.size});
      if (call.sequence == 0) call.first_ack = call.last_ack;
      ++call.unacknowledged;
      call.unacknowledged_bytes += chunk.size;
      unacknowledged_bytes_ += chunk.size;
    } else {
      outgoing_.publish(part);
    }
    ++call.sequence;
    call.offset += chunk.size;
    call.all_sent = chunk.is_last;
  }
  ++statistics_.sent.messages;
  statistics_.sent.bytes += call.bytes;
  if (call.kind == Kind::forget) {
    remove(id);
  } else if (!call.wait_for_interest) {
    release_message(call);
  }
  return true;
}

void Calls::release_message(Call& call) {
  call.message = MessageData{};
  held_bytes_ -= call.held - kCallOverheadBytes;
  call.held = kCallOverheadBytes;
}

void Calls::ask_interest(TimeMs now, CallId id, Call& call) {
  const std::int64_t left = *call.deadline - now;
  if (left <= 0) return expire(now, id, call);
  call.stage = Stage::asked;
  call.started = true;
  const std::int64_t asked =
      call.wants_answer_now ? 0 : std::min(left, limits::interest_timeout_ms);
  call.first_ack = call.last_ack =
      outgoing_.emit("wait-for-interest",
                     {Value(Value::Map{{"subject", call.subject}, {"timeout", Value(asked)}})},
                     {AckKind::interest, id, 0});
  // The server waits no longer than its own maximum, and need not say so: ask again then.
  if (!call.wants_answer_now && left > asked) arm(id, call, now + asked);
}

void Calls::on_acknowledged(TimeMs now, CallId id, Call& call) {
  if (call.count == 0) return on_nobody(now, id, call);
  if (call.kind == Kind::publish) return succeed(id, call);
  call.stage = Stage::replies;
  release_message(call);
  if (!call.many) return;
  effects_.push(client_effect::RequestDelivered{call.owner, id});
  if (call.max_wait_ms == 0) return;
  call.timeout_ms = call.max_wait_ms;
  call.deadline = now + call.timeout_ms;
  arm(id, call, *call.deadline);
}

void Calls::on_nobody(TimeMs now, CallId id, Call& call) {
  if (call.wait_for_interest) {
    if (call.tries++ == 0) {
      ask_interest(now, id, call);
    } else {
      rest(now, id, call);
    }
    return;
  }
  if (call.kind == Kind::publish) return succeed(id, call);
  fail(id, Error(ErrorKind::no_subscribers,
                 call.many ? "requestMany -- no subscribers matching " + call.subject
                           : "request -- no subscribers matching '" + call.subject + "'"));
}

void Calls::rest(TimeMs now, CallId id, Call& call) {
  call.stage = Stage::resting;
  const std::int64_t pause =
      std::min(kMaxRestMs, kFirstRestMs << std::min<std::uint32_t>(call.tries, 4));
  arm(id, call, now + pause);
}

void Calls::requeue(CallId id, Call& call, bool ask) {
  reset_transfer(call);
  call.stage = Stage::queued;
  call.ask_interest = ask;
  outbox_.push_back(id);
}

void Calls::reset_transfer(Call& call) {
  call.offset = 0;
  call.sequence = 0;
  call.count = 0;
  call.all_sent = false;
}

void Calls::arm(CallId id, Call& call, TimeMs when) {
  if (call.deadline) when = std::min(when, *call.deadline);
  if (call.alarm && *call.alarm <= when) return;
  call.alarm = when;
  deadlines_.add(when, id);
  deadlines_.sweep(calls_.size(), [&](const DeadlineHeap::Entry& entry) {
    const Call* other = find(entry.id);
    return other != nullptr && other->alarm == entry.when;
  });
}

// Only moves the end: the alarm finds that out when it rings.
void Calls::extend(TimeMs now, Call& call) {
  if (call.deadline && (call.tries == 0 || call.many)) call.deadline = now + call.timeout_ms;
}

void Calls::on_alarm(TimeMs now, CallId id, Call& call) {
  if (call.deadline && now >= *call.deadline) return expire(now, id, call);
  switch (call.stage) {
    case Stage::resting:
      requeue(id, call, true);
      break;
    case Stage::asked:
      if (call.kind != Kind::question && !call.wants_answer_now) {
        outgoing_.forget(call.first_ack, call.last_ack, id);
        ask_interest(now, id, call);
      }
      break;
    case Stage::queued:
    case Stage::sending:
    case Stage::replies:
      break;
  }
  Call* still = find(id);
  if (still != nullptr && still->deadline && !still->alarm) arm(id, *still, *still->deadline);
}

void Calls::expire(TimeMs, CallId id, Call& call) {
  if (call.stage == Stage::replies) return fail(id, Error(ErrorKind::timeout, "timeout"));
  fail(id, Error(ErrorKind::timeout));
}

void Calls::lose(CallId id, Call& call) {
  call.unacknowledged_bytes = 0;
  call.unacknowledged = 0;
  if (call.kind == Kind::forget) {
    remove(id);
    return;
  }
  if (call.stage == Stage::sending) return fail(id, Error(ErrorKind::disconnected));
  if (call.stage == Stage::asked) requeue(id, call, call.kind != Kind::question);
  if (call.stage == Stage::queued && !call.started) {
    call.deadline.reset();
    call.alarm.reset();
  }
}

void Calls::fail(CallId id, const Error& error) {
  const Call call = remove(id);
  switch (call.kind) {
    case Kind::publish:
      effects_.push(client_effect::PublishDone{call.owner, id, error});
      break;
    case Kind::request:
      effects_.push(client_effect::ReplyArrived{call.owner, id, error, true});
      break;
    case Kind::interest:
      effects_.push(client_effect::InterestDone{call.owner, id, error});
      break;
    case Kind::question:
      effects_.push(client_effect::ServerAnswered{call.owner, id, error});
      break;
    case Kind::forget:
      break;
  }
}

void Calls::succeed(CallId id, Call& call) {
  const PublishResult result{call.bytes, call.count};
  const Owner owner = call.owner;
  remove(id);
  effects_.push(client_effect::PublishDone{owner, id, result});
}

Calls::Call Calls::remove(CallId id) {
  const auto found = calls_.find(id);
  Call call = std::move(found->second);
  calls_.erase(found);
  if (!call.token.empty()) tokens_.erase(call.token);
  held_bytes_ -= call.held;
  unacknowledged_bytes_ -= call.unacknowledged_bytes;
  if (call.unacknowledged > 0 || call.stage == Stage::asked) {
    outgoing_.forget(call.first_ack, call.last_ack, id);
  }
  // Ids of calls that are gone are skipped when their turn comes; here their number is bounded.
  if (outbox_.size() > 2 * calls_.size() + 64) {
    outbox_.erase(std::remove_if(outbox_.begin(), outbox_.end(),
                                 [&](CallId queued) { return find(queued) == nullptr; }),
                  outbox_.end());
  }
  return call;
}

std::vector<CallId> Calls::ids() const {
  std::vector<CallId> result;
  result.reserve(calls_.size());
  for (const auto& [id, call] : calls_) result.push_back(id);
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace conat::client_parts
