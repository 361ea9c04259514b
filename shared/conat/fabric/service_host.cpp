#include "conat/fabric/service_host.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace conat {
namespace {

// Subscribing again after the broker has refused it.
constexpr std::int64_t kRetryMs = 1000;

std::string error_text(const Error& error) {
  constexpr std::string_view kPrefix = "Error: ";
  const bool prefixed = std::string_view(error.text).substr(0, kPrefix.size()) == kPrefix;
  return prefixed ? error.text : std::string(kPrefix) + error.text;
}

MessageData error_message(const Error& error) {
  Value headers;
  headers.set("error", error_text(error));
  if (error.code.number != 0) {
    headers.set("code", error.code.number);
  } else if (!error.code.word.empty()) {
    headers.set("code", error.code.word);
  }
  return MessageData::of(Value(), Headers(headers));
}

}  // namespace

class ServiceHost::Impl {
 public:
  Impl(std::vector<ServiceSubject> subjects, ClientOptions client_options, Random random)
      : client_(std::move(client_options), std::move(random)) {
    for (auto& subject : subjects) subscriptions_.push_back({std::move(subject), 0, false, {}});
  }

  void start(TimeMs now) {
    client_.connect(now);
    for (auto& subscription : subscriptions_) subscribe(now, subscription);
  }

  bool ready() const {
    return client_.signed_in() &&
           std::all_of(subscriptions_.begin(), subscriptions_.end(),
                       [](const Subscription& each) { return each.confirmed; });
  }

  Client& client() { return client_; }

  void answer(TimeMs now, std::uint64_t call, const Result<Value>& result) {
    const auto found = calls_.find(call);
    if (found == calls_.end()) return;
    const std::string reply = std::move(found->second);
    calls_.erase(found);
    respond(now, reply, result ? MessageData::of(*result) : error_message(result.error()));
  }

  void on_time(TimeMs now) {
    client_.on_time(now);
    for (auto& subscription : subscriptions_) {
      if (subscription.retry_at && *subscription.retry_at <= now) subscribe(now, subscription);
    }
  }

  std::optional<TimeMs> deadline() const {
    std::optional<TimeMs> first = client_.deadline();
    for (const auto& subscription : subscriptions_) first = earlier(first, subscription.retry_at);
    return first;
  }

  bool next(TimeMs now, ServiceHostEffect& effect) {
    ClientEffect from_client;
    while (client_.next(from_client)) {
      if (auto* arrived = std::get_if<client_effect::MessageArrived>(&from_client)) {
        ServiceCall call;
        if (!read_call(now, *arrived, call)) continue;
        effect = std::move(call);
        return true;
      }
      if (auto* done = std::get_if<client_effect::SubscribeDone>(&from_client)) {
        on_subscribed(now, done->subscription, !done->error);
      } else if (auto* ended = std::get_if<client_effect::SubscriptionEnded>(&from_client)) {
        on_subscribed(now, ended->subscription, false);
      } else if (is_transport(from_client)) {
        effect = std::move(from_client);
        return true;
      }
    }
    return false;
  }

 private:
  struct Subscription {
    ServiceSubject subject;
    SubscriptionId id = 0;
    bool confirmed = false;
    std::optional<TimeMs> retry_at;
  };

  static bool is_transport(const ClientEffect& effect) {
    return std::holds_alternative<client_effect::OpenTransport>(effect) ||
           std::holds_alternative<client_effect::SendMessages>(effect) ||
           std::holds_alternative<client_effect::CloseTransport>(effect);
  }

  void subscribe(TimeMs now, Subscription& subscription) {
    SubscribeOptions options;
    options.queue = subscription.subject.queue;
    options.timeout_ms = 0;
    const Owner owner{Layer::service, 1};
    const auto id = client_.subscribe(now, owner, subscription.subject.subject, options);
    subscription.id = id ? *id : 0;
    subscription.retry_at.reset();
    if (!id && client_.state() != ClientState::closed) subscription.retry_at = now + kRetryMs;
  }

  void on_subscribed(TimeMs now, SubscriptionId id, bool confirmed) {
    for (auto& subscription : subscriptions_) {
      if (subscription.id != id) continue;
      subscription.confirmed = confirmed;
      if (confirmed) continue;
      subscription.id = 0;
      subscription.retry_at = now + kRetryMs;
    }
  }

  // False when it was answered here, or is no request.
  bool read_call(TimeMs now, const client_effect::MessageArrived& arrived, ServiceCall& call) {
    const std::string reply(arrived.message.reply_subject());
    if (reply.empty()) return false;
    for (std::size_t i = 0; i < subscriptions_.size(); ++i) {
      if (subscriptions_[i].id == arrived.subscription) call.subject = i;
    }
    const Result<Value> request = arrived.message.data.decode();
    const Value::Array* parts = request ? request->if_array() : nullptr;
    const std::string* name = parts && !parts->empty() ? parts->front().if_text() : nullptr;
    if (name == nullptr) {
      respond(now, reply, error_message(Error(ErrorKind::bad_request, "malformed request")));
      return false;
    }
    if (calls_.size() >= max_open_calls) {
      respond(now, reply, error_message(Error(ErrorKind::limit_reached, "too many requests")));
      return false;
    }
    call.name = *name;
    const Value::Array* arguments = parts->size() > 1 ? (*parts)[1].if_array() : nullptr;
    if (arguments != nullptr) call.arguments = *arguments;
    call.id = ++last_call_;
    calls_.emplace(call.id, reply);
    return true;
  }

  void respond(TimeMs now, std::string_view reply, MessageData message) {
    (void)client_.publish(now, Owner{Layer::service, 2}, reply, std::move(message));
  }

  Client client_;
  std::vector<Subscription> subscriptions_;
  std::uint64_t last_call_ = 0;
  std::unordered_map<std::uint64_t, std::string> calls_;  // reply subjects by call
};

// ---- the interface ----

ServiceHost::ServiceHost(std::vector<ServiceSubject> subjects, ClientOptions client_options,
                         Random random)
    : impl_(std::make_unique<Impl>(std::move(subjects), std::move(client_options),
                                   std::move(random))) {}
ServiceHost::~ServiceHost() = default;

void ServiceHost::start(TimeMs now) { impl_->start(now); }
bool ServiceHost::ready() const { return impl_->ready(); }
Client& ServiceHost::client() { return impl_->client(); }
void ServiceHost::answer(TimeMs now, std::uint64_t call, const Result<Value>& result) {
  impl_->answer(now, call, result);
}
void ServiceHost::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> ServiceHost::deadline() const { return impl_->deadline(); }
bool ServiceHost::next(TimeMs now, ServiceHostEffect& effect) { return impl_->next(now, effect); }

}  // namespace conat
