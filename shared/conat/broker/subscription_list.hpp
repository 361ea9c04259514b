// The subscriptions of one connection, in the order in which they were made.
//
// A few are searched one by one; beyond that an index is kept, so that a hub's 15,000 stay cheap.
// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "conat/subject/interest_table.hpp"

namespace conat {

class SubscriptionList {
 public:
  std::size_t size() const { return size_; }
  // The group that the connection holds of this pattern, or null.
  InterestGroup* find(const InterestPattern* pattern) const;
  // The pattern must not be there yet.
  void add(InterestGroup& group);
  // Call it before the group is touched. Returns false when it is not there.
  bool remove(const InterestGroup& group);

  // Calls visit(InterestGroup&) for each.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (InterestGroup* group : groups_) {
      if (group != nullptr) visit(*group);
    }
  }

 private:
  static constexpr std::size_t kIndexFrom = 64;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  std::size_t place_of(const InterestPattern* pattern) const;
  void compact();
  void build_index();

  std::vector<InterestGroup*> groups_;  // null: removed
  std::size_t size_ = 0;
  using Index = std::unordered_map<const InterestPattern*, std::size_t>;
  std::unique_ptr<Index> index_;  // places in groups_; absent while there are few
};

}  // namespace conat
