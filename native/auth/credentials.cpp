#include "auth/credentials.hpp"

#include "auth/cookies.hpp"
#include "auth/encoding.hpp"
#include "auth/outcome.hpp"
#include "conat/wire/utf8.hpp"

namespace conat::auth {
namespace {

Credentials token_of(std::string token) {
  Credentials credentials;
  credentials.kind = token.empty() ? Credentials::Kind::none : Credentials::Kind::token;
  credentials.token = std::move(token);
  return credentials;
}

Credentials password_of(std::string name, std::string password) {
  Credentials credentials;
  credentials.kind = Credentials::Kind::password;
  credentials.name = std::move(name);
  credentials.password = std::move(password);
  return credentials;
}

const Value* present(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<Credentials> from_auth_object(const Value& auth) {
  if (const Value* token = present(auth, "token")) {
    if (token->if_text() == nullptr) return refused("auth.token must be text");
    if (!token->if_text()->empty()) return token_of(*token->if_text());
  }
  const Value* name = present(auth, "username");
  const Value* password = present(auth, "password");
  if (name == nullptr && password == nullptr) return Credentials{};
  if (name == nullptr || name->if_text() == nullptr || password == nullptr ||
      password->if_text() == nullptr) {
    return refused("auth.username and auth.password must both be text");
  }
  return password_of(*name->if_text(), *password->if_text());
}

// Ordinary base64, with its padding or without.
std::optional<std::string> decode_basic(std::string_view text) {
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  const auto bytes = decode_base64(text);
  if (!bytes || !is_utf8(*bytes)) return std::nullopt;
  return to_string(*bytes);
}

Result<Credentials> from_authorization(std::string_view header) {
  header = trimmed(header);
  const std::size_t space = header.find(' ');
  const std::string_view scheme = header.substr(0, space);
  const std::string_view rest =
      space == std::string_view::npos ? std::string_view{} : trimmed(header.substr(space));
  if (header.empty()) return Credentials{};
  if (equal_ignoring_case(scheme, "bearer")) {
    if (rest.empty() || rest.find(' ') != std::string_view::npos) {
      return refused("malformed Authorization header");
    }
    return token_of(std::string(rest));
  }
  if (!equal_ignoring_case(scheme, "basic")) {
    return refused("Authorization must be Bearer or Basic");
  }
  const auto pair = decode_basic(rest);
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return refused("malformed Authorization header");
  return password_of(pair->substr(0, colon), pair->substr(colon + 1));
}

Result<Credentials> find_unbounded(const Request& request,
                                   const std::vector<std::string>& cookie_names) {
  Result<Credentials> found = from_auth_object(request.auth);
  if (!found || found->kind != Credentials::Kind::none) return found;
  found = from_authorization(request.header("authorization"));
  if (!found || found->kind != Credentials::Kind::none) return found;
  for (const std::string& name : cookie_names) {
    auto value = find_cookie(request, name);
    if (!value || value->empty()) continue;
    found = token_of(std::move(*value));
    found->from_cookie = true;
    break;
  }
  return found;
}

}  // namespace

Result<Credentials> find_credentials(const Request& request,
                                     const std::vector<std::string>& cookie_names) {
  Result<Credentials> found = find_unbounded(request, cookie_names);
  if (found &&
      (found->token.size() > max_credential_bytes || found->name.size() > max_credential_bytes ||
       found->password.size() > max_credential_bytes)) {
    return refused("credentials too large");
  }
  return found;
}

}  // namespace conat::auth
