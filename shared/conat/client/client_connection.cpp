// The life of the connection: transports, sign-in, timers, and the checks of the user's calls.
#include <utility>

#include "conat/client/client_impl.hpp"
#include "conat/subject/subject.hpp"

namespace conat {

using client_parts::PermissionType;

namespace {

Error closed_error() { return Error(ErrorKind::closed); }
Error timeout_error() { return Error(ErrorKind::invalid_argument, "timeout must be positive"); }

}  // namespace

Client::Impl::Impl(ClientOptions options, Random random)
    : options_(std::move(options)),
      id_(random.id()),
      inbox_(options_.inbox_prefix + "." + random.id()),
      random_(random.fork()),
      outgoing_(effects_),
      subscriptions_(effects_, outgoing_, random.fork(), inbox_ + ".*"),
      calls_(effects_, outgoing_, random.fork(), inbox_, statistics_),
      backoff_(options_.reconnection_delay_ms, options_.reconnection_delay_max_ms,
               options_.randomization_factor),
      renewal_backoff_(limits::client_renewal_retry_ms, limits::client_renewal_retry_max_ms, 0.5) {}

void Client::Impl::connect(TimeMs now) {
  if (state_ == ClientState::closed || phase_ == Phase::opening || phase_ == Phase::open) return;
  if (!started_) {
    started_ = true;
    check_at_ = now + limits::client_subscriptions_check_ms;
  }
  backoff_.reset();
  open_transport(now);
}

void Client::Impl::disconnect(TimeMs now) {
  if (state_ == ClientState::closed) return;
  lose(now, phase_ == Phase::opening || phase_ == Phase::open);
  phase_ = Phase::idle;
}

void Client::Impl::close() {
  if (state_ == ClientState::closed) return;
  const bool open = phase_ == Phase::open;
  const bool say_goodbye = open && session_ && session_->connected();
  if (say_goodbye) effects_.send(encode_disconnect(outgoing_.encoding()));
  if (open || phase_ == Phase::opening) effects_.push(client_effect::CloseTransport{});
  session_.reset();
  phase_ = Phase::idle;
  signed_in_ = false;
  calls_open_ = false;
  outgoing_.reset();
  reassembler_.clear();
  permissions_.clear();
  refused_until_.reset();
  statistics_at_.reset();
  renew_at_.reset();
  check_at_.reset();
  calls_.close();
  subscriptions_.close();
  set_state(ClientState::closed);
}

void Client::Impl::wake(TimeMs now) {
  if (phase_ == Phase::opening && now - opening_since_ >= limits::client_stuck_opening_ms) {
    lose(now, true);
    phase_ = Phase::waiting;
  }
  if (phase_ != Phase::waiting) return;
  backoff_.reset();
  open_transport(now);
}

void Client::Impl::drop_transport(TimeMs now) {
  if (phase_ != Phase::opening && phase_ != Phase::open) return;
  lose(now, true);
  retry_later(now);
}

void Client::Impl::on_transport_open(TimeMs now) {
  if (phase_ != Phase::opening) return;
  phase_ = Phase::open;
  outgoing_.set_encoding(attempt_encoding());
  session_.emplace(now, outgoing_.encoding(), options_.auth);
}

void Client::Impl::on_transport_message(TimeMs now, bool binary, ByteView message) {
  if (phase_ != Phase::open || !session_) return;
  WireMessages out;
  const ClientSession::Step step = session_->read(now, binary, message, out);
  effects_.send(std::move(out));
  switch (step) {
    case ClientSession::Step::none:
      return;
    case ClientSession::Step::connected:
      return on_connected(now);
    case ClientSession::Step::event:
      return on_event(now);
    case ClientSession::Step::ack:
      return on_ack(now);
    case ClientSession::Step::refused:
      lose(now, true);
      return retry_later(now);
    case ClientSession::Step::disconnected: {
      // A server that refused the user may accept it later; else it wants the client gone.
      const bool retry = refused_;
      lose(now, true);
      if (retry) return retry_later(now);
      phase_ = Phase::idle;
      return;
    }
    case ClientSession::Step::broken:
      return fail_connection(now, true);
  }
}

void Client::Impl::on_transport_closed(TimeMs now) {
  if (phase_ != Phase::opening && phase_ != Phase::open) return;
  fail_connection(now, false);
}

void Client::Impl::on_time(TimeMs now) {
  if (state_ == ClientState::closed) return;
  const bool late = (phase_ == Phase::opening && now >= phase_until_) ||
                    (phase_ == Phase::open && ((session_ && session_->expired(now)) ||
                                               (refused_until_ && now >= *refused_until_)));
  if (late) fail_connection(now, true);
  if (phase_ == Phase::waiting && now >= phase_until_) {
    open_transport(now);
  }
  if (statistics_at_ && now >= *statistics_at_) send_statistics(now);
  if (renew_at_ && now >= *renew_at_) {
    renew_at_.reset();
    effects_.push(client_effect::AuthNeeded{});
  }
  if (check_at_ && now >= *check_at_ && signed_in_) {
    check_at_.reset();
    subscriptions_.compare(now);
  }
  forget(subscriptions_.on_time(now));
  open_calls(now);
  calls_.on_time(now);
  reassembler_.expire(now);
}

std::optional<TimeMs> Client::Impl::deadline() const {
  if (state_ == ClientState::closed) return std::nullopt;
  std::optional<TimeMs> result = earlier(subscriptions_.deadline(), calls_.deadline());
  if (phase_ == Phase::waiting || phase_ == Phase::opening) result = earlier(result, phase_until_);
  if (phase_ == Phase::open) {
    if (session_) result = earlier(result, session_->deadline());
    result = earlier(result, refused_until_);
    result = earlier(result, statistics_at_);
    result = earlier(result, renew_at_);
    if (signed_in_) result = earlier(result, check_at_);
  }
  return earlier(result, reassembler_.deadline());
}

std::string_view Client::Impl::socket_id() const {
  return session_ ? std::string_view(session_->sid()) : std::string_view();
}

const ClientStatistics& Client::Impl::statistics() const {
  statistics_.subscriptions = subscriptions_.count();
  return statistics_;
}

void Client::Impl::open_transport(TimeMs now) {
  phase_ = Phase::opening;
  opening_since_ = now;
  phase_until_ = now + limits::client_connect_timeout_ms;
  effects_.push(client_effect::OpenTransport{});
}

void Client::Impl::retry_later(TimeMs now) {
  if (!options_.reconnection) {
    phase_ = Phase::idle;
    return;
  }
  phase_ = Phase::waiting;
  phase_until_ = now + backoff_.next_ms(random_);
}

void Client::Impl::fail_connection(TimeMs now, bool close_transport) {
  if (session_ && session_->awaiting_connect()) {
    // A server that does not know our encoding hangs up on its CONNECT: try the other one next.
    try_other_encoding_ = !try_other_encoding_;
  }
  lose(now, close_transport);
  retry_later(now);
}

void Client::Impl::lose(TimeMs now, bool close_transport) {
  session_.reset();
  signed_in_ = false;
  calls_open_ = false;
  refused_ = false;
  refused_until_.reset();
  statistics_at_.reset();
  renew_at_.reset();
  renewal_backoff_.reset();
  effects_.drop_sends();
  outgoing_.reset();
  reassembler_.clear();
  if (close_transport) effects_.push(client_effect::CloseTransport{});
  subscriptions_.on_lost();
  calls_.on_lost(now);
  if (state_ == ClientState::connected) set_state(ClientState::disconnected);
}

void Client::Impl::set_state(ClientState state) {
  state_ = state;
  effects_.push(client_effect::StateChanged{state});
}

PacketEncoding Client::Impl::attempt_encoding() const {
  return try_other_encoding_ ? PacketEncoding::text : options_.encoding;
}

// ---- the user's calls ----

std::optional<Error> Client::Impl::check_subject(std::string_view subject,
                                                 std::string_view what) const {
  if (state_ == ClientState::closed) return closed_error();
  if (subject.size() <= limits::max_subject_bytes && is_valid_subject(subject)) {
    return std::nullopt;
  }
  const std::string shown(subject.substr(0, limits::max_subject_bytes));
  return Error(ErrorKind::invalid_argument, std::string(what) + "subject " + shown +
                                                " must be a valid subject without wildcards");
}

std::optional<Error> Client::Impl::check_publish(TimeMs now, std::string_view subject) {
  if (std::optional<Error> error = check_subject(subject, "invalid publish subject -- ")) {
    return error;
  }
  const std::string* refusal = permissions_.find(now, PermissionType::publish, subject);
  if (refusal != nullptr) return Error(ErrorKind::permission_denied, *refusal);
  return std::nullopt;
}

Result<SubscriptionId> Client::Impl::subscribe(TimeMs now, Owner owner, std::string_view pattern,
                                               const SubscribeOptions& options) {
  if (state_ == ClientState::closed) return closed_error();
  if (options.timeout_ms < 0) return timeout_error();
  if (pattern.size() > limits::max_subject_bytes || !is_valid_pattern(pattern)) {
    return Error(ErrorKind::invalid_argument,
                 "invalid subscribe subject '" +
                     std::string(pattern.substr(0, limits::max_subject_bytes)) + "'");
  }
  if (const std::string* refusal = permissions_.find(now, PermissionType::subscribe, pattern)) {
    return Error(ErrorKind::permission_denied, *refusal);
  }
  return subscriptions_.add(now, owner, pattern, options);
}

void Client::Impl::unsubscribe(TimeMs now, SubscriptionId subscription) {
  if (const std::optional<std::uint64_t> gone = subscriptions_.remove(now, subscription)) {
    reassembler_.forget(*gone);
  }
}

Result<CallId> Client::Impl::publish(TimeMs now, Owner owner, std::string_view subject,
                                     MessageData message, const PublishOptions& options) {
  if (std::optional<Error> error = check_publish(now, subject)) return *std::move(error);
  if (options.timeout_ms < 0) return timeout_error();
  return calls_.publish(now, owner, subject, std::move(message),
                        options.timeout_ms > 0 ? options.timeout_ms : options_.publish_timeout_ms,
                        options.wait_for_interest);
}

Result<std::size_t> Client::Impl::publish_now(TimeMs now, std::string_view subject,
                                              const MessageData& message) {
  if (std::optional<Error> error = check_publish(now, subject)) return *std::move(error);
  const std::size_t bytes = message.raw.size();
  if (state_ != ClientState::connected) return bytes;  // dropped, as its contract says
  const Status sent = calls_.forget_after_send(now, subject, message);
  if (!sent.ok()) return sent.error();
  return bytes;
}

Result<CallId> Client::Impl::request(TimeMs now, Owner owner, std::string_view subject,
                                     MessageData message, RequestOptions options) {
  if (std::optional<Error> error = check_publish(now, subject)) return *std::move(error);
  if (options.timeout_ms < 0) return timeout_error();
  if (subscriptions_.inbox_error()) return *subscriptions_.inbox_error();
  if (options.timeout_ms == 0) options.timeout_ms = options_.request_timeout_ms;
  return calls_.request(now, owner, subject, std::move(message), options);
}

Result<CallId> Client::Impl::wait_for_interest(TimeMs now, Owner owner, std::string_view subject,
                                               std::int64_t timeout_ms) {
  if (std::optional<Error> error = check_subject(subject, "")) return *std::move(error);
  if (timeout_ms < 0) return timeout_error();
  return calls_.interest(now, owner, subject, timeout_ms, options_.request_timeout_ms);
}

Result<CallId> Client::Impl::ask_server(TimeMs now, Owner owner, ServerQuestion question,
                                        std::int64_t timeout_ms) {
  if (state_ == ClientState::closed) return closed_error();
  if (timeout_ms < 0) return timeout_error();
  return calls_.question(now, owner, question,
                         timeout_ms > 0 ? timeout_ms : options_.request_timeout_ms);
}

}  // namespace conat
