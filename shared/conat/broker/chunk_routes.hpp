// Which member of each queue group gets the chunks of a message that is still being sent: the
// choice made for the first chunk is kept until the last, because a message in pieces on several
// members is lost.
//
// A group that was a single member of this shard at the first chunk is not recorded: its oldest
// member is still that one. So the usual subscriber costs nothing here. Bounded for each sender;
// what is forgotten early costs at worst that one message. Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/base/time.hpp"
#include "conat/subject/interest_table.hpp"

namespace conat {

// Who takes a message for a group: a member of this shard, or a sibling shard.
struct GroupChoice {
  InterestTable::Member member = 0;               // 0: none
  const InterestGroup::Remote* remote = nullptr;  // instead of a member
};

class ChunkRoutes {
 public:
  static constexpr std::size_t max_messages_per_sender = limits::max_partial_messages;
  static constexpr std::size_t max_choices_per_sender = 16'384;

  explicit ChunkRoutes(std::uint64_t hash_seed) : hash_seed_(hash_seed) {}

  class Route {
   public:
    // Notes the choice for a group. Groups may come in any order, each once.
    void note(const InterestGroup& group, const GroupChoice& choice);
    // The recorded choice, as far as it still holds: none when the chosen one is gone; nullopt when
    // nothing was recorded.
    std::optional<GroupChoice> find(const InterestGroup& group);

   private:
    friend class ChunkRoutes;
    static constexpr std::uint32_t kLocal = 0xffffffff;
    struct Choice {
      InterestGroup::Id group;
      InterestTable::Member member;
      std::uint32_t shard;  // or kLocal
    };
    std::uint64_t message = 0;  // the hash of its id
    TimeMs started = 0;
    bool sorted = true;
    std::size_t room = 0;
    std::vector<Choice> choices;
  };

  // Starts a message; forgets the sender's oldest when there are too many. The pointer is valid
  // until the next call.
  Route* begin(TimeMs now, std::uint64_t sender, std::string_view message_id);
  // Null when nothing was recorded.
  Route* find(std::uint64_t sender, std::string_view message_id);
  void finish(std::uint64_t sender, std::string_view message_id);
  void forget(std::uint64_t sender);
  // Drops what is older than limits::partial_message_ttl_ms.
  void expire(TimeMs now);
  std::optional<TimeMs> deadline() const;
  std::size_t sender_count() const { return senders_.size(); }
  // For choosing without a record, the same way each time.
  std::uint64_t hash_of(std::uint64_t sender, std::string_view message_id) const;

 private:
  std::uint64_t hash_seed_;
  std::unordered_map<std::uint64_t, std::vector<Route>> senders_;  // oldest first, never empty
  std::optional<TimeMs> sweep_at_;
};

}  // namespace conat
