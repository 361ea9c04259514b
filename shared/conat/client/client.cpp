#include "conat/client/client.hpp"

#include <utility>

#include "conat/client/client_impl.hpp"

namespace conat {

Client::Client(ClientOptions options, Random random)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(random))) {}
Client::~Client() = default;

void Client::connect(TimeMs now) { impl_->connect(now); }
void Client::disconnect(TimeMs now) { impl_->disconnect(now); }
void Client::close(TimeMs) { impl_->close(); }
void Client::set_auth(Value auth) { impl_->options_.auth = std::move(auth); }
void Client::renew_auth(TimeMs now, Value auth) { impl_->renew_auth(now, std::move(auth)); }
void Client::renewal_failed(TimeMs now) { impl_->renewal_failed(now); }
void Client::wake(TimeMs now) { impl_->wake(now); }
void Client::drop_transport(TimeMs now) { impl_->drop_transport(now); }

void Client::on_transport_open(TimeMs now) { impl_->on_transport_open(now); }
void Client::on_transport_message(TimeMs now, bool binary, ByteView message) {
  impl_->on_transport_message(now, binary, message);
}
void Client::on_transport_closed(TimeMs now) { impl_->on_transport_closed(now); }
void Client::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> Client::deadline() const { return impl_->deadline(); }

Result<SubscriptionId> Client::subscribe(TimeMs now, Owner owner, std::string_view pattern,
                                         const SubscribeOptions& options) {
  return impl_->subscribe(now, owner, pattern, options);
}
void Client::unsubscribe(TimeMs now, SubscriptionId subscription) {
  impl_->unsubscribe(now, subscription);
}
Result<CallId> Client::publish(TimeMs now, Owner owner, std::string_view subject,
                               MessageData message, const PublishOptions& options) {
  return impl_->publish(now, owner, subject, std::move(message), options);
}
Result<std::size_t> Client::publish_now(TimeMs now, std::string_view subject,
                                        const MessageData& message) {
  return impl_->publish_now(now, subject, message);
}
Result<CallId> Client::request(TimeMs now, Owner owner, std::string_view subject,
                               MessageData message, const RequestOptions& options) {
  return impl_->request(now, owner, subject, std::move(message), options);
}
void Client::cancel(CallId call) { impl_->calls().cancel(call); }
Result<CallId> Client::wait_for_interest(TimeMs now, Owner owner, std::string_view subject,
                                         std::int64_t timeout_ms) {
  return impl_->wait_for_interest(now, owner, subject, timeout_ms);
}
Result<CallId> Client::ask_server(TimeMs now, Owner owner, ServerQuestion question,
                                  std::int64_t timeout_ms) {
  return impl_->ask_server(now, owner, question, timeout_ms);
}
void Client::sync_subscriptions(TimeMs now) { impl_->sync_subscriptions(now); }

ClientState Client::state() const { return impl_->state_; }
bool Client::signed_in() const { return impl_->signed_in_; }
const std::string& Client::id() const { return impl_->id_; }
std::string_view Client::socket_id() const { return impl_->socket_id(); }
const Bytes& Client::info() const { return impl_->info_; }
const std::string& Client::inbox() const { return impl_->inbox_; }
bool Client::inbox_ready() const {
  return impl_->subscriptions().inbox().state ==
         client_parts::SubscriptionTable::ServerState::confirmed;
}
const std::optional<Error>& Client::inbox_error() const {
  return impl_->subscriptions().inbox_error();
}
std::size_t Client::subscription_count() const { return impl_->subscriptions().count(); }
std::string_view Client::queue(SubscriptionId subscription) const {
  const auto* entry = impl_->subscriptions().find(subscription);
  return entry == nullptr ? std::string_view() : std::string_view(entry->queue);
}
const ClientStatistics& Client::statistics() const { return impl_->statistics(); }

bool Client::next(ClientEffect& effect) { return impl_->effects_.pop(effect); }

}  // namespace conat
