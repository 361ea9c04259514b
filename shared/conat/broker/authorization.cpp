#include "conat/broker/authorization.hpp"

#include <algorithm>
#include <utility>

#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::string_view kInbox = "_INBOX";

// The first tokens of a subject or pattern; absent ones are empty, which no token is.
struct FirstTokens {
  explicit FirstTokens(std::string_view subject) {
    TokenReader reader(subject);
    for (std::string_view* token : {&first, &second, &third, &fourth}) {
      if (reader.next()) *token = reader.token();
    }
  }
  std::string_view first;
  std::string_view second;
  std::string_view third;
  std::string_view fourth;
};

// Whether a token is "{prefix}-{id}".
bool names(std::string_view token, std::string_view prefix, std::string_view id) {
  return token.size() == prefix.size() + 1 + id.size() && token.starts_with(prefix) &&
         token[prefix.size()] == '-' && token.ends_with(id);
}

// An id must be one ordinary token, or it could stand for others' places.
bool is_token(std::string_view id) {
  return is_valid_subject(id) && id.find('.') == std::string_view::npos;
}

}  // namespace

Authorization::Authorization(const Value& user, Rights rights,
                             const std::vector<AuthorizationRule>& rules)
    : rights_(std::move(rights)) {
  if (user.find("error") != nullptr) return;
  if (user.is_null() || rights_.everything) {
    kind_ = Kind::everything;
    return;
  }
  std::size_t names_found = 0;
  Kind kind = Kind::nobody;
  for (const auto& [key, candidate] : {std::pair{"hub_id", Kind::hub},
                                       {"account_id", Kind::account},
                                       {"project_id", Kind::project}}) {
    const Value* id = user.find(key);
    if (id == nullptr || !is_token(id->text_or(""))) continue;
    ++names_found;
    kind = candidate;
    id_ = id->text_or("");
  }
  if (names_found != 1) return;
  kind_ = kind;
  if (!rules.empty()) {
    const UserKind user_kind = kind == Kind::hub       ? UserKind::hub
                               : kind == Kind::account ? UserKind::account
                                                       : UserKind::project;
    rules_ = std::make_shared<const UserRules>(rules, user_kind, id_);
  }
}

bool Authorization::may_publish(std::string_view subject) const {
  if (rules_ == nullptr) return may_publish_by_name(subject);
  if (rules_->denies_publish(subject)) return false;
  return may_publish_by_name(subject) || rules_->allows_publish(subject);
}

bool Authorization::may_subscribe(std::string_view pattern) const {
  if (rules_ == nullptr) return may_subscribe_by_name(pattern);
  if (rules_->denies_subscribe(pattern)) return false;
  return may_subscribe_by_name(pattern) || rules_->allows_subscribe(pattern);
}

// ---- the protocol's rules ----

bool Authorization::may_publish_by_name(std::string_view subject) const {
  switch (kind_) {
    case Kind::nobody:
      return false;
    case Kind::everything:
    case Kind::hub:
      return true;
    case Kind::account:
    case Kind::project:
      break;
  }
  const FirstTokens tokens(subject);
  if (tokens.first == kInbox && !tokens.second.empty()) return true;
  if (tokens.first == "hub") {
    const std::string_view kind = kind_ == Kind::account ? "account" : "project";
    if (tokens.second == kind && tokens.third == id_ && !tokens.fourth.empty()) return true;
  }
  return is_own_place(subject, false);
}

bool Authorization::may_subscribe_by_name(std::string_view pattern) const {
  switch (kind_) {
    case Kind::nobody:
      return false;
    case Kind::everything:
    case Kind::hub:
      return true;
    case Kind::account:
    case Kind::project:
      break;
  }
  const FirstTokens tokens(pattern);
  if (tokens.first == kInbox) {
    return names(tokens.second, kind_ == Kind::account ? "account" : "project", id_);
  }
  if (tokens.first == "public" && !tokens.second.empty()) return true;
  return is_own_place(pattern, true);
}

// The rules that hold for publishing and subscribing alike.
bool Authorization::is_own_place(std::string_view subject, bool subscribing) const {
  const FirstTokens tokens(subject);
  const std::string_view kind = kind_ == Kind::account ? "account" : "project";
  if (tokens.first == kind && tokens.second == id_ && !tokens.third.empty()) return true;
  if (names(tokens.second, kind, id_)) return true;
  if (kind_ != Kind::account) return false;
  if (rights_.is_admin && tokens.first == "sys" && !tokens.second.empty()) return true;
  // `*.project-{id}` would match the project's inbox, too, which is for the project alone.
  const bool reaches_inbox = subscribing && tokens.first == "*";
  return std::any_of(rights_.projects.begin(), rights_.projects.end(), [&](const std::string& id) {
    if (!is_token(id)) return false;
    if (tokens.first == "project" && tokens.second == id && !tokens.third.empty()) return true;
    return !reaches_inbox && names(tokens.second, "project", id);
  });
}

}  // namespace conat
