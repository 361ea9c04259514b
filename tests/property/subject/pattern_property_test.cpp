// Patterns against patterns, compared with trying every subject over a small alphabet.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "conat/subject/subject.hpp"

using namespace conat;

namespace {

// All sequences of 1..most of `tokens`, joined.
std::vector<std::string> sequences(const std::vector<std::string>& tokens, std::size_t most) {
  std::vector<std::string> all;
  std::vector<std::string> longest = {""};
  for (std::size_t length = 1; length <= most; ++length) {
    std::vector<std::string> next;
    for (const std::string& begin : longest) {
      for (const std::string& token : tokens) {
        next.push_back(begin.empty() ? token : begin + "." + token);
      }
    }
    all.insert(all.end(), next.begin(), next.end());
    longest = std::move(next);
  }
  return all;
}

std::vector<std::string> patterns() {
  std::vector<std::string> valid;
  for (std::string& text : sequences({"a", "b", "*", ">"}, 3)) {
    if (is_valid_pattern(text)) valid.push_back(std::move(text));
  }
  return valid;
}

// "c" stands for every token that no pattern names; four tokens are more than any pattern has.
const std::vector<std::string>& subjects() {
  static const std::vector<std::string> all = sequences({"a", "b", "c"}, 4);
  return all;
}

std::vector<bool> matched_by(const std::string& pattern) {
  std::vector<bool> matched;
  matched.reserve(subjects().size());
  for (const std::string& subject : subjects())
    matched.push_back(pattern_matches(pattern, subject));
  return matched;
}

bool subset(const std::vector<bool>& part, const std::vector<bool>& whole) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] && !whole[i]) return false;
  }
  return true;
}

bool common(const std::vector<bool>& one, const std::vector<bool>& other) {
  for (std::size_t i = 0; i < one.size(); ++i) {
    if (one[i] && other[i]) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("covering and overlapping are what matching says", "[subject][property]") {
  const std::vector<std::string> all = patterns();
  REQUIRE(all.size() > 40);
  std::vector<std::vector<bool>> matched;
  for (const std::string& pattern : all) matched.push_back(matched_by(pattern));
  std::size_t covers = 0;
  std::size_t overlaps = 0;
  std::string wrong;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      const bool covered = pattern_covers(all[i], all[j]);
      const bool overlapping = patterns_overlap(all[i], all[j]);
      if (covered != subset(matched[j], matched[i])) wrong += all[i] + " covers " + all[j] + "\n";
      if (overlapping != common(matched[i], matched[j])) {
        wrong += all[i] + " overlaps " + all[j] + "\n";
      }
      covers += covered ? 1u : 0u;
      overlaps += overlapping ? 1u : 0u;
    }
  }
  CHECK(wrong == "");
  CHECK(covers > all.size());
  CHECK(overlaps > covers);
}
