#include "conat/client/subscription_table.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "conat/base/limits.hpp"
#include "conat/client/ack_values.hpp"

namespace conat::client_parts {
namespace {

// What an item of an array call takes besides its texts, in either encoding.
constexpr std::size_t kItemOverheadBytes = 32;

Value subscribe_item(const SubscriptionTable::Entry& entry) {
  return Value::Map{{"subject", entry.pattern}, {"queue", entry.queue}};
}

Value unsubscribe_item(std::string pattern) { return Value::Map{{"subject", std::move(pattern)}}; }

}  // namespace

SubscriptionTable::SubscriptionTable(EffectQueue& effects, Outgoing& outgoing, Random random,
                                     std::string inbox_pattern)
    : effects_(effects),
      outgoing_(outgoing),
      random_(std::move(random)),
      sync_backoff_(limits::client_sync_retry_ms, limits::client_sync_retry_max_ms, 0) {
  entries_.push_back({std::move(inbox_pattern), random_.id(), next_number_++, {}, {}});
  Entry& entry = entries_.back();
  by_pattern_.emplace(entry.pattern, &entry);
  by_number_.emplace(entry.number, &entry);
}

Result<SubscriptionId> SubscriptionTable::add(TimeMs now, Owner owner, std::string_view pattern,
                                              const SubscribeOptions& options) {
  Entry* entry = nullptr;
  if (const auto found = by_pattern_.find(pattern); found != by_pattern_.end()) {
    entry = found->second;
    if (!options.queue.empty() && options.queue != entry->queue) {
      return Error(ErrorKind::invalid_argument,
                   "client can only have one queue group subscription for a given subject -- "
                   "subject='" +
                       std::string(pattern) + "', queue='" + options.queue + "'");
    }
  } else {
    entries_.push_back({std::string(pattern),
                        options.queue.empty() ? random_.id() : options.queue,
                        next_number_++,
                        ServerState::unsent,
                        {}});
    entry = &entries_.back();
    by_pattern_.emplace(entry->pattern, entry);
    by_number_.emplace(entry->number, entry);
    places_.emplace(entry->number, std::prev(entries_.end()));
  }
  const SubscriptionId id = next_id_++;
  by_id_.emplace(id, entry);
  entry->locals.push_back({id, owner, options.timeout_ms, false, std::nullopt});
  Local& local = entry->locals.back();
  if (entry->state == ServerState::confirmed) {
    local.told = true;
    effects_.push(client_effect::SubscribeDone{owner, id, std::nullopt});
    return id;
  }
  if (signed_in_) {
    arm(now, local);
    if (entry->state == ServerState::unsent) request(*entry);
  }
  return id;
}

std::optional<std::uint64_t> SubscriptionTable::remove(TimeMs, SubscriptionId subscription) {
  const auto found = by_id_.find(subscription);
  if (found == by_id_.end()) return std::nullopt;
  Entry& entry = *found->second;
  by_id_.erase(found);
  entry.locals.erase(std::find_if(entry.locals.begin(), entry.locals.end(),
                                  [&](const Local& local) { return local.id == subscription; }));
  // The inbox stays, whoever else subscribed to its pattern.
  if (!entry.locals.empty() || &entry == &entries_.front()) return std::nullopt;
  if (signed_in_ && entry.state != ServerState::unsent) {
    outgoing_.emit("unsubscribe", {unsubscribe_item(entry.pattern)});
  }
  const std::uint64_t number = entry.number;
  erase(entry);
  return number;
}

const SubscriptionTable::Entry* SubscriptionTable::find(std::string_view pattern) const {
  const auto found = by_pattern_.find(pattern);
  return found == by_pattern_.end() ? nullptr : found->second;
}

const SubscriptionTable::Entry* SubscriptionTable::find(SubscriptionId subscription) const {
  const auto found = by_id_.find(subscription);
  return found == by_id_.end() ? nullptr : found->second;
}

void SubscriptionTable::on_sign_in(TimeMs now) {
  signed_in_ = true;
  inbox_error_.reset();
  inbox_requested_ = true;
  for (Entry& entry : entries_) {
    for (Local& local : entry.locals) {
      if (!local.told) arm(now, local);
    }
  }
  request(entries_.front());
  if (ever_signed_in_ && entries_.size() > 1) {
    compare(now);
    return;
  }
  ever_signed_in_ = true;
  for (Entry& entry : entries_) {
    if (entry.state == ServerState::unsent) request(entry);
  }
  settled_ = true;
}

void SubscriptionTable::on_lost() {
  signed_in_ = false;
  settled_ = false;
  inbox_error_.reset();  // the next server, or user, may be allowed
  sync_ = Sync::idle;
  sync_backoff_.reset();
  batches_.clear();
  confirmations_.clear();
  for (Entry& entry : entries_) {
    entry.state = ServerState::unsent;
    // The time for a confirmation counts from the next sign-in again.
    for (Local& local : entry.locals) local.deadline.reset();
  }
}

void SubscriptionTable::close() {
  on_lost();
  for (const Entry& entry : entries_) {
    for (const Local& local : entry.locals) {
      if (local.told) continue;
      effects_.push(client_effect::SubscribeDone{local.owner, local.id, Error(ErrorKind::closed)});
    }
  }
  by_id_.clear();
  places_.clear();
  by_pattern_.clear();
  by_number_.clear();
  entries_.erase(std::next(entries_.begin()), entries_.end());
  entries_.front().locals.clear();
  inbox_requested_ = false;
}

void SubscriptionTable::compare(TimeMs now) {
  if (signed_in_ && (sync_ == Sync::idle || sync_ == Sync::resting)) ask(now);
}

std::vector<std::uint64_t> SubscriptionTable::on_subscribe_ack(TimeMs, std::uint64_t number,
                                                               const Value& answer) {
  Entry* entry = entry_of(number);
  if (entry == nullptr) return {};
  if (std::optional<Error> error = ack_error(answer)) {
    refuse(*entry, *error);
    return {number};
  }
  confirm(*entry);
  return {};
}

std::vector<std::uint64_t> SubscriptionTable::on_batch_ack(TimeMs now, std::uint64_t batch,
                                                           const Value& answer) {
  const auto found = batches_.find(batch);
  if (found == batches_.end()) return {};
  const std::vector<std::uint64_t> numbers = std::move(found->second);
  batches_.erase(found);
  std::vector<std::uint64_t> gone;
  const Value::Array* items = answer.if_array();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Entry* entry = entry_of(numbers[i]);
    if (entry == nullptr) continue;
    if (items == nullptr || i >= items->size()) {
      entry->state = ServerState::unsent;  // no answer for it: the next comparison tries again
      continue;
    }
    if (std::optional<Error> error = ack_error((*items)[i])) {
      refuse(*entry, *error);
      gone.push_back(numbers[i]);
    } else {
      confirm(*entry);
    }
  }
  batch_answered(now);
  return gone;
}

void SubscriptionTable::on_list(TimeMs now, const Value& answer) {
  if (sync_ != Sync::asking) return;
  const Value::Array* list = answer.if_array();
  if (list == nullptr) return give_up_asking(now);
  std::unordered_set<std::string_view> at_server;
  for (const Value& item : *list) {
    if (const std::string* pattern = item.if_text()) at_server.insert(*pattern);
  }
  std::vector<Entry*> missing;
  for (Entry& entry : entries_) {
    const bool known = at_server.count(entry.pattern) != 0;
    if (known && entry.state == ServerState::unsent) confirm(entry);
    if (known || entry.state == ServerState::sent) continue;
    if (&entry == &entries_.front() && inbox_error_) continue;
    missing.push_back(&entry);
  }
  std::vector<std::string> extra;
  for (const std::string_view pattern : at_server) {
    if (by_pattern_.find(pattern) == by_pattern_.end()) extra.emplace_back(pattern);
  }
  if (missing.empty() && extra.empty()) {
    sync_ = Sync::idle;
    sync_backoff_.reset();
  } else {
    apply(now, missing, std::move(extra));
  }
  settled_ = true;
}

std::vector<std::uint64_t> SubscriptionTable::on_time(TimeMs now) {
  std::vector<std::uint64_t> gone;
  while (const std::optional<DeadlineHeap::Entry> due = confirmations_.pop_due(now)) {
    if (const auto number = expire(now, static_cast<SubscriptionId>(due->id))) {
      gone.push_back(*number);
    }
  }
  if (sync_ != Sync::idle && now >= sync_at_) {
    if (sync_ == Sync::resting) {
      ask(now);
    } else {
      // An answer that does not come must not keep publishes back for ever.
      for (const auto& [batch, numbers] : batches_) {
        for (const std::uint64_t number : numbers) {
          if (Entry* entry = entry_of(number)) entry->state = ServerState::unsent;
        }
      }
      batches_.clear();
      give_up_asking(now);
    }
  }
  return gone;
}

std::optional<TimeMs> SubscriptionTable::deadline() const {
  std::optional<TimeMs> result = confirmations_.next();
  if (sync_ != Sync::idle) result = earlier(result, sync_at_);
  return result;
}

SubscriptionTable::Entry* SubscriptionTable::entry_of(std::uint64_t number) {
  const auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : found->second;
}

void SubscriptionTable::request(Entry& entry) {
  entry.state = ServerState::sent;
  outgoing_.emit("subscribe", {subscribe_item(entry)}, {AckKind::subscribe, entry.number, 0});
}

void SubscriptionTable::arm(TimeMs now, Local& local) {
  if (local.timeout_ms <= 0) return;
  local.deadline = now + local.timeout_ms;
  confirmations_.add(*local.deadline, local.id);
  confirmations_.sweep(by_id_.size(), [&](const DeadlineHeap::Entry& entry) {
    const auto found = by_id_.find(static_cast<SubscriptionId>(entry.id));
    if (found == by_id_.end()) return false;
    for (const Local& candidate : found->second->locals) {
      if (candidate.id == entry.id) return candidate.deadline == entry.when;
    }
    return false;
  });
}

void SubscriptionTable::confirm(Entry& entry) {
  entry.state = ServerState::confirmed;
  for (Local& local : entry.locals) {
    local.deadline.reset();
    if (local.told) continue;
    local.told = true;
    effects_.push(client_effect::SubscribeDone{local.owner, local.id, std::nullopt});
  }
}

void SubscriptionTable::refuse(Entry& entry, const Error& error) {
  for (const Local& local : entry.locals) {
    by_id_.erase(local.id);
    if (local.told) {
      effects_.push(client_effect::SubscriptionEnded{local.owner, local.id, error});
    } else {
      effects_.push(client_effect::SubscribeDone{local.owner, local.id, error});
    }
  }
  if (&entry == &entries_.front()) {
    entry.locals.clear();
    entry.state = ServerState::unsent;
    inbox_error_ = error;
    return;
  }
  erase(entry);
}

void SubscriptionTable::erase(Entry& entry) {
  by_pattern_.erase(entry.pattern);
  by_number_.erase(entry.number);
  const auto place = places_.find(entry.number);
  const std::list<Entry>::iterator position = place->second;
  places_.erase(place);
  entries_.erase(position);
}

void SubscriptionTable::ask(TimeMs now) {
  sync_ = Sync::asking;
  sync_at_ = now + limits::client_sync_answer_timeout_ms;
  outgoing_.emit("subscriptions", {Value()}, {AckKind::list, 0, 0});
}

// The server does not tell what it has: everything is requested, and its list asked for again
// later; what is not confirmed until then is requested once more.
void SubscriptionTable::give_up_asking(TimeMs now) {
  for (Entry& entry : entries_) {
    const bool refused = &entry == &entries_.front() && inbox_error_;
    if (entry.state != ServerState::unsent || refused) continue;
    request(entry);
    entry.state = ServerState::unsent;
  }
  settled_ = true;
  rest(now);
}

void SubscriptionTable::rest(TimeMs now) {
  sync_ = Sync::resting;
  sync_at_ = now + sync_backoff_.next_ms(random_);
}

void SubscriptionTable::apply(TimeMs now, const std::vector<Entry*>& missing,
                              std::vector<std::string> extra) {
  sync_ = Sync::applying;
  sync_at_ = now + limits::client_sync_answer_timeout_ms;
  // One array call, unless the server could not take so much at once.
  for (std::size_t i = 0; i < missing.size();) {
    Value::Array items;
    std::vector<std::uint64_t> numbers;
    for (std::size_t bytes = 0; i < missing.size(); ++i) {
      bytes += missing[i]->pattern.size() + missing[i]->queue.size() + kItemOverheadBytes;
      if (!items.empty() && bytes > limits::client_sync_batch_bytes) break;
      missing[i]->state = ServerState::sent;
      items.push_back(subscribe_item(*missing[i]));
      numbers.push_back(missing[i]->number);
    }
    const std::uint64_t batch = next_batch_++;
    batches_.emplace(batch, std::move(numbers));
    outgoing_.emit("subscribe", {Value(std::move(items))}, {AckKind::subscribe_all, batch, 0});
  }
  if (!extra.empty()) {
    Value::Array items;
    for (std::string& pattern : extra) items.push_back(unsubscribe_item(std::move(pattern)));
    outgoing_.emit("unsubscribe", {Value(std::move(items))});
  }
  if (missing.empty()) rest(now);
}

void SubscriptionTable::batch_answered(TimeMs now) {
  if (sync_ == Sync::applying && batches_.empty()) rest(now);
}

std::optional<std::uint64_t> SubscriptionTable::expire(TimeMs now, SubscriptionId subscription) {
  const auto found = by_id_.find(subscription);
  if (found == by_id_.end()) return std::nullopt;
  Entry& entry = *found->second;
  const auto local =
      std::find_if(entry.locals.begin(), entry.locals.end(),
                   [&](const Local& candidate) { return candidate.id == subscription; });
  if (local->told || !local->deadline || *local->deadline > now) return std::nullopt;
  effects_.push(
      client_effect::SubscribeDone{local->owner, subscription, Error(ErrorKind::timeout)});
  return remove(now, subscription);
}

}  // namespace conat::client_parts
