#include <algorithm>
#include <string>

#include "conat/sync/merge.hpp"
#include "conat/sync/text_diff.hpp"

namespace conat {
namespace {

// Walks over one side's edits, asked about ascending positions of the base.
class Side {
 public:
  explicit Side(std::vector<TextEdit> edits) : edits_(std::move(edits)) {}

  // What is inserted at `position`; call it once for each boundary.
  std::string_view insertion(std::size_t position) const {
    if (next_ == edits_.size() || edits_[next_].begin != position) return {};
    return edits_[next_].text;
  }
  // Whether the base from `position` to the next boundary is deleted.
  bool deletes(std::size_t position) const {
    return next_ < edits_.size() && edits_[next_].begin <= position && position < edits_[next_].end;
  }
  // The first boundary behind `position`.
  std::size_t boundary(std::size_t position, std::size_t end) const {
    if (next_ == edits_.size()) return end;
    const TextEdit& edit = edits_[next_];
    return edit.begin > position ? edit.begin : std::max(edit.end, position);
  }
  void advance(std::size_t position) {
    while (next_ < edits_.size() && edits_[next_].end <= position &&
           edits_[next_].begin < position) {
      ++next_;
    }
  }
  // A pure insertion at `position` has been used.
  void pass(std::size_t position) {
    if (next_ < edits_.size() && edits_[next_].begin == position && edits_[next_].end == position) {
      ++next_;
    }
  }

 private:
  std::vector<TextEdit> edits_;
  std::size_t next_ = 0;
};

std::string merge_edits(std::string_view base, Side local, Side remote) {
  std::string merged;
  std::size_t position = 0;
  while (true) {
    local.advance(position);
    remote.advance(position);
    const std::string_view there = remote.insertion(position);
    const std::string_view here = local.insertion(position);
    merged.append(there);
    if (here != there) merged.append(here);
    local.pass(position);
    remote.pass(position);
    if (position == base.size()) return merged;
    const std::size_t end =
        std::min(local.boundary(position, base.size()), remote.boundary(position, base.size()));
    if (!local.deletes(position) && !remote.deletes(position)) {
      merged.append(base.substr(position, end - position));
    }
    position = end;
  }
}

}  // namespace

std::optional<Value> merge_text(const MergeSides& sides) {
  if (sides.local == nullptr || sides.remote == nullptr) {
    const Value* changed = sides.local == nullptr ? sides.remote : sides.local;
    if (changed == nullptr) return std::nullopt;
    return *changed;
  }
  const std::string* local = sides.local->if_text();
  const std::string* remote = sides.remote->if_text();
  if (local == nullptr || remote == nullptr) return merge_lww(sides);
  const std::string* previous = sides.previous == nullptr ? nullptr : sides.previous->if_text();
  const std::string_view base = previous == nullptr ? std::string_view{} : *previous;
  return Value(merge_edits(base, Side(diff_text(base, *local)), Side(diff_text(base, *remote))));
}

}  // namespace conat
