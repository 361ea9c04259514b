#include "conat/subject/match_cache.hpp"

#include <algorithm>

#include "conat/subject/hash_index.hpp"
#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::size_t kFirstDomains = 1024;
constexpr std::size_t kSecondDomains = 4096;
constexpr std::size_t kInitialEntries = 256;
constexpr std::size_t kWays = 2;

}  // namespace

MatchCache::MatchCache(std::uint64_t hash_seed, std::size_t max_entries)
    : hash_seed_(hash_seed),
      max_entries_(std::max(max_entries, kWays)),
      first_changed_(kFirstDomains),
      second_changed_(kSecondDomains),
      entries_(std::min(kInitialEntries, max_entries_ / kWays * kWays)) {}

MatchCache::Domains MatchCache::domains_of(std::string_view subject) const {
  const std::size_t dot = subject.find('.');
  const std::size_t second_dot =
      dot == std::string_view::npos ? std::string_view::npos : subject.find('.', dot + 1);
  return {static_cast<std::uint16_t>(hash_text(subject.substr(0, dot), hash_seed_) % kFirstDomains),
          static_cast<std::uint16_t>(hash_text(subject.substr(0, second_dot), hash_seed_) %
                                     kSecondDomains)};
}

bool MatchCache::valid(const Entry& entry) const {
  return entry.stamp > wildcard_first_changed_ &&
         entry.stamp > first_changed_[entry.first_domain] &&
         entry.stamp > second_changed_[entry.second_domain];
}

const std::vector<MatchCache::Pattern>* MatchCache::find(std::string_view subject,
                                                         std::uint64_t hash) {
  const std::size_t first = hash % (entries_.size() / kWays) * kWays;
  for (std::size_t way = 0; way < kWays; ++way) {
    Entry& entry = entries_[first + way];
    if (entry.hash == hash && entry.subject == subject && valid(entry)) {
      entry.recent = true;
      entries_[first + (way ^ 1)].recent = false;
      return &entry.patterns;
    }
  }
  return nullptr;
}

// The place to overwrite: one for the same subject, an invalid one, or the less recent.
MatchCache::Entry* MatchCache::place_of(std::uint64_t hash) {
  Entry* set = &entries_[hash % (entries_.size() / kWays) * kWays];
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set[way].hash == hash || !valid(set[way])) return &set[way];
  }
  return set[0].recent ? &set[1] : &set[0];
}

void MatchCache::insert(std::string_view subject, std::uint64_t hash,
                        std::span<const Pattern> patterns) {
  if (subject.size() > kMaxSubjectBytes || patterns.size() > kMaxPatterns) return;
  Entry* entry = place_of(hash);
  if (valid(*entry) && ++evictions_ > entries_.size() && 2 * entries_.size() <= max_entries_) {
    grow();
    entry = place_of(hash);
  }
  const Domains domains = domains_of(subject);
  entry->hash = hash;
  entry->stamp = changes_;
  entry->first_domain = domains.first;
  entry->second_domain = domains.second;
  entry->recent = true;
  entry->subject = subject;
  entry->patterns.assign(patterns.begin(), patterns.end());
}

void MatchCache::pattern_changed(std::string_view pattern, bool has_wildcards) {
  const std::uint64_t now = changes_++;
  if (!has_wildcards) {
    const std::uint64_t hash = hash_text(pattern, hash_seed_);
    Entry* set = &entries_[hash % (entries_.size() / kWays) * kWays];
    for (std::size_t way = 0; way < kWays; ++way) {
      if (set[way].hash == hash) set[way].stamp = 0;
    }
    return;
  }
  TokenReader tokens(pattern);
  std::size_t literals = 0;
  while (literals < 2 && tokens.next() && tokens.token() != "*" &&
         !(tokens.token() == ">" && tokens.at_end())) {
    ++literals;
  }
  const Domains domains = domains_of(pattern);
  if (literals == 0) {
    wildcard_first_changed_ = now;
  } else if (literals == 1) {
    first_changed_[domains.first] = now;
  } else {
    second_changed_[domains.second] = now;
  }
}

void MatchCache::grow() {
  std::vector<Entry> old(2 * entries_.size());
  old.swap(entries_);
  evictions_ = 0;
  for (Entry& entry : old) {
    if (valid(entry)) *place_of(entry.hash) = std::move(entry);
  }
}

}  // namespace conat
