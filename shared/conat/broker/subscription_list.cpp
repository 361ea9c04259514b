#include "conat/broker/subscription_list.hpp"

#include <algorithm>

namespace conat {

std::size_t SubscriptionList::place_of(const InterestPattern* pattern) const {
  if (index_) {
    const auto found = index_->find(pattern);
    return found == index_->end() ? kNowhere : found->second;
  }
  for (std::size_t place = 0; place < groups_.size(); ++place) {
    if (groups_[place] != nullptr && groups_[place]->pattern == pattern) return place;
  }
  return kNowhere;
}

InterestGroup* SubscriptionList::find(const InterestPattern* pattern) const {
  const std::size_t place = place_of(pattern);
  return place == kNowhere ? nullptr : groups_[place];
}

void SubscriptionList::add(InterestGroup& group) {
  groups_.push_back(&group);
  ++size_;
  if (index_) {
    index_->emplace(group.pattern, groups_.size() - 1);
  } else if (size_ >= kIndexFrom) {
    compact();
    build_index();
  }
}

bool SubscriptionList::remove(const InterestGroup& group) {
  const std::size_t place = place_of(group.pattern);
  if (place == kNowhere || groups_[place] != &group) return false;
  groups_[place] = nullptr;
  if (index_) index_->erase(group.pattern);
  --size_;
  if (groups_.size() > 8 && 2 * size_ < groups_.size()) {
    compact();
    if (size_ < kIndexFrom / 2) {
      index_.reset();
    } else if (index_) {
      build_index();
    }
  }
  return true;
}

void SubscriptionList::compact() {
  std::erase(groups_, nullptr);
  groups_.shrink_to_fit();
}

void SubscriptionList::build_index() {
  index_ = std::make_unique<Index>();
  index_->reserve(groups_.size());
  for (std::size_t place = 0; place < groups_.size(); ++place) {
    index_->emplace(groups_[place]->pattern, place);
  }
}

}  // namespace conat
