#include "conat/broker/interest_waits.hpp"

#include <algorithm>

#include "conat/subject/subject.hpp"

namespace conat {
namespace {

// The pattern's bytes before its first wildcard.
std::string_view literal_part(std::string_view pattern) {
  TokenReader tokens(pattern);
  while (tokens.next()) {
    const bool wild = tokens.token() == "*" || (tokens.token() == ">" && tokens.at_end());
    if (wild)
      return pattern.substr(0, pattern.size() - tokens.rest().size() - (tokens.at_end() ? 1 : 2));
  }
  return pattern;
}

void remove_value(std::vector<std::uint64_t>& values, std::uint64_t value) {
  const auto found = std::find(values.begin(), values.end(), value);
  if (found == values.end()) return;
  *found = values.back();
  values.pop_back();
}

}  // namespace

void InterestWaits::add(std::string_view subject, Waiter waiter, TimeMs expires_at) {
  const WaitId id = ++last_id_;
  auto place = by_subject_.find(subject);
  if (place == by_subject_.end()) place = by_subject_.emplace(subject, std::set<WaitId>()).first;
  place->second.insert(id);
  waits_.emplace(id, Wait{place, waiter, expires_at});
  by_expiry_.emplace(expires_at, id);
  by_connection_[waiter.connection].push_back(id);
}

InterestWaits::Waiter InterestWaits::take(WaitId id) {
  const auto place = waits_.find(id);
  const Wait wait = place->second;
  waits_.erase(place);
  by_expiry_.erase({wait.expires_at, id});
  wait.subject->second.erase(id);
  if (wait.subject->second.empty()) by_subject_.erase(wait.subject);
  const auto own = by_connection_.find(wait.waiter.connection);
  remove_value(own->second, id);
  if (own->second.empty()) by_connection_.erase(own);
  return wait.waiter;
}

std::vector<InterestWaits::Waiter> InterestWaits::take_matching(std::string_view pattern) {
  std::vector<Waiter> waiters;
  if (waits_.empty()) return waiters;
  const std::string_view prefix = literal_part(pattern);
  std::vector<WaitId> ids;
  for (auto place = by_subject_.lower_bound(prefix);
       place != by_subject_.end() && std::string_view(place->first).starts_with(prefix); ++place) {
    if (!pattern_matches(pattern, place->first)) continue;
    ids.insert(ids.end(), place->second.begin(), place->second.end());
  }
  std::sort(ids.begin(), ids.end());  // in the order in which they were asked
  waiters.reserve(ids.size());
  for (const WaitId id : ids) waiters.push_back(take(id));
  return waiters;
}

std::vector<InterestWaits::Waiter> InterestWaits::take_expired(TimeMs now) {
  std::vector<Waiter> waiters;
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
    waiters.push_back(take(by_expiry_.begin()->second));
  }
  return waiters;
}

void InterestWaits::forget(ConnectionId connection) {
  const auto own = by_connection_.find(connection);
  if (own == by_connection_.end()) return;
  const std::vector<WaitId> ids = own->second;
  for (const WaitId id : ids) take(id);
}

std::size_t InterestWaits::count(ConnectionId connection) const {
  const auto own = by_connection_.find(connection);
  return own == by_connection_.end() ? 0 : own->second.size();
}

std::optional<TimeMs> InterestWaits::deadline() const {
  if (by_expiry_.empty()) return std::nullopt;
  return by_expiry_.begin()->first;
}

}  // namespace conat
