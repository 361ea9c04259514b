#include "fabric_handle.hpp"

#include <algorithm>
#include <utility>

namespace conat {
namespace {

// Where a batch of effects ends, so that one burst does not fill the memory twice.
constexpr std::size_t batch_bytes = 128u << 10;
// A window that one large payload has made larger than this is given back at the next small one.
constexpr std::size_t keep_window_bytes = 1u << 20;
constexpr std::size_t min_window_bytes = 16u << 10;

std::uint32_t address_of(const Bytes& bytes) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(bytes.data()));
}

PayloadEncoding payload_encoding(std::uint32_t number) {
  return static_cast<PayloadEncoding>(number);
}

ClientOptions client_options(const std::string& inbox_prefix, bool text_packets, bool reconnection,
                             double delay_ms, double delay_max_ms, double factor, bool renew_auth) {
  ClientOptions options;
  options.inbox_prefix = inbox_prefix;
  options.encoding = text_packets ? PacketEncoding::text : PacketEncoding::msgpack;
  options.reconnection = reconnection;
  options.reconnection_delay_ms = milliseconds(delay_ms);
  options.reconnection_delay_max_ms = milliseconds(delay_max_ms);
  options.randomization_factor = factor;
  options.renew_auth = renew_auth;
  return options;
}

Random random_from(const std::string& bytes) {
  Random::Seed seed{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), seed.size()), seed.begin());
  return Random(seed);
}

bool ends_batch(const FabricEffect& effect) {
  const auto* dkv = std::get_if<DkvEffect>(&effect);
  return dkv != nullptr && std::holds_alternative<dkv_effect::MergeNeeded>(*dkv);
}

}  // namespace

FabricHandle::FabricHandle(const std::string& inbox_prefix, bool text_packets, bool reconnection,
                           double reconnection_delay_ms, double reconnection_delay_max_ms,
                           double randomization_factor, bool renew_auth, const std::string& seed)
    : fabric_(client_options(inbox_prefix, text_packets, reconnection, reconnection_delay_ms,
                             reconnection_delay_max_ms, randomization_factor, renew_auth),
              random_from(seed)) {}

// ---- memory ----

std::uint32_t FabricHandle::reserve(std::uint32_t size) {
  const std::size_t wanted = std::max<std::size_t>(size, min_window_bytes);
  if (window_.size() > keep_window_bytes && wanted <= keep_window_bytes) window_ = Bytes();
  if (window_.size() < wanted) {
    window_ = Bytes();  // nothing in it is needed any more: do not copy it
    window_.resize(wanted);
  }
  window_used_ = 0;
  return address_of(window_);
}

std::uint32_t FabricHandle::drain(double now) {
  outbox_.clear();
  FabricEffect effect = ClientEffect{client_effect::OpenTransport{}};
  while (outbox_.size() < batch_bytes && fabric_.next(milliseconds(now), effect)) {
    const bool last = ends_batch(effect);
    outbox_.add(std::move(effect));
    if (last) break;
  }
  return static_cast<std::uint32_t>(outbox_.size());
}

std::uint32_t FabricHandle::address() const {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(this));
}

std::uint32_t FabricHandle::outbox() const { return address_of(outbox_.bytes()); }
std::uint32_t FabricHandle::result() const { return address_of(result_.bytes()); }

ByteView FabricHandle::take(std::uint32_t length) {
  const std::size_t left = window_.size() - window_used_;
  const std::size_t taken = std::min<std::size_t>(length, left);
  const ByteView part(window_.data() + window_used_, taken);
  window_used_ += taken;
  return part;
}

MessageData FabricHandle::take_data(std::uint32_t headers_length, std::uint32_t raw_length,
                                    std::uint32_t encoding) {
  MessageData data;
  data.encoding = payload_encoding(encoding);
  data.headers = Headers(to_bytes(take(headers_length)));
  data.raw = to_bytes(take(raw_length));
  return data;
}

Value FabricHandle::take_value(std::uint32_t length) {
  if (length == 0) return {};
  Result<Value> decoded = decode_msgpack(take(length));
  return decoded ? std::move(*decoded) : Value();
}

Answer FabricHandle::answer(const Status& status) {
  if (status) return 0;
  error_ = status.error();
  return failed;
}

// ---- lifecycle and transport ----

void FabricHandle::connect(double now) { fabric_.client().connect(milliseconds(now)); }
void FabricHandle::disconnect(double now) { fabric_.client().disconnect(milliseconds(now)); }
void FabricHandle::close(double now) { fabric_.client().close(milliseconds(now)); }
void FabricHandle::wake(double now) { fabric_.client().wake(milliseconds(now)); }

void FabricHandle::set_auth(std::uint32_t length) {
  window_used_ = 0;
  fabric_.client().set_auth(take_value(length));
}

void FabricHandle::renew_auth(double now, std::uint32_t length) {
  window_used_ = 0;
  fabric_.client().renew_auth(milliseconds(now), take_value(length));
}

void FabricHandle::renewal_failed(double now) {
  fabric_.client().renewal_failed(milliseconds(now));
}

void FabricHandle::on_transport_open(double now) {
  fabric_.client().on_transport_open(milliseconds(now));
}

void FabricHandle::on_transport_message(double now, bool binary, std::uint32_t length) {
  window_used_ = 0;
  fabric_.client().on_transport_message(milliseconds(now), binary, take(length));
}

void FabricHandle::on_transport_closed(double now) {
  fabric_.client().on_transport_closed(milliseconds(now));
}

void FabricHandle::drop_transport(double now) {
  fabric_.client().drop_transport(milliseconds(now));
}

void FabricHandle::on_time(double now) { fabric_.on_time(milliseconds(now)); }

double FabricHandle::deadline() const {
  const std::optional<TimeMs> deadline = fabric_.deadline();
  return deadline ? std::max(0.0, static_cast<double>(*deadline)) : -1;
}

// ---- messaging ----

Answer FabricHandle::subscribe(double now, const std::string& pattern, const std::string& queue,
                               double timeout_ms) {
  SubscribeOptions options;
  options.queue = queue;
  options.timeout_ms = milliseconds(timeout_ms);
  return answer(fabric_.client().subscribe(milliseconds(now), owner, pattern, options));
}

void FabricHandle::unsubscribe(double now, std::uint32_t subscription) {
  fabric_.client().unsubscribe(milliseconds(now), subscription);
}

Answer FabricHandle::publish(double now, std::uint32_t subject_length, std::uint32_t headers_length,
                             std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                             bool wait_for_interest) {
  window_used_ = 0;
  const std::string_view subject = take_text(subject_length);
  PublishOptions options;
  options.timeout_ms = milliseconds(timeout_ms);
  options.wait_for_interest = wait_for_interest;
  return answer(fabric_.client().publish(milliseconds(now), owner, subject,
                                         take_data(headers_length, raw_length, encoding), options));
}

Answer FabricHandle::publish_now(double now, std::uint32_t subject_length,
                                 std::uint32_t headers_length, std::uint32_t raw_length,
                                 std::uint32_t encoding) {
  window_used_ = 0;
  const std::string_view subject = take_text(subject_length);
  return answer(fabric_.client().publish_now(milliseconds(now), subject,
                                             take_data(headers_length, raw_length, encoding)));
}

Answer FabricHandle::request(double now, std::uint32_t subject_length, std::uint32_t headers_length,
                             std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                             bool wait_for_interest, bool many, double max_wait_ms,
                             std::uint32_t max_messages, bool null_ends) {
  window_used_ = 0;
  const std::string_view subject = take_text(subject_length);
  RequestOptions options;
  options.timeout_ms = milliseconds(timeout_ms);
  options.wait_for_interest = wait_for_interest;
  options.many = many;
  options.max_wait_ms = milliseconds(max_wait_ms);
  options.max_messages = max_messages;
  options.null_ends = null_ends;
  return answer(fabric_.client().request(milliseconds(now), owner, subject,
                                         take_data(headers_length, raw_length, encoding), options));
}

void FabricHandle::cancel(double call) { fabric_.client().cancel(static_cast<CallId>(call)); }

Answer FabricHandle::wait_for_interest(double now, const std::string& subject, double timeout_ms) {
  return answer(fabric_.client().wait_for_interest(milliseconds(now), owner, subject,
                                                   milliseconds(timeout_ms)));
}

Answer FabricHandle::ask_server(double now, std::uint32_t question, double timeout_ms) {
  return answer(fabric_.client().ask_server(
      milliseconds(now), owner, static_cast<ServerQuestion>(question), milliseconds(timeout_ms)));
}

Answer FabricHandle::inbox_ready() {
  const Client& client = fabric_.client();
  if (!client.inbox_error()) return client.inbox_ready() ? 1 : 0;
  error_ = *client.inbox_error();
  return failed;
}

void FabricHandle::sync_subscriptions(double now) {
  fabric_.client().sync_subscriptions(milliseconds(now));
}

std::string FabricHandle::queue(std::uint32_t subscription) const {
  return std::string(fabric_.client().queue(subscription));
}

std::uint32_t FabricHandle::subscription_count() const {
  return static_cast<std::uint32_t>(fabric_.client().subscription_count());
}

Answer FabricHandle::statistics() {
  const ClientStatistics& statistics = fabric_.client().statistics();
  result_.clear();
  result_.f64(static_cast<double>(statistics.sent.messages));
  result_.f64(static_cast<double>(statistics.sent.bytes));
  result_.f64(static_cast<double>(statistics.received.messages));
  result_.f64(static_cast<double>(statistics.received.bytes));
  result_.f64(static_cast<double>(statistics.subscriptions));
  return answer_with_result();
}

}  // namespace conat
