#include "auth/jwt_verifier.hpp"

#include <algorithm>
#include <cmath>

#include "auth/encoding.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"

namespace conat::auth {
namespace {

// Nesting of claims; ours need two levels, an issuer may have claims of its own.
constexpr std::size_t kMaxDepth = 16;
constexpr double kMsPerSecond = 1000;

struct Parts {
  std::string_view header, payload, signature;
  std::string_view signed_text;  // the first two with their dot
};

std::optional<Parts> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  if (token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
               token.substr(second + 1), token.substr(0, second)};
}

// Whether two members of the object have the same name: readers disagree on which one counts.
bool has_duplicates(std::string_view object) {
  std::vector<std::string> names;
  JsonCursor cursor(object);
  cursor.skip_space();
  if (!cursor.take('{')) return false;
  do {
    cursor.skip_space();
    if (cursor.peek() != '"') break;
    const JsonText name = cursor.read_text();
    names.emplace_back();
    unescape_json(name.raw, names.back());
    cursor.skip_space();
    cursor.expect(':');
    cursor.skip();
    cursor.skip_space();
  } while (cursor.take(','));
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

// An object with every name once, or null.
Value read_object(std::string_view base64url) {
  const auto bytes = decode_base64url(base64url);
  if (!bytes) return {};
  const std::string_view text = as_text(*bytes);
  Result<Value> value = decode_json(text, kMaxDepth);
  if (!value || value->if_map() == nullptr || has_duplicates(text)) return {};
  return std::move(*value);
}

// A NumericDate, in ms; nullopt when it is none.
std::optional<UnixMs> date_of(const Value& value) {
  if (!value.is_number()) return std::nullopt;
  const double ms = value.number_or(0) * kMsPerSecond;
  if (!std::isfinite(ms) || ms < 0) return std::nullopt;
  return static_cast<UnixMs>(std::min(ms, kLastUnixMs));
}

bool is_one_of(const std::vector<std::string>& accepted, const Value& value) {
  const std::string* text = value.if_text();
  return text != nullptr && std::find(accepted.begin(), accepted.end(), *text) != accepted.end();
}

}  // namespace

Result<std::unique_ptr<JwtVerifier>> JwtVerifier::open(JwtOptions options) {
  if (options.key_files.empty()) {
    return Error(ErrorKind::invalid_argument, "no file with keys for tokens");
  }
  auto verifier = std::make_unique<JwtVerifier>(std::move(options), Keys{});
  if (Status status = verifier->reload(); !status) return status.error();
  return verifier;
}

JwtVerifier::JwtVerifier(JwtOptions options, std::vector<VerificationKey> keys)
    : options_(std::move(options)), keys_(std::make_shared<const Keys>(std::move(keys))) {}

// ---- keys ----

std::shared_ptr<const JwtVerifier::Keys> JwtVerifier::current_keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

Status JwtVerifier::reload() {
  const std::lock_guard lock(reload_mutex_);
  return load();
}

Result<bool> JwtVerifier::reload_if_changed() {
  const std::lock_guard lock(reload_mutex_);
  if (stamps() == stamps_) return false;
  if (Status status = load(); !status) return status.error();
  return true;
}

std::vector<FileStamp> JwtVerifier::stamps() const {
  std::vector<FileStamp> stamps;
  for (const KeyFile& file : options_.key_files) stamps.push_back(stamp_of(file.path));
  return stamps;
}

bool JwtVerifier::has_key(const Digest& fingerprint) const {
  const auto keys = current_keys();
  return std::any_of(keys->begin(), keys->end(),
                     [&](const VerificationKey& key) { return key.fingerprint() == fingerprint; });
}

Status JwtVerifier::load() {
  if (options_.key_files.empty()) return Nothing{};
  stamps_ = stamps();  // before reading: what changes meanwhile is read again
  Keys keys;
  for (const KeyFile& file : options_.key_files) {
    Result<Keys> loaded = load_key_file(file);
    if (!loaded) return loaded.error();
    for (VerificationKey& key : *loaded) keys.push_back(std::move(key));
  }
  if (keys.size() > max_keys) {
    return Error(ErrorKind::invalid_argument,
                 "more than " + std::to_string(max_keys) + " keys for tokens");
  }
  const std::lock_guard lock(keys_mutex_);
  keys_ = std::make_shared<const Keys>(std::move(keys));
  return Nothing{};
}

// ---- tokens ----

bool JwtVerifier::looks_like_token(std::string_view text) {
  const auto parts = split(text);
  return parts && !parts->header.empty() && !parts->payload.empty();
}

Outcome JwtVerifier::verify(std::string_view token, UnixMs now) const {
  if (token.size() > options_.max_token_bytes) return refused("token too large");
  const auto parts = split(token);
  if (!parts) return refused("malformed token");
  const Value header = read_object(parts->header);
  if (header.is_null()) return refused("malformed token header");
  const Value* name = header.find("alg");
  const auto algorithm = algorithm_named(name == nullptr ? std::string_view() : name->text_or({}));
  if (!algorithm) return refused("token algorithm not supported");
  if (header.find("crit") != nullptr) return refused("token with critical extensions");
  const Value* key_id = header.find("kid");
  if (key_id != nullptr && key_id->if_text() == nullptr) return refused("malformed token header");
  const auto signature = decode_base64url(parts->signature);
  if (!signature) return refused("malformed token signature");
  const auto signer = signer_of(parts->signed_text, *signature, *algorithm, key_id);
  if (!signer) return refused("invalid token signature");
  // Only what is signed by somebody we trust is looked into.
  const Value claims = read_object(parts->payload);
  if (claims.is_null()) return refused("malformed token claims");
  Outcome outcome = read_claims(claims, now);
  if (outcome) outcome->grant = Grant{Grant::Kind::key, {}, {}, *signer};
  return outcome;
}

std::optional<Digest> JwtVerifier::signer_of(std::string_view text, ByteView signature,
                                             Algorithm algorithm, const Value* key_id) const {
  const auto keys = current_keys();
  for (const VerificationKey& key : *keys) {
    if (key.algorithm() != algorithm) continue;
    if (key_id != nullptr && key.id && *key.id != *key_id->if_text()) continue;
    if (key.check(as_bytes(text), signature)) return key.fingerprint();
  }
  return std::nullopt;
}

Outcome JwtVerifier::read_claims(const Value& claims, UnixMs now) const {
  Authenticated result;
  if (Status status = check_times(claims, now, result.expires_at); !status) return status.error();
  if (Status status = check_parties(claims); !status) return status.error();
  Result<Value> user = read_user(claims, options_.claims);
  if (!user) return refused("token claims: " + user.error().text);
  Result<Rights> rights = read_rights(claims, options_.claims);
  if (!rights) return refused("token claims: " + rights.error().text);
  result.user = std::move(*user);
  result.rights = std::move(*rights);
  return result;
}

Status JwtVerifier::check_times(const Value& claims, UnixMs now,
                                std::optional<UnixMs>& expires_at) const {
  if (const Value* exp = claims.find("exp")) {
    const auto date = date_of(*exp);
    if (!date) return refused("token claims: invalid exp");
    expires_at = *date + options_.clock_leeway_ms;
    if (now >= *expires_at) return refused("token expired");
  } else if (options_.require_expiry) {
    return refused("token without expiry");
  }
  if (const Value* nbf = claims.find("nbf")) {
    const auto date = date_of(*nbf);
    if (!date) return refused("token claims: invalid nbf");
    if (now < *date - options_.clock_leeway_ms) return refused("token not valid yet");
  }
  return Nothing{};
}

Status JwtVerifier::check_parties(const Value& claims) const {
  if (!options_.issuers.empty()) {
    const Value* issuer = claims.find("iss");
    if (issuer == nullptr || !is_one_of(options_.issuers, *issuer)) {
      return refused("token of another issuer");
    }
  }
  if (options_.audiences.empty()) return Nothing{};
  const Value* audience = claims.find("aud");
  bool is_meant = false;
  if (audience != nullptr && audience->if_array() != nullptr) {
    for (const Value& one : *audience->if_array()) {
      is_meant = is_meant || is_one_of(options_.audiences, one);
    }
  } else if (audience != nullptr) {
    is_meant = is_one_of(options_.audiences, *audience);
  }
  if (!is_meant) return refused("token for another audience");
  return Nothing{};
}

}  // namespace conat::auth
