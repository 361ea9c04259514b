// The members of a queue group in the order in which they joined. Most groups have one: it costs no
// allocation. Thread safety: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace conat {

class MemberList {
 public:
  using Member = std::uint64_t;  // never 0

  std::size_t size() const { return first_ == 0 ? 0 : 1 + (others_ ? others_->size() : 0); }
  bool empty() const { return first_ == 0; }
  Member operator[](std::size_t index) const { return index == 0 ? first_ : (*others_)[index - 1]; }
  Member oldest() const { return first_; }

  bool contains(Member member) const {
    return first_ == member ||
           (others_ && std::find(others_->begin(), others_->end(), member) != others_->end());
  }

  void add(Member member) {
    if (first_ == 0) {
      first_ = member;
      return;
    }
    if (!others_) others_ = std::make_unique<std::vector<Member>>();
    others_->push_back(member);
  }

  bool remove(Member member) {
    if (first_ == member) {
      first_ = 0;
      if (others_) {
        first_ = others_->front();
        erase_other(others_->begin());
      }
      return true;
    }
    if (!others_) return false;
    const auto found = std::find(others_->begin(), others_->end(), member);
    if (found == others_->end()) return false;
    erase_other(found);
    return true;
  }

 private:
  void erase_other(std::vector<Member>::iterator place) {
    others_->erase(place);
    if (others_->empty()) others_.reset();
  }

  Member first_ = 0;
  std::unique_ptr<std::vector<Member>> others_;  // never empty
};

}  // namespace conat
