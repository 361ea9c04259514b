// clang-format off
#include <utility>
// clang-format on

#include "auth/chain.hpp"

#include <boost/asio/io_context.hpp>

#include "auth/cookies.hpp"

namespace conat::auth {
namespace {

constexpr std::string_view kSystemCookie = "sys";
constexpr const char* kSystemHub = "system";

Outcome system_account() {
  Authenticated system;
  system.user.set("hub_id", kSystemHub);
  return system;
}

bool is_same_secret(std::string_view a, std::string_view b) {
  // Of the digests, so that not even the lengths matter.
  return equal_in_constant_time(sha256(as_bytes(a)), sha256(as_bytes(b)));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Clients encode as in addresses what a cookie cannot carry: spaces, semicolons.
std::string percent_decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      result.push_back(text[i]);
    } else {
      result.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return result;
}

Error wrong_password() { return refused("wrong name or password"); }

}  // namespace

Chain::Chain(ChainOptions options) : options_(std::move(options)) {}
Chain::~Chain() = default;

Result<std::shared_ptr<Chain>> Chain::open(boost::asio::io_context& context, ChainOptions options) {
  const std::shared_ptr<Chain> chain(new Chain(std::move(options)));
  const ChainOptions& chosen = chain->options_;
  if (chosen.jwt) {
    auto verifier = JwtVerifier::open(*chosen.jwt);
    if (!verifier) return verifier.error();
    chain->jwt_ = std::move(*verifier);
  }
  if (chosen.http) {
    auto service = HttpCallback::open(context, *chosen.http);
    if (!service) return service.error();
    chain->http_ = std::move(*service);
  }
  if (Status status = chain->load_users(); !status) return status.error();
  chain->passwords_ = std::make_unique<PasswordChecker>();
  return chain;
}

// ---- files ----

std::shared_ptr<const Users> Chain::users() const {
  const std::lock_guard lock(users_mutex_);
  return users_;
}

Status Chain::load_users() {
  users_stamp_ = stamp_of(options_.users_file);
  auto users = std::make_shared<Users>();
  if (!options_.users_file.empty()) {
    Result<Users> loaded = Users::load(options_.users_file);
    if (!loaded) return loaded.error();
    *users = std::move(*loaded);
  }
  for (const User& user : options_.users) {
    if (Status status = users->add(user); !status) return status;
  }
  const std::lock_guard lock(users_mutex_);
  users_ = std::move(users);
  return Nothing{};
}

Status Chain::reload() {
  const std::lock_guard lock(reload_mutex_);
  Status users = load_users();
  Status keys = jwt_ == nullptr ? Status(Nothing{}) : jwt_->reload();
  return users ? keys : users;
}

Result<bool> Chain::reload_if_changed() {
  const std::lock_guard lock(reload_mutex_);
  bool changed = false;
  Status users = Nothing{};
  if (!options_.users_file.empty() && !(stamp_of(options_.users_file) == users_stamp_)) {
    users = load_users();
    changed = true;
  }
  Result<bool> keys = jwt_ == nullptr ? Result<bool>(false) : jwt_->reload_if_changed();
  if (!users) return users.error();
  if (!keys) return keys.error();
  return changed || *keys;
}

std::vector<FileStamp> Chain::stamps() const {
  std::vector<FileStamp> stamps;
  if (jwt_ != nullptr) stamps = jwt_->stamps();
  if (!options_.users_file.empty()) stamps.push_back(stamp_of(options_.users_file));
  return stamps;
}

bool Chain::holds(const Grant& grant) const {
  switch (grant.kind) {
    case Grant::Kind::user:
      return users()->holds(grant);
    case Grant::Kind::key:
      return jwt_ != nullptr && jwt_->has_key(grant.basis);
  }
  return false;
}

void Chain::close() {
  if (http_ != nullptr) http_->close();
}

// ---- who it is ----

void Chain::authenticate(const Request& request, UnixMs now, Done done) {
  if (!options_.system_password.empty()) {
    if (const auto password = find_cookie(request, kSystemCookie)) {
      const bool right = is_same_secret(*password, options_.system_password) ||
                         is_same_secret(percent_decoded(*password), options_.system_password);
      return done(right ? system_account() : refused("wrong system password"));
    }
  }
  Result<Credentials> shown = find_credentials(request, options_.token_cookies);
  if (!shown) return done(shown.error());
  switch (shown->kind) {
    case Credentials::Kind::token:
      return with_token(*shown, request, now, std::move(done));
    case Credentials::Kind::password:
      return with_password(std::move(*shown), request, std::move(done));
    case Credentials::Kind::none:
      return without_credentials(request, std::move(done));
  }
}

void Chain::with_token(const Credentials& shown, const Request& request, UnixMs now, Done done) {
  if (const auto known = users(); const User* user = known->with_token(shown.token)) {
    Authenticated identity = user->identity;
    identity.grant = Users::grant_of_token(*user, sha256(as_bytes(shown.token)));
    return done(std::move(identity));
  }
  if (jwt_ != nullptr && JwtVerifier::looks_like_token(shown.token)) {
    return done(jwt_->verify(shown.token, now));
  }
  if (http_ != nullptr) return http_->ask(request, std::move(done));
  done(refused("unknown token"));
}

void Chain::with_password(Credentials shown, const Request& request, Done done) {
  const auto known = users();
  const User* user = known->with_name(shown.name);
  if (user == nullptr && http_ != nullptr) return http_->ask(request, std::move(done));
  if (!known->has_passwords()) return done(wrong_password());
  const bool has_password = user != nullptr && user->password;
  const PasswordHash& hash = has_password ? *user->password : known->decoy();
  auto finish = [known, user, has_password, done = std::move(done)](PasswordVerdict verdict) {
    if (verdict == PasswordVerdict::busy) {
      return done(unavailable("authentication is busy: too many passwords at the same time"));
    }
    if (verdict == PasswordVerdict::wrong || !has_password) return done(wrong_password());
    Authenticated identity = user->identity;
    identity.grant = Users::grant_of_password(*user);
    done(std::move(identity));
  };
  passwords_->check(std::move(shown.password), hash, std::move(finish));
}

void Chain::without_credentials(const Request& request, Done done) {
  const auto nobody = [](const std::optional<Authenticated>& anonymous) -> Outcome {
    if (anonymous) return *anonymous;
    return refused("no credentials");
  };
  if (http_ == nullptr) return done(nobody(options_.anonymous));
  if (!options_.anonymous) return http_->ask(request, std::move(done));
  http_->ask(request, [self = shared_from_this(), done = std::move(done)](Outcome outcome) {
    const bool is_stranger = !outcome && outcome.error().code.number == 401;
    if (is_stranger) return done(*self->options_.anonymous);
    done(std::move(outcome));
  });
}

}  // namespace conat::auth
