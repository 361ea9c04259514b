#include "broker/admission.hpp"

#include <algorithm>

#include "conat/wire/codec.hpp"

namespace conat::server {
namespace {

Value sorted(const Value& value) {
  if (const Value::Array* items = value.if_array()) {
    Value::Array copy;
    copy.reserve(items->size());
    for (const Value& item : *items) copy.push_back(sorted(item));
    return copy;
  }
  const Value::Map* entries = value.if_map();
  if (entries == nullptr) return value;
  Value::Map copy;
  copy.reserve(entries->size());
  for (const auto& [key, item] : *entries) copy.emplace_back(key, sorted(item));
  std::sort(copy.begin(), copy.end(),
            [](const auto& left, const auto& right) { return left.first < right.first; });
  return copy;
}

Admission::Verdict refused(std::size_t limit, const char* whose) {
  Value user;
  user.set("error", "Error: there is a limit of at most " + std::to_string(limit) + " " + whose);
  user.set("code", 429);
  return {std::nullopt, std::move(user)};
}

}  // namespace

std::string sorted_json(const Value& value) { return encode_json(sorted(value)); }

Admission::Verdict Admission::admit(const Value& user) {
  std::string key = sorted_json(user);
  const std::lock_guard lock(mutex_);
  if (max_total_ != 0 && total_ >= max_total_) return refused(max_total_, "connections");
  const auto [place, is_new] = users_.try_emplace(std::move(key));
  Entry& entry = place->second;
  if (is_new) entry.key = &place->first;
  // A new user has no connection: the limit is at least 1.
  if (max_per_user_ != 0 && entry.connections >= max_per_user_) {
    return refused(max_per_user_, "connections of one user");
  }
  ++entry.connections;
  ++total_;
  return {Ticket(*this, entry), Value()};
}

void Admission::release(Entry& entry) {
  const std::lock_guard lock(mutex_);
  --total_;
  if (--entry.connections == 0) users_.erase(users_.find(*entry.key));
}

Admission::Usage Admission::usage() const {
  Usage usage;
  {
    const std::lock_guard lock(mutex_);
    usage.total = total_;
    usage.per_user.reserve(users_.size());
    for (const auto& [key, entry] : users_) usage.per_user.emplace_back(key, entry.connections);
  }
  std::sort(usage.per_user.begin(), usage.per_user.end());
  return usage;
}

}  // namespace conat::server
