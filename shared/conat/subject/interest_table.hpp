// Who is interested in what: pattern -> queue group -> members of this shard, and how many members
// each sibling shard and each joined broker has.
//
// A pattern exists while it has a group, a group while it has a member or a remote weight. Patterns
// and groups stay at their addresses until they are removed; a group's id is never used again.
// Cheap in time and memory for hundreds of thousands of subscriptions that come and go.
//
// Thread safety: none. The spans that match() hands out are valid until the next change or match.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/subject/hash_index.hpp"
#include "conat/subject/match_cache.hpp"
#include "conat/subject/member_list.hpp"
#include "conat/subject/pattern_trie.hpp"

namespace conat {

// A queue group of a pattern.
struct InterestGroup {
  using Id = std::uint64_t;  // never 0
  // A sibling's members of the group: how many, and the sibling's own id for the group. (Joined
  // brokers have numbers behind those of the siblings.)
  struct Remote {
    std::uint16_t shard;
    std::uint32_t weight;
    Id group;
  };

  Id id = 0;
  InterestPattern* pattern = nullptr;
  std::string queue;
  MemberList members;
  std::vector<Remote> remotes;      // by `shard`, ascending
  std::uint32_t remote_weight = 0;  // the sum over `remotes`
  std::uint32_t position = 0;       // in the pattern's groups

  std::uint64_t weight() const { return members.size() + remote_weight; }
  // How many of the remotes are shards below `shards`, the first ones, and their weight.
  struct Reach {
    std::size_t remotes = 0;
    std::uint64_t weight = 0;
  };
  Reach reach_below(std::uint16_t shards) const {
    Reach reach;
    while (reach.remotes < remotes.size() && remotes[reach.remotes].shard < shards) {
      reach.weight += remotes[reach.remotes++].weight;
    }
    return reach;
  }
};

struct InterestPattern {
  // What delivering needs first: `only_member` is set when a group is just that one here.
  struct Place {
    InterestGroup* group;
    MemberList::Member only_member;
  };

  std::string text;
  std::vector<Place> groups;
  std::uint32_t number = 0;
  std::uint32_t trie_node = PatternTrie::kNone;  // kNone: without wildcards
  bool is_tap = false;                           // the bare `>`, which does not count as interest
};

class InterestTable {
 public:
  using Member = MemberList::Member;  // never 0
  using Group = InterestGroup;
  using GroupId = InterestGroup::Id;
  using Remote = InterestGroup::Remote;
  using Pattern = InterestPattern;

  struct Statistics {
    std::uint64_t cache_hits = 0;
    std::uint64_t cache_misses = 0;
  };

  explicit InterestTable(std::uint64_t hash_seed,
                         std::size_t max_cached_subjects = limits::max_match_cache_entries);
  InterestTable(const InterestTable&) = delete;
  InterestTable& operator=(const InterestTable&) = delete;

  // ---- changes; patterns must be valid ----
  struct Added {
    Group* group;
    bool new_pattern;  // there was no interest in it at all
  };
  // The member must not be in any group of this pattern.
  Added add(std::string_view pattern, std::string_view queue, Member member);
  // The group may be gone afterwards.
  void remove(Group& group, Member member);
  // Replaces what is known of a sibling's members; weight 0: none are left. Returns true when the
  // pattern is new.
  bool set_remote(std::string_view pattern, std::string_view queue, const Remote& remote);

  // ---- lookups ----
  Pattern* find_pattern(std::string_view pattern);
  Group* find_group(GroupId id);
  Group* find_group(std::string_view pattern, std::string_view queue);
  // Calls visit(const Group&) for each.
  template <class Visit>
  void for_each_group(Visit&& visit) const {
    for (const GroupSlot& slot : groups_) {
      if (slot.group) visit(*slot.group);
    }
  }
  // The patterns that match; false when the subject is not valid to publish to.
  bool match(std::string_view subject, std::span<Pattern* const>& patterns);
  // Whether a subject has takers other than taps. The subject must be valid.
  bool has_interest(std::string_view subject);

  std::size_t pattern_count() const { return pattern_index_.size(); }
  std::size_t group_count() const { return group_index_.size(); }
  const Statistics& statistics() const { return statistics_; }

 private:
  struct GroupSlot {
    std::unique_ptr<Group> group;
    std::uint32_t generation = 0;
  };

  std::uint32_t pattern_hash(std::string_view pattern) const;
  std::uint32_t group_hash(const Pattern& pattern, std::string_view queue) const;
  Pattern& obtain_pattern(std::string_view text, bool& is_new);
  Group* find_group(const Pattern& pattern, std::string_view queue);
  Group& obtain_group(Pattern& pattern, std::string_view queue);
  void settle(Group& group);
  void remove_group(Group& group);
  void remove_pattern(Pattern& pattern);

  std::uint64_t hash_seed_;
  HashIndex pattern_index_;  // by text
  HashIndex group_index_;    // by pattern and queue
  std::vector<std::unique_ptr<Pattern>> patterns_;
  std::vector<std::uint32_t> free_patterns_;
  std::vector<GroupSlot> groups_;
  std::vector<std::uint32_t> free_groups_;
  PatternTrie trie_;
  MatchCache cache_;
  Statistics statistics_;
  std::vector<std::uint32_t> numbers_;  // of the last match
  std::vector<Pattern*> matched_;
};

}  // namespace conat
