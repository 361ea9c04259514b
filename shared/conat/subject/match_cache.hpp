// Which patterns match a subject, remembered for subjects that are published to again and again.
//
// A change of the pattern set invalidates only what the pattern could match: one without wildcards
// its own subject; one that begins with two literal tokens (an inbox, say) the subjects that begin
// with these (or with two of the same hash); and so on. So inboxes that come and go leave busy
// subjects cached. Invalid results stay in place until they are overwritten, and are never read.
//
// Bounded: at most `max_entries` subjects of at most kMaxSubjectBytes and kMaxPatterns patterns;
// two places for each hash, the less recently used one is overwritten. Thread safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace conat {

struct InterestPattern;

class MatchCache {
 public:
  // Never looked into here.
  using Pattern = InterestPattern*;
  static constexpr std::size_t kMaxSubjectBytes = 256;
  static constexpr std::size_t kMaxPatterns = 64;

  MatchCache(std::uint64_t hash_seed, std::size_t max_entries);

  // The valid result for a subject with this hash, or null. It is valid until the next change or
  // insertion.
  const std::vector<Pattern>* find(std::string_view subject, std::uint64_t hash);
  void insert(std::string_view subject, std::uint64_t hash, std::span<const Pattern> patterns);
  // A pattern was added or removed.
  void pattern_changed(std::string_view pattern, bool has_wildcards);

  std::size_t capacity() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint64_t stamp = 0;  // changes_ when it was made; 0: empty
    std::uint16_t first_domain = 0;
    std::uint16_t second_domain = 0;
    bool recent = false;
    std::string subject;
    std::vector<Pattern> patterns;
  };
  // Where changes of patterns with one, or with more leading literal tokens are noted.
  struct Domains {
    std::uint16_t first;
    std::uint16_t second;
  };

  Domains domains_of(std::string_view subject) const;
  bool valid(const Entry& entry) const;
  Entry* place_of(std::uint64_t hash);
  void grow();

  std::uint64_t hash_seed_;
  std::size_t max_entries_;
  std::uint64_t changes_ = 1;
  // The value of changes_ at the last change of a pattern of that kind.
  std::uint64_t wildcard_first_changed_ = 0;
  std::vector<std::uint64_t> first_changed_;
  std::vector<std::uint64_t> second_changed_;
  std::vector<Entry> entries_;
  std::size_t evictions_ = 0;  // since the last growth
};

}  // namespace conat
