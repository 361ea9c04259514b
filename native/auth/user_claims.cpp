#include "auth/user_claims.hpp"

#include "auth/invalid.hpp"
#include "conat/subject/subject.hpp"

namespace conat::auth {
namespace {

const Value* present(const Value& claims, std::string_view name) {
  const Value* value = claims.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace

bool is_valid_id(std::string_view id) {
  if (id.empty() || id.size() > max_id_bytes) return false;
  for (const char c : id) {
    if (c == '.' || c == '*' || c == '>' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return false;
    }
  }
  return is_valid_subject(id);
}

Result<Value> read_user(const Value& claims, const ClaimNames& names) {
  Value user;
  const std::pair<const std::string&, const char*> kinds[] = {
      {names.account_id, "account_id"}, {names.project_id, "project_id"}, {names.hub_id, "hub_id"}};
  for (const auto& [name, kind] : kinds) {
    const Value* id = present(claims, name);
    if (id == nullptr) continue;
    if (!user.is_null()) return invalid("more than one of account, project and hub");
    const std::string* text = id->if_text();
    if (text == nullptr || !is_valid_id(*text)) return invalid("invalid " + name);
    user.set(kind, *text);
  }
  if (user.is_null()) {
    return invalid("none of " + names.account_id + ", " + names.project_id + ", " + names.hub_id);
  }
  return user;
}

Result<Rights> read_rights(const Value& claims, const ClaimNames& names) {
  Rights rights;
  if (const Value* admin = present(claims, names.admin)) {
    if (admin->if_bool() == nullptr) return invalid(names.admin + " must be true or false");
    rights.is_admin = *admin->if_bool();
  }
  if (const Value* projects = present(claims, names.projects)) {
    const Value::Array* ids = projects->if_array();
    if (ids == nullptr) return invalid(names.projects + " must be an array of ids");
    if (ids->size() > max_projects) return invalid("too many " + names.projects);
    rights.projects.reserve(ids->size());
    for (const Value& id : *ids) {
      if (id.if_text() == nullptr || !is_valid_id(*id.if_text())) {
        return invalid("invalid id in " + names.projects);
      }
      rights.projects.push_back(*id.if_text());
    }
  }
  return rights;
}

}  // namespace conat::auth
