// clang-format off
#include <utility>
// clang-format on

#include "auth/http_callback.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>

#include "auth/cookies.hpp"
#include "auth/user_claims.hpp"
#include "conat/wire/codec.hpp"

namespace conat::auth {
namespace {

constexpr std::size_t kMaxErrorBytes = 1000;
// Times before this are seconds by mistake: 1973 in ms, but the year 5138 in s.
constexpr double kEarliestMs = 1e11;

template <class Duration>
std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}
TimeMs steady_now() { return in_ms(std::chrono::steady_clock::now().time_since_epoch()); }
UnixMs wall_now() { return in_ms(std::chrono::system_clock::now().time_since_epoch()); }

bool concerns_only_websocket(std::string_view name) {
  constexpr std::string_view prefix = "sec-websocket-";
  return name == "connection" || name == "upgrade" || name.substr(0, prefix.size()) == prefix;
}

Outcome malformed(const std::string& why) {
  return unavailable("authentication service's answer is malformed: " + why);
}

// {error, code?}: the service's own words for the client.
std::optional<Error> refusal_of(const Value& answer) {
  const Value* text = answer.find("error");
  if (text == nullptr || text->is_null() || text->if_bool() != nullptr) return std::nullopt;
  ErrorCode code{401, {}};
  if (const Value* given = answer.find("code")) {
    const std::int64_t number = given->integer_or(0);
    if (number > 0 && number < 100'000) code = {static_cast<int>(number), {}};
    if (given->if_text() != nullptr) code = {0, given->if_text()->substr(0, kMaxErrorBytes)};
  }
  const std::string message =
      text->if_text() == nullptr ? "authentication failed" : *text->if_text();
  return Error(code, message.substr(0, kMaxErrorBytes));
}

Outcome read_user_answer(const Value& answer, UnixMs now) {
  const Value* user_object = answer.find("user");
  if (user_object == nullptr || user_object->if_map() == nullptr) {
    return malformed("neither user nor error");
  }
  Authenticated result;
  Result<Value> user = read_user(*user_object);
  if (!user) return malformed("user: " + user.error().text);
  Result<Rights> rights = read_rights(answer);
  if (!rights) return malformed(rights.error().text);
  result.user = std::move(*user);
  result.rights = std::move(*rights);
  const Value* expires = answer.find("expires");
  if (expires != nullptr && !expires->is_null()) {
    const double time = expires->number_or(-1);
    if (!(time >= kEarliestMs)) return malformed("expires must be in ms since 1970");
    result.expires_at = static_cast<UnixMs>(std::min(time, kLastUnixMs));
    if (*result.expires_at <= now) return refused("expired");
  }
  return result;
}

bool is_failure(const Outcome& outcome) { return !outcome && outcome.error().code.number == 503; }

// Whether an answer from before still holds.
bool holds(const Outcome& outcome, UnixMs now) {
  return !outcome || !outcome->expires_at || *outcome->expires_at > now;
}

}  // namespace

// ---- what goes out and what comes back ----

std::string HttpCallback::question(const Request& request) {
  Value::Map headers;
  for (const auto& [name, value] : request.headers) {
    const std::string key = lower_case(name);
    if (concerns_only_websocket(key)) continue;
    const auto same = std::find_if(headers.begin(), headers.end(),
                                   [&](const auto& entry) { return entry.first == key; });
    if (same == headers.end()) {
      headers.emplace_back(key, value);
    } else {
      same->second = std::string(same->second.text_or({})) + ", " + value;
    }
  }
  Value::Map cookies;
  for (auto& cookie : read_cookies(request)) {
    const bool known = std::any_of(cookies.begin(), cookies.end(),
                                   [&](const auto& entry) { return entry.first == cookie.first; });
    if (!known) cookies.emplace_back(std::move(cookie.first), std::move(cookie.second));
  }
  Value body;
  body.set("address", request.address);
  body.set("headers", std::move(headers));
  body.set("cookies", std::move(cookies));
  body.set("auth", request.auth);
  return encode_json(body);
}

Outcome HttpCallback::read_answer(unsigned status, std::string_view body, UnixMs now) {
  const bool refuses = status == 401 || status == 403;
  if (status != 200 && !refuses) {
    return unavailable("authentication service answered HTTP " + std::to_string(status));
  }
  const Result<Value> answer = decode_json(body);
  if (answer && answer->if_map() != nullptr) {
    if (auto error = refusal_of(*answer)) return std::move(*error);
  }
  if (refuses) return Error(ErrorCode{static_cast<int>(status), {}}, "authentication failed");
  if (!answer || answer->if_map() == nullptr) return malformed("no JSON object");
  return read_user_answer(*answer, now);
}

const char* http_callback_failure_text(HttpCallbackFailure failure) {
  switch (failure) {
    case HttpCallbackFailure::timeout:
      return "timeout";
    case HttpCallbackFailure::unreachable:
      return "unreachable";
    case HttpCallbackFailure::answer:
      return "answer";
    case HttpCallbackFailure::busy:
      return "busy";
    case HttpCallbackFailure::closed:
      return "closed";
  }
  return "";
}

// ---- asking ----

Result<std::shared_ptr<HttpCallback>> HttpCallback::open(boost::asio::io_context& context,
                                                         HttpCallbackOptions options) {
  Result<HttpAddress> address = parse_http_address(options.url);
  if (!address) return address.error();
  HttpEndpoint endpoint;
  endpoint.address = std::move(*address);
  endpoint.headers = options.headers;
  endpoint.ca_file = options.ca_file;
  endpoint.max_answer_bytes = options.max_answer_bytes;
  auto connector = make_http_connector(context, std::move(endpoint));
  if (!connector) return connector.error();
  HttpPool::Limits limits;
  limits.max_connections = options.max_connections;
  limits.max_waiting = options.max_waiting;
  limits.timeout_ms = options.timeout_ms;
  auto pool = std::make_shared<HttpPool>(context, std::move(*connector), limits);
  return std::shared_ptr<HttpCallback>(
      new HttpCallback(context, std::move(options), std::move(pool)));
}

HttpCallback::HttpCallback(boost::asio::io_context& context, HttpCallbackOptions options,
                           std::shared_ptr<HttpPool> pool)
    : context_(context),
      options_(std::move(options)),
      pool_(std::move(pool)),
      cache_(options_.max_cached, options_.cache_ttl_ms) {}

void HttpCallback::ask(const Request& request, Done done) {
  asked_.fetch_add(1, std::memory_order_relaxed);
  boost::asio::post(context_, [self = shared_from_this(), text = question(request),
                               done = std::move(done)]() mutable {
    self->look_up(std::move(text), std::move(done));
  });
}

void HttpCallback::look_up(std::string text, Done done) {
  const Digest key = sha256(as_bytes(text));
  const Outcome* known = cache_.find(steady_now(), key);
  if (known != nullptr && holds(*known, wall_now())) {
    cached_.fetch_add(1, std::memory_order_relaxed);
    return done(*known);
  }
  if (waiting_ >= options_.max_waiting) {
    count_failures(HttpCallbackFailure::busy, 1);
    return done(unavailable("authentication service is busy: too many sign-ins at the same time"));
  }
  ++waiting_;
  std::vector<Done>& others = asking_[key];
  others.push_back(std::move(done));
  if (others.size() > 1) return;
  sent_.fetch_add(1, std::memory_order_relaxed);
  pool_->post(std::move(text), [self = shared_from_this(), key](HttpPool::Reply reply) {
    self->on_reply(key, std::move(reply));
  });
}

void HttpCallback::on_reply(const Digest& key, HttpPool::Reply reply) {
  using Kind = HttpPool::Reply::Kind;
  Outcome outcome = unavailable("authentication service is not available");
  HttpCallbackFailure why = HttpCallbackFailure::answer;
  switch (reply.kind) {
    case Kind::answer:
      outcome = read_answer(reply.answer.status, reply.answer.body, wall_now());
      break;
    case Kind::timeout:
      why = HttpCallbackFailure::timeout;
      outcome = unavailable("authentication service did not answer in " +
                            std::to_string(options_.timeout_ms) + " ms");
      break;
    case Kind::busy:
      why = HttpCallbackFailure::busy;
      outcome = unavailable("authentication service is busy: too many sign-ins at the same time");
      break;
    case Kind::failed:
      why = HttpCallbackFailure::unreachable;
      outcome = unavailable("authentication service failed: " + reply.failure);
      break;
    case Kind::closed:
      why = HttpCallbackFailure::closed;
      break;
  }
  const auto found = asking_.find(key);
  const std::vector<Done> waiting = std::move(found->second);
  asking_.erase(found);
  waiting_ -= waiting.size();
  if (is_failure(outcome)) {
    count_failures(why, waiting.size());
  } else {
    cache_.put(steady_now(), key, outcome);
  }
  for (const Done& done : waiting) done(outcome);
}

void HttpCallback::count_failures(HttpCallbackFailure why, std::size_t clients) {
  failed_[static_cast<std::size_t>(why)].fetch_add(clients, std::memory_order_relaxed);
}

void HttpCallback::close() { pool_->close(); }

HttpCallbackCounters HttpCallback::counters() const {
  HttpCallbackCounters counters;
  counters.asked = asked_.load(std::memory_order_relaxed);
  counters.sent = sent_.load(std::memory_order_relaxed);
  counters.cached = cached_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < failed_.size(); ++i) {
    counters.failed[i] = failed_[i].load(std::memory_order_relaxed);
  }
  return counters;
}

}  // namespace conat::auth
