#include "broker/authenticator.hpp"

#include <chrono>
#include <fstream>
#include <utility>

namespace conat::server {
namespace {

UnixMs wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<auth::KeyFile> key_files(const Options& options) {
  std::vector<auth::KeyFile> files;
  const auto add = [&](const std::vector<std::string>& paths, auth::KeyFileKind kind) {
    for (const std::string& path : paths) files.push_back({kind, path});
  };
  add(options.jwt_keys, auth::KeyFileKind::pem);
  add(options.jwt_secrets, auth::KeyFileKind::secret);
  add(options.jwks_files, auth::KeyFileKind::jwks);
  return files;
}

auth::JwtOptions jwt_options(const Options& options) {
  auth::JwtOptions jwt;
  jwt.key_files = key_files(options);
  jwt.claims.account_id = options.jwt_claim_account_id;
  jwt.claims.project_id = options.jwt_claim_project_id;
  jwt.claims.hub_id = options.jwt_claim_hub_id;
  jwt.claims.admin = options.jwt_claim_admin;
  jwt.claims.projects = options.jwt_claim_projects;
  jwt.require_expiry = !options.jwt_allow_no_expiry;
  jwt.clock_leeway_ms = options.jwt_leeway_ms;
  jwt.issuers = options.jwt_issuers;
  jwt.audiences = options.jwt_audiences;
  return jwt;
}

Result<auth::HttpCallbackOptions> service_options(const Options& options) {
  auth::HttpCallbackOptions service;
  service.url = options.auth_url;
  service.ca_file = options.auth_ca;
  service.timeout_ms = options.auth_timeout_ms;
  service.cache_ttl_ms = options.auth_cache_ms;
  if (!options.auth_secret_file.empty()) {
    std::ifstream file(options.auth_secret_file);
    std::string secret;
    if (!std::getline(file, secret) || secret.empty()) {
      return Error(ErrorKind::invalid_argument, "--auth-secret-file: cannot read a line from " +
                                                    options.auth_secret_file.string());
    }
    service.headers.emplace_back("Authorization", "Bearer " + secret);
  }
  return service;
}

Result<auth::ChainOptions> chain_options(const Options& options, const Identity& everybody) {
  auth::ChainOptions chain;
  chain.system_password = options.system_password;
  chain.users_file = options.users_file;
  if (options.jwt()) chain.jwt = jwt_options(options);
  if (!options.auth_url.empty()) {
    auto service = service_options(options);
    if (!service) return service.error();
    chain.http = std::move(*service);
  }
  chain.token_cookies = options.token_cookies;
  if (!everybody.user.is_null()) {
    chain.anonymous.emplace();
    chain.anonymous->user = everybody.user;
  }
  return chain;
}

}  // namespace

Result<std::unique_ptr<Authenticator>> Authenticator::open(const Options& options,
                                                           net::asio::io_context& context) {
  Identity everybody;
  everybody.rights.everything = true;
  if (!options.anonymous_user.empty()) {
    auto user = anonymous_user(options);
    if (!user) return user.error();
    everybody.user = std::move(*user);
  }
  std::unique_ptr<Authenticator> made(new Authenticator(std::move(everybody)));
  if (!options.authentication()) return made;
  auto configured = chain_options(options, made->everybody_);
  if (!configured) return configured.error();
  auto chain = auth::Chain::open(context, std::move(*configured));
  if (!chain) return chain.error();
  made->chain_ = std::move(*chain);
  return made;
}

Authenticator::~Authenticator() {
  if (chain_ != nullptr) chain_->close();
}

void Authenticator::identify(const auth::Request& request, Done done) {
  chain_->authenticate(request, wall_now(), std::move(done));
}

auth::HttpCallbackCounters Authenticator::service_counters() const {
  const auth::HttpCallback* service = chain_ == nullptr ? nullptr : chain_->service();
  return service == nullptr ? auth::HttpCallbackCounters() : service->counters();
}

Status Authenticator::reload() { return chain_ == nullptr ? Status(Nothing{}) : chain_->reload(); }

Result<bool> Authenticator::look_for_changes() {
  if (chain_ == nullptr) return false;
  std::vector<auth::FileStamp> stamps = chain_->stamps();
  const bool settled = stamps == seen_;
  seen_ = std::move(stamps);
  if (!settled) return false;
  return chain_->reload_if_changed();
}

bool Authenticator::holds(const std::optional<auth::Grant>& grant) const {
  return !grant || chain_->holds(*grant);
}

auth::OriginOptions origin_options(const Options& options) {
  auth::OriginOptions origins;
  origins.allowed = options.origins;
  origins.with_cookies = options.origins_with_cookies;
  origins.trust_forwarded = options.trust_forwarded;
  return origins;
}

Identity identity_of(const auth::Outcome& outcome, TimeMs now) {
  if (!outcome) {
    const Error& error = outcome.error();
    Identity refused = refusal(error.text, error.code.number);
    if (!error.code.word.empty()) refused.user.set("code", error.code.word);  // a service's own
    return refused;
  }
  Identity identity;
  identity.user = outcome->user;
  identity.rights = outcome->rights;
  if (outcome->expires_at) identity.expires_at = now + (*outcome->expires_at - wall_now());
  return identity;
}

}  // namespace conat::server
