#include "broker/sign_ins.hpp"

#include <utility>

#include "auth/cookies.hpp"
#include "auth/credentials.hpp"

namespace conat::server {
namespace {

// "http://localhost:5173" and the like: a page that this machine itself serves.
bool is_origin_of_this_machine(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.substr(0, scheme.size()) != scheme) continue;
    const std::string_view host = origin.substr(scheme.size());
    for (const std::string_view own : {"localhost", "127.0.0.1", "[::1]"}) {
      if (host.substr(0, own.size()) != own) continue;
      const std::string_view port = host.substr(own.size());
      if (port.empty()) return true;
      if (port.front() == ':' &&
          port.find_first_not_of("0123456789", 1) == std::string_view::npos) {
        return true;
      }
    }
  }
  return false;
}

SignInMethod method_of(const auth::Request& request, const std::vector<std::string>& cookies) {
  if (auth::find_cookie(request, "sys")) return SignInMethod::system;
  const Result<auth::Credentials> shown = auth::find_credentials(request, cookies);
  if (!shown) return SignInMethod::token;  // malformed
  switch (shown->kind) {
    case auth::Credentials::Kind::none:
      return SignInMethod::nothing;
    case auth::Credentials::Kind::token:
      return SignInMethod::token;
    case auth::Credentials::Kind::password:
      return SignInMethod::password;
  }
  return SignInMethod::nothing;
}

}  // namespace

const char* sign_in_method_text(SignInMethod method) {
  switch (method) {
    case SignInMethod::nothing:
      return "none";
    case SignInMethod::system:
      return "system";
    case SignInMethod::token:
      return "token";
    case SignInMethod::password:
      return "password";
  }
  return "";
}

SignIns::SignIns(Authenticator& authenticator, const auth::OriginPolicy& origins,
                 const std::vector<std::string>& token_cookies, Post post, Answered answered)
    : authenticator_(authenticator),
      origins_(origins),
      token_cookies_(token_cookies),
      post_(std::move(post)),
      answered_(std::move(answered)) {}

auth::Request SignIns::request_of(const net::HttpRequest& request, std::string address,
                                  bool secure) {
  auth::Request made;
  made.address = std::move(address);
  made.secure = secure;
  made.headers = request.headers;
  return made;
}

bool SignIns::allows_origin(const net::HttpRequest& request, bool secure) const {
  if (request.header("origin").empty()) return true;
  if (origins_.check(request_of(request, {}, secure)).allowed) return true;
  return !authenticator_.required() && is_origin_of_this_machine(request.header("origin"));
}

std::optional<Identity> SignIns::known_identity() const {
  if (authenticator_.required()) return std::nullopt;
  return authenticator_.without_authentication();
}

void SignIns::opened(ConnectionId id, const net::HttpRequest& request, std::string address,
                     bool secure) {
  if (!authenticator_.required()) return;
  auth::Request kept = request_of(request, std::move(address), secure);
  if (!origins_.check(kept).may_use_cookies) kept.drop_cookies();
  requests_.insert_or_assign(id, std::move(kept));
}

void SignIns::closed(ConnectionId id) {
  requests_.erase(id);
  grants_.erase(id);
}

void SignIns::granted(ConnectionId id, const std::optional<auth::Grant>& grant) {
  if (grant) {
    grants_.insert_or_assign(id, *grant);
  } else {
    grants_.erase(id);
  }
}

std::vector<ConnectionId> SignIns::withdrawn() const {
  std::vector<ConnectionId> ids;
  for (const auto& [id, grant] : grants_) {
    if (!authenticator_.holds(grant)) ids.push_back(id);
  }
  return ids;
}

void SignIns::ask(effect::Authenticate question) {
  const auto found = requests_.find(question.connection);
  if (found == requests_.end()) return;  // has gone meanwhile
  auth::Request request = found->second;
  request.auth = std::move(question.auth);
  const Question asked{question.connection, question.renewal, method_of(request, token_cookies_)};
  authenticator_.identify(
      request, [post = post_, answered = answered_, asked](auth::Outcome outcome) {
        post([answered, asked, outcome = std::move(outcome)] { answered(asked, outcome); });
      });
}

}  // namespace conat::server
