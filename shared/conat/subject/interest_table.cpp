#include "conat/subject/interest_table.hpp"

#include <algorithm>

#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::string_view kTap = ">";

}  // namespace

InterestTable::InterestTable(std::uint64_t hash_seed, std::size_t max_cached_subjects)
    : hash_seed_(hash_seed), trie_(hash_seed), cache_(hash_seed, max_cached_subjects) {}

std::uint32_t InterestTable::pattern_hash(std::string_view pattern) const {
  return static_cast<std::uint32_t>(hash_text(pattern, hash_seed_));
}

std::uint32_t InterestTable::group_hash(const Pattern& pattern, std::string_view queue) const {
  return static_cast<std::uint32_t>(
      hash_text(queue, hash_seed_ + pattern.number * std::uint64_t{0x9e3779b97f4a7c15}));
}

InterestTable::Pattern* InterestTable::find_pattern(std::string_view pattern) {
  const std::uint32_t number = pattern_index_.find(
      pattern_hash(pattern), [&](std::uint32_t i) { return patterns_[i]->text == pattern; });
  return number == HashIndex::kNone ? nullptr : patterns_[number].get();
}

InterestTable::Group* InterestTable::find_group(const Pattern& pattern, std::string_view queue) {
  const std::uint32_t slot = group_index_.find(group_hash(pattern, queue), [&](std::uint32_t i) {
    return groups_[i].group->pattern == &pattern && groups_[i].group->queue == queue;
  });
  return slot == HashIndex::kNone ? nullptr : groups_[slot].group.get();
}

InterestTable::Group* InterestTable::find_group(GroupId id) {
  const auto slot = static_cast<std::size_t>(id & 0xffffffff);  // the low half always fits
  if (slot >= groups_.size() || !groups_[slot].group || groups_[slot].group->id != id) {
    return nullptr;
  }
  return groups_[slot].group.get();
}

InterestTable::Group* InterestTable::find_group(std::string_view pattern, std::string_view queue) {
  const Pattern* known = find_pattern(pattern);
  return known == nullptr ? nullptr : find_group(*known, queue);
}

InterestTable::Pattern& InterestTable::obtain_pattern(std::string_view text, bool& is_new) {
  if (Pattern* known = find_pattern(text)) {
    is_new = false;
    return *known;
  }
  is_new = true;
  std::uint32_t number;
  if (free_patterns_.empty()) {
    number = static_cast<std::uint32_t>(patterns_.size());
    patterns_.emplace_back();
  } else {
    number = free_patterns_.back();
    free_patterns_.pop_back();
  }
  patterns_[number] = std::make_unique<Pattern>();
  Pattern& pattern = *patterns_[number];
  pattern.text = text;
  pattern.number = number;
  pattern.is_tap = text == kTap;
  pattern_index_.insert(pattern_hash(text), number);
  const bool wild = has_wildcards(text);
  if (wild) pattern.trie_node = trie_.insert(text, number);
  cache_.pattern_changed(text, wild);
  return pattern;
}

InterestTable::Group& InterestTable::obtain_group(Pattern& pattern, std::string_view queue) {
  if (Group* known = find_group(pattern, queue)) return *known;
  std::uint32_t slot;
  if (free_groups_.empty()) {
    slot = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    slot = free_groups_.back();
    free_groups_.pop_back();
  }
  GroupSlot& place = groups_[slot];
  place.group = std::make_unique<Group>();
  Group& group = *place.group;
  group.id = std::uint64_t{++place.generation} << 32 | slot;
  group.pattern = &pattern;
  group.queue = queue;
  group.position = static_cast<std::uint32_t>(pattern.groups.size());
  pattern.groups.push_back({&group, 0});
  group_index_.insert(group_hash(pattern, queue), slot);
  return group;
}

// Brings what is derived from a group's members up to date; removes it when nobody is left.
void InterestTable::settle(Group& group) {
  group.remote_weight = 0;
  for (const Remote& remote : group.remotes) group.remote_weight += remote.weight;
  if (group.weight() == 0) {
    remove_group(group);
    return;
  }
  const bool single = group.members.size() == 1 && group.remotes.empty();
  group.pattern->groups[group.position].only_member = single ? group.members.oldest() : 0;
}

void InterestTable::remove_group(Group& group) {
  Pattern& pattern = *group.pattern;
  const auto slot = static_cast<std::uint32_t>(group.id & 0xffffffff);
  group_index_.erase(group_hash(pattern, group.queue), slot);
  pattern.groups[group.position] = pattern.groups.back();
  pattern.groups[group.position].group->position = group.position;
  pattern.groups.pop_back();
  groups_[slot].group.reset();
  // A slot whose generations are used up is retired: ids are never used again.
  if (groups_[slot].generation != 0xffffffff) free_groups_.push_back(slot);
  if (pattern.groups.empty()) remove_pattern(pattern);
}

void InterestTable::remove_pattern(Pattern& pattern) {
  const std::uint32_t number = pattern.number;
  const bool wild = pattern.trie_node != PatternTrie::kNone;
  if (wild) trie_.remove(pattern.trie_node);
  cache_.pattern_changed(pattern.text, wild);
  pattern_index_.erase(pattern_hash(pattern.text), number);
  patterns_[number].reset();
  free_patterns_.push_back(number);
}

InterestTable::Added InterestTable::add(std::string_view pattern, std::string_view queue,
                                        Member member) {
  bool is_new = false;
  Group& group = obtain_group(obtain_pattern(pattern, is_new), queue);
  group.members.add(member);
  settle(group);
  return {&group, is_new};
}

void InterestTable::remove(Group& group, Member member) {
  if (group.members.remove(member)) settle(group);
}

bool InterestTable::set_remote(std::string_view pattern_text, std::string_view queue,
                               const Remote& remote) {
  bool is_new = false;
  if (remote.weight == 0) {
    Group* group = find_group(pattern_text, queue);
    if (group == nullptr) return false;
    std::erase_if(group->remotes, [&](const Remote& r) { return r.shard == remote.shard; });
    settle(*group);
    return false;
  }
  Group& group = obtain_group(obtain_pattern(pattern_text, is_new), queue);
  const auto place = std::find_if(group.remotes.begin(), group.remotes.end(),
                                  [&](const Remote& r) { return r.shard >= remote.shard; });
  if (place == group.remotes.end() || place->shard != remote.shard) {
    group.remotes.insert(place, remote);
  } else {
    *place = remote;
  }
  settle(group);
  return is_new;
}

bool InterestTable::match(std::string_view subject, std::span<Pattern* const>& patterns) {
  const std::uint64_t hash = hash_text(subject, hash_seed_);
  if (const auto* cached = cache_.find(subject, hash)) {
    ++statistics_.cache_hits;
    patterns = *cached;
    return true;
  }
  if (!is_valid_subject(subject)) return false;
  ++statistics_.cache_misses;
  numbers_.clear();
  matched_.clear();
  if (Pattern* literal = find_pattern(subject)) {
    if (literal->trie_node == PatternTrie::kNone) matched_.push_back(literal);
  }
  trie_.match(subject, numbers_);
  for (const std::uint32_t number : numbers_) matched_.push_back(patterns_[number].get());
  cache_.insert(subject, hash, matched_);
  patterns = matched_;
  return true;
}

bool InterestTable::has_interest(std::string_view subject) {
  std::span<Pattern* const> patterns;
  if (!match(subject, patterns)) return false;
  return std::any_of(patterns.begin(), patterns.end(),
                     [](const Pattern* pattern) { return !pattern->is_tap; });
}

}  // namespace conat
