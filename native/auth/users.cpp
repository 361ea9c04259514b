#include "auth/users.hpp"

#include <algorithm>
#include <array>

#include "auth/file_content.hpp"
#include "auth/invalid.hpp"
#include "auth/request.hpp"
#include "auth/user_claims.hpp"
#include "conat/wire/codec.hpp"

namespace conat::auth {
namespace {

constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxTokensOfUser = 100;
constexpr std::array<std::string_view, 7> kMembers = {"name",   "user",  "password", "token",
                                                      "tokens", "admin", "projects"};

Status add_token(User& user, const Value& token) {
  if (token.if_text() == nullptr) return invalid("a token must be text");
  const Result<Digest> digest = parse_stored_token(*token.if_text());
  if (!digest) return digest.error();
  if (user.tokens.size() == kMaxTokensOfUser) return invalid("too many tokens");
  user.tokens.push_back(*digest);
  return Nothing{};
}

Status read_secrets(const Value& object, User& user) {
  if (const Value* password = object.find("password")) {
    if (password->if_text() == nullptr) return invalid("password must be text");
    Result<PasswordHash> hash = PasswordHash::parse(*password->if_text());
    if (!hash) return hash.error();
    user.password = std::move(*hash);
  }
  if (const Value* token = object.find("token")) {
    if (Status status = add_token(user, *token); !status) return status;
  }
  if (const Value* tokens = object.find("tokens")) {
    if (tokens->if_array() == nullptr) return invalid("tokens must be an array");
    for (const Value& token : *tokens->if_array()) {
      if (Status status = add_token(user, token); !status) return status;
    }
  }
  if (!user.password && user.tokens.empty()) return invalid("neither a password nor a token");
  return Nothing{};
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return trimmed(line);
}

Digest digest_of(const Authenticated& identity) {
  Value::Array projects;
  for (const std::string& project : identity.rights.projects) projects.emplace_back(project);
  const Value all(
      Value::Array{identity.user, Value(identity.rights.is_admin), Value(std::move(projects))});
  return sha256(as_bytes(encode_json(all)));
}

Grant grant_of(const User& user, const Digest& basis) {
  return {Grant::Kind::user, user.name, user.identity_digest, basis};
}

std::size_t cost_in_bytes(const ScryptCost& cost) {
  return (std::size_t{cost.r} << cost.log_n) * cost.p;
}

}  // namespace

Result<User> parse_user(const Value& object) {
  const Value::Map* members = object.if_map();
  if (members == nullptr) return invalid("a user is a JSON object");
  for (const auto& [name, value] : *members) {
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
      return invalid("unknown member '" + name + "'");
    }
  }
  User user;
  const Value* name = object.find("name");
  if (name == nullptr || name->text_or({}).empty()) return invalid("name is missing");
  user.name = *name->if_text();
  if (user.name.size() > kMaxNameBytes || user.name.find(':') != std::string::npos) {
    return invalid("a name is no longer than 256 bytes and holds no colon");
  }
  const Value* identity = object.find("user");
  if (identity == nullptr || identity->if_map() == nullptr || identity->if_map()->size() != 1) {
    return invalid("user must be {account_id}, {project_id} or {hub_id}");
  }
  Result<Value> who = read_user(*identity);
  if (!who) return invalid("user: " + who.error().text);
  Result<Rights> rights = read_rights(object);
  if (!rights) return rights.error();
  user.identity.user = std::move(*who);
  user.identity.rights = std::move(*rights);
  if (Status status = read_secrets(object, user); !status) return status.error();
  return user;
}

Status Users::add(User added) {
  auto user = std::make_unique<User>(std::move(added));
  user->identity_digest = digest_of(user->identity);
  if (by_name_.count(user->name) != 0) return invalid("two users with the name " + user->name);
  for (const Digest& token : user->tokens) {
    const auto known = by_token_.find(token);
    if (known == by_token_.end()) continue;
    return invalid("the same token for " + known->second->name + " and " + user->name);
  }
  by_name_.emplace(user->name, user.get());
  for (const Digest& token : user->tokens) by_token_.emplace(token, user.get());
  if (user->password) {
    has_passwords_ = true;
    if (cost_in_bytes(user->password->cost()) > cost_in_bytes(decoy_.cost())) {
      decoy_ = PasswordHash::unmatched(user->password->cost());
    }
  }
  users_.push_back(std::move(user));
  return Nothing{};
}

Result<Users> Users::parse(std::string_view text) {
  Users users;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::string_view line = take_line(text);
    if (line.empty() || line[0] == '#') continue;
    const auto failed = [&](const std::string& why) {
      return invalid("line " + std::to_string(number) + ": " + why);
    };
    const Result<Value> object = decode_json(line);
    if (!object) return failed("malformed JSON");
    Result<User> user = parse_user(*object);
    if (!user) return failed(user.error().text);
    if (Status status = users.add(std::move(*user)); !status) return failed(status.error().text);
  }
  return users;
}

Result<Users> Users::load(const std::filesystem::path& path) {
  const Result<std::string> content = read_file(path, max_users_file_bytes);
  if (!content) return content.error();
  Result<Users> users = parse(*content);
  if (!users) return invalid(path.string() + ": " + users.error().text);
  return users;
}

Grant Users::grant_of_token(const User& user, const Digest& token) { return grant_of(user, token); }

Grant Users::grant_of_password(const User& user) {
  return grant_of(user, sha256(as_bytes(user.password->text())));
}

bool Users::holds(const Grant& grant) const {
  const User* user = with_name(grant.name);
  if (user == nullptr || user->identity_digest != grant.identity) return false;
  if (std::find(user->tokens.begin(), user->tokens.end(), grant.basis) != user->tokens.end()) {
    return true;
  }
  return user->password && grant_of_password(*user).basis == grant.basis;
}

const User* Users::with_token(std::string_view token) const {
  const auto found = by_token_.find(sha256(as_bytes(token)));
  return found == by_token_.end() ? nullptr : found->second;
}

const User* Users::with_name(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : found->second;
}

}  // namespace conat::auth
