#include "conat/broker/chunk_routes.hpp"

#include <algorithm>

namespace conat {

void ChunkRoutes::Route::note(const InterestGroup& group, const GroupChoice& choice) {
  if (choices.size() >= room) return;
  choices.push_back(
      {group.id, choice.member, choice.remote == nullptr ? kLocal : choice.remote->shard});
  sorted = false;
}

std::optional<GroupChoice> ChunkRoutes::Route::find(const InterestGroup& group) {
  const auto before = [](const Choice& a, const Choice& b) { return a.group < b.group; };
  if (!sorted) {
    std::sort(choices.begin(), choices.end(), before);
    sorted = true;
  }
  const auto found =
      std::lower_bound(choices.begin(), choices.end(), Choice{group.id, 0, 0}, before);
  if (found == choices.end() || found->group != group.id) return std::nullopt;
  GroupChoice choice;
  if (found->shard == kLocal) {
    if (group.members.contains(found->member)) choice.member = found->member;
    return choice;
  }
  for (const InterestGroup::Remote& remote : group.remotes) {
    if (remote.shard == found->shard) choice.remote = &remote;
  }
  return choice;
}

std::uint64_t ChunkRoutes::hash_of(std::uint64_t sender, std::string_view message_id) const {
  return hash_text(message_id, hash_seed_ + sender * std::uint64_t{0x9e3779b97f4a7c15});
}

ChunkRoutes::Route* ChunkRoutes::begin(TimeMs now, std::uint64_t sender,
                                       std::string_view message_id) {
  std::vector<Route>& routes = senders_[sender];
  const std::uint64_t message = hash_of(sender, message_id);
  std::erase_if(routes, [&](const Route& route) {
    return route.message == message || now - route.started > limits::partial_message_ttl_ms;
  });
  std::size_t used = 0;
  for (const Route& route : routes) used += route.choices.size();
  while (!routes.empty() &&
         (routes.size() >= max_messages_per_sender || used >= max_choices_per_sender)) {
    used -= routes.front().choices.size();
    routes.erase(routes.begin());
  }
  Route& route = routes.emplace_back();
  route.message = message;
  route.started = now;
  route.room = max_choices_per_sender - used;
  if (!sweep_at_) sweep_at_ = now + limits::partial_message_ttl_ms;
  return &route;
}

ChunkRoutes::Route* ChunkRoutes::find(std::uint64_t sender, std::string_view message_id) {
  const auto routes = senders_.find(sender);
  if (routes == senders_.end()) return nullptr;
  const std::uint64_t message = hash_of(sender, message_id);
  const auto found = std::find_if(routes->second.begin(), routes->second.end(),
                                  [&](const Route& route) { return route.message == message; });
  return found == routes->second.end() ? nullptr : &*found;
}

void ChunkRoutes::finish(std::uint64_t sender, std::string_view message_id) {
  const auto routes = senders_.find(sender);
  if (routes == senders_.end()) return;
  const std::uint64_t message = hash_of(sender, message_id);
  std::erase_if(routes->second, [&](const Route& route) { return route.message == message; });
  if (routes->second.empty()) senders_.erase(routes);
}

void ChunkRoutes::forget(std::uint64_t sender) { senders_.erase(sender); }

void ChunkRoutes::expire(TimeMs now) {
  if (!sweep_at_ || now < *sweep_at_) return;
  for (auto routes = senders_.begin(); routes != senders_.end();) {
    std::erase_if(routes->second, [&](const Route& route) {
      return now - route.started > limits::partial_message_ttl_ms;
    });
    routes = routes->second.empty() ? senders_.erase(routes) : std::next(routes);
  }
  sweep_at_.reset();
  if (!senders_.empty()) sweep_at_ = now + limits::partial_message_ttl_ms;
}

std::optional<TimeMs> ChunkRoutes::deadline() const { return sweep_at_; }

}  // namespace conat
