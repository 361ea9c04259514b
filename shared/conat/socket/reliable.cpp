#include "conat/socket/reliable.hpp"

#include <algorithm>
#include <utility>

namespace conat::socket_parts {
namespace {

// `{socket: {name: value}}`, the payload of the command `socket`.
MessageData socket_command(std::string_view name, Value value) {
  Value::Map inner;
  inner.emplace_back(std::string(name), std::move(value));
  Value::Map outer;
  outer.emplace_back("socket", Value(std::move(inner)));
  return command_message(command::socket, {}, Value(std::move(outer)));
}

std::uint64_t sequence_of(const Value& value) {
  const std::int64_t number = value.integer_or(0);
  return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

}  // namespace

// ---- sending ----

Status Reliable::write(TimeMs now, MessageData data) {
  Status pushed = send_.push(std::move(data));
  if (!pushed || !link_.can_send()) return pushed;
  flush(now);
  if (!resend_at_) watch(now);
  return Nothing{};
}

void Reliable::flush(TimeMs now) {
  while (const MessageData* message = send_.take_unsent()) link_.send(now, *message);
}

// A large message needs its time on the way before it makes sense to send it again.
std::int64_t Reliable::transfer_ms() const {
  constexpr std::size_t kBytesPerMs = 1000;
  const MessageData* last = send_.last_sent();
  return last == nullptr ? 0 : static_cast<std::int64_t>(last->raw.size() / kBytesPerMs);
}

// Nothing was lost as far as we know: look again later.
void Reliable::watch(TimeMs now) {
  resend_until_.reset();
  resend_delay_ms_ = limits::socket_resend_patience_ms + transfer_ms();
  resend_at_ = now + resend_delay_ms_;
  link_.arm(*resend_at_);
}

void Reliable::start_resending(TimeMs now) {
  if (send_.sent() == 0 || !link_.can_send()) return;
  resend_until_ = now + limits::socket_resend_limit_ms;
  resend_delay_ms_ = limits::socket_backoff_start_ms + transfer_ms();
  resend(now);
}

void Reliable::resend(TimeMs now) {
  resend_at_.reset();
  const MessageData* last = send_.last_sent();
  if (last == nullptr || !link_.can_send()) return;
  if (!resend_until_) resend_until_ = now + limits::socket_resend_limit_ms;
  if (now >= *resend_until_) return;
  link_.send(now, *last);
  resend_at_ = now + resend_delay_ms_;
  link_.arm(*resend_at_);
  const double next = static_cast<double>(resend_delay_ms_) * limits::socket_backoff_factor;
  resend_delay_ms_ =
      std::min(static_cast<std::int64_t>(next), limits::socket_backoff_max_ms + transfer_ms());
}

void Reliable::on_command(TimeMs now, const Message& message) {
  const Result<Value> payload = message.data.decode();
  const Value* body = payload ? payload->find("socket") : nullptr;
  if (body == nullptr) return;
  if (const Value* missing = body->find("missing")) {
    if (missing->if_array() != nullptr) answer_missing(now, message, *missing->if_array());
    return;
  }
  const Value* emitted = body->find("emitted");
  if (emitted == nullptr) return;
  const auto acknowledged = send_.acknowledge(sequence_of(*emitted));
  if (!message.reply_subject().empty()) {
    Value::Map answer;
    answer.emplace_back("emitted", *emitted);
    link_.context.send(now, message.reply_subject(), MessageData::of(Value(std::move(answer))));
  }
  if (acknowledged == SendWindow::Acknowledged::nothing) return;
  if (send_.sent() > 0) {
    watch(now);
  } else {
    resend_at_.reset();
  }
  if (acknowledged == SendWindow::Acknowledged::all) {
    link_.context.emit(socket_effect::Drained{link_.owner, link_.id});
  }
}

void Reliable::answer_missing(TimeMs now, const Message& message, const Value::Array& missing) {
  if (message.reply_subject().empty()) return;
  Value::Array items;
  std::size_t bytes = 0;
  std::uint64_t previous = 0;
  bool whole = true;
  for (const Value& wanted : missing) {
    const std::uint64_t sequence = sequence_of(wanted);
    // What was acknowledged after the question had left is not wanted any more; but who asks first
    // of all for something forgotten has never had it.
    const bool late = sequence < send_.first() && previous != 0;
    if (sequence <= previous || late) continue;
    const MessageData* found = send_.find(sequence);
    if (found == nullptr) {
      whole = false;
      break;
    }
    bytes += found->raw.size();
    if (bytes > limits::socket_missing_answer_bytes && !items.empty()) break;
    previous = sequence;
    Value::Map item;
    item.emplace_back("encoding", Value(static_cast<int>(found->encoding)));
    item.emplace_back("raw", Value(found->raw));
    item.emplace_back("headers", found->headers.value());
    items.emplace_back(std::move(item));
  }
  MessageData answer;
  if (whole) {
    answer = MessageData::of(Value(std::move(items)));
  } else {
    Value::Map headers;
    headers.emplace_back("error", Value("nodata"));
    answer = MessageData::of(Value(), Headers(Value(std::move(headers))));
  }
  link_.context.send(now, message.reply_subject(), answer);
}

// ---- receiving ----

void Reliable::deliver(MessageData data) {
  data.headers.erase(header::socket_sequence);
  link_.context.emit(socket_effect::Data{link_.owner, link_.id, std::move(data)});
}

void Reliable::on_data(TimeMs now, MessageData data) {
  const std::uint64_t sequence = data.headers.number(header::socket_sequence).value_or(0);
  if (sequence == 0) return;  // not of this protocol
  switch (receive_.accept(sequence, data)) {
    case ReceiveWindow::Arrival::duplicate:
      plan_acknowledgement(now, 0);
      return;
    case ReceiveWindow::Arrival::early:
      ask_for_missing(now);
      return;
    case ReceiveWindow::Arrival::in_order:
      break;
  }
  std::size_t messages = 1;
  deliver(std::move(data));
  MessageData held;
  for (; receive_.take_held(held); ++messages) deliver(std::move(held));
  gap_attempts_ = 0;
  gap_retry_at_.reset();
  gap_since_.reset();
  ask_for_missing(now);
  plan_acknowledgement(now, messages);
}

void Reliable::plan_acknowledgement(TimeMs now, std::size_t messages) {
  to_acknowledge_ += messages;
  if (to_acknowledge_ >= limits::socket_ack_batch && link_.can_send()) {
    send_acknowledgement(now);
  } else if (!acknowledge_at_) {
    acknowledge_at_ = now + limits::socket_ack_delay_ms;
    link_.arm(*acknowledge_at_);
  }
}

// Not a request: when it is lost, the sender resends and is told again.
void Reliable::send_acknowledgement(TimeMs now) {
  to_acknowledge_ = 0;
  acknowledge_at_.reset();
  if (receive_.delivered() == 0) return;
  link_.send(now, socket_command("emitted", Value(receive_.delivered())));
}

void Reliable::ask_for_missing(TimeMs now) {
  if (gap_call_ != 0 || gap_retry_at_ || !receive_.has_gap() || !link_.can_send()) return;
  if (!gap_since_) gap_since_ = now;
  const std::vector<std::uint64_t> missing = receive_.missing(limits::socket_missing_batch);
  if (missing.empty()) return;
  gap_lowest_ = missing.front();
  Value::Array wanted;
  for (const std::uint64_t sequence : missing) wanted.emplace_back(sequence);
  RequestOptions options;
  options.timeout_ms = options_.command_timeout_ms;
  gap_call_ = link_.request(now, socket_command("missing", Value(std::move(wanted))), options);
  if (gap_call_ == 0) retry_gap(now);
}

void Reliable::retry_gap(TimeMs now) {
  gap_retry_at_ = now + Context::backoff(gap_attempts_++);
  link_.arm(*gap_retry_at_);
}

Reliable::Verdict Reliable::on_reply(TimeMs now, const Result<Message>& reply) {
  // What was asked for may have come by itself meanwhile; then a refusal says nothing.
  const bool outdated = gap_lowest_ <= receive_.delivered();
  bool no_data = false;
  bool progress = outdated;
  if (reply) {
    no_data = reply->data.headers.text("error").value_or("") == "nodata";
    const Result<Value> items = reply->data.decode();
    if (!no_data && items) progress |= take_missing(now, *items);
  }
  gap_call_ = 0;  // only now, so that the next question is about what is missing in the end
  if (!receive_.has_gap()) return Verdict::fine;
  if (no_data && !outdated) return Verdict::reset;
  if (progress) {
    ask_for_missing(now);
  } else {
    retry_gap(now);
  }
  return Verdict::fine;
}

bool Reliable::take_missing(TimeMs now, const Value& items) {
  const Value::Array* list = items.if_array();
  if (list == nullptr) return false;
  const std::uint64_t before = receive_.delivered();
  for (const Value& item : *list) {
    const Value* raw = item.find("raw");
    const Value* headers = item.find("headers");
    const Value* encoding = item.find("encoding");
    if (raw == nullptr || raw->if_binary() == nullptr || headers == nullptr) continue;
    MessageData data;
    const bool json = encoding != nullptr && encoding->integer_or(0) == 1;
    data.encoding = json ? PayloadEncoding::json : PayloadEncoding::msgpack;
    data.raw = *raw->if_binary();
    data.headers = Headers(*headers);
    on_data(now, std::move(data));
  }
  return receive_.delivered() > before;
}

// ---- life ----

void Reliable::on_ready(TimeMs now) {
  const bool sends_new = send_.unsent() > 0;
  flush(now);
  if (sends_new) {
    // What is new tells of a gap as well as what would be resent; both start the same watch.
    if (send_.sent() > 0) watch(now);
  } else {
    start_resending(now);
  }
  if (acknowledge_at_ || to_acknowledge_ > 0) send_acknowledgement(now);
  gap_retry_at_.reset();
  gap_attempts_ = 0;
  if (receive_.has_gap()) gap_since_ = now;
  ask_for_missing(now);
}

void Reliable::on_lost() {
  link_.cancel(gap_call_);
  gap_retry_at_.reset();
  resend_at_.reset();
}

Reliable::Verdict Reliable::on_time(TimeMs now) {
  if (!link_.can_send()) return Verdict::fine;
  if (acknowledge_at_ && *acknowledge_at_ <= now) send_acknowledgement(now);
  if (resend_at_ && *resend_at_ <= now) resend(now);
  if (gap_retry_at_ && *gap_retry_at_ <= now) {
    gap_retry_at_.reset();
    if (gap_since_ && now - *gap_since_ >= limits::socket_resend_limit_ms) {
      gap_since_.reset();
      return Verdict::reset;
    }
    ask_for_missing(now);
  }
  return Verdict::fine;
}

std::optional<TimeMs> Reliable::deadline() const {
  if (!link_.can_send()) return std::nullopt;
  return earlier(acknowledge_at_, earlier(resend_at_, gap_retry_at_));
}

}  // namespace conat::socket_parts
