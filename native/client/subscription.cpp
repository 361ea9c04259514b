#include "client/subscription.hpp"

#include "client/subscription_state.hpp"

namespace conat::native {

void Subscription::State::start(std::function<void()> give_up) {
  give_up_ = std::move(give_up);
  watch_silence();
}

void Subscription::State::on_message(Message message) {
  if (queue->ended()) return;
  ++received_;
  if (!queue->push(std::move(message))) return finish();
  if (received_ == limit_) return finish();
  watch_silence();
}

void Subscription::State::on_reply(Result<Message> reply, bool last, bool null_ends) {
  if (!reply.ok()) {
    // Silence is how the answers of several end.
    const bool silence = reply.error().code.number == 408;
    return finish(silence ? std::nullopt : std::optional<Error>(reply.error()));
  }
  bool end_mark = false;
  if (null_ends && last) {
    const Result<Value> answer = reply->data.decode();
    end_mark = answer.ok() && answer->is_null();
  }
  if (!end_mark) on_message(std::move(*reply));
  if (last) finish();
}

RequestOptions many_options(const RequestManySettings& settings, bool null_ends) {
  RequestOptions options;
  options.max_wait_ms = settings.max_wait.count();
  options.wait_for_interest = settings.wait_for_interest;
  options.many = true;
  options.max_messages = settings.max_messages;
  options.null_ends = null_ends;
  return options;
}

void Subscription::State::finish(std::optional<Error> error) {
  silence_.cancel();
  queue->finish(std::move(error));
  if (const auto give_up = std::exchange(give_up_, {})) give_up();
}

void Subscription::State::watch_silence() {
  if (max_wait_.count() <= 0) return;
  silence_.expires_after(max_wait_);  // cancels the wait before
  silence_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!error && self) self->finish();
  });
}

Subscription::Subscription(std::shared_ptr<State> state) : state_(std::move(state)) {}

Subscription::~Subscription() {
  if (state_) close();
}

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  if (state_) close();
  state_ = std::move(other.state_);
  return *this;
}

void Subscription::close() { drain(); }

std::vector<Message> Subscription::drain() {
  std::vector<Message> rest = state_->queue->drain();
  state_->finish();
  return rest;
}

bool Subscription::ended() const { return state_->queue->ended(); }
const std::optional<Error>& Subscription::error() const { return state_->queue->error(); }
std::size_t Subscription::buffered() const { return state_->queue->size(); }
const std::string& Subscription::subject() const { return state_->subject; }
asio::io_context& Subscription::loop() const { return state_->queue->loop(); }
const std::shared_ptr<Subscription::Queue>& Subscription::queue() const { return state_->queue; }

}  // namespace conat::native
