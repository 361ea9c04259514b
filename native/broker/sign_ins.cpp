#include "broker/sign_ins.hpp"

#include <utility>

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

}  // namespace

SignIns::SignIns(Authenticator& authenticator, const auth::OriginPolicy& origins, Post post,
                 Answered answered)
    : authenticator_(authenticator),
      origins_(origins),
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

void SignIns::ask(effect::Authenticate question) {
  const auto found = requests_.find(question.connection);
  if (found == requests_.end()) return;  // has gone meanwhile
  auth::Request request = found->second;
  request.auth = std::move(question.auth);
  authenticator_.identify(request, [post = post_, answered = answered_,
                                    id = question.connection](auth::Outcome outcome) {
    post([answered, id, outcome = std::move(outcome)] { answered(id, outcome); });
  });
}

}  // namespace conat::server
