#include "conat/client/permission_cache.hpp"

#include "conat/base/limits.hpp"

namespace conat::client_parts {
namespace {

std::string key_of(PermissionType type, std::string_view subject) {
  std::string key(1, type == PermissionType::publish ? 'p' : 's');
  key.append(subject);
  return key;
}

}  // namespace

void PermissionCache::add(TimeMs now, PermissionType type, std::string_view subject,
                          std::string message) {
  if (subject.size() > limits::max_subject_bytes) return;
  expire(now);
  const TimeMs until = now + limits::permission_cache_ms;
  std::string key = key_of(type, subject);
  order_.emplace_back(until, key);
  refusals_[std::move(key)] = {until, std::move(message)};
  while (order_.size() > limits::max_permission_cache_entries) {
    const auto& [end, oldest] = order_.front();
    const auto found = refusals_.find(oldest);
    if (found != refusals_.end() && found->second.until == end) refusals_.erase(found);
    order_.pop_front();
  }
}

const std::string* PermissionCache::find(TimeMs now, PermissionType type,
                                         std::string_view subject) {
  if (refusals_.empty()) return nullptr;
  expire(now);
  const auto found = refusals_.find(key_of(type, subject));
  return found == refusals_.end() ? nullptr : &found->second.message;
}

void PermissionCache::clear() {
  refusals_.clear();
  order_.clear();
}

void PermissionCache::expire(TimeMs now) {
  while (!order_.empty() && order_.front().first <= now) {
    const auto found = refusals_.find(order_.front().second);
    if (found != refusals_.end() && found->second.until <= now) refusals_.erase(found);
    order_.pop_front();
  }
}

}  // namespace conat::client_parts
