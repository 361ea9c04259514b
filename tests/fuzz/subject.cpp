// Lines of patterns and, last, a subject: matching, covering and the interest table agree.
#include "conat/subject/subject.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "conat/subject/interest_table.hpp"
#include "fuzz.hpp"

namespace {

using namespace conat;
using fuzz::require;

std::vector<std::string> matched(InterestTable& table, std::string_view subject) {
  std::span<InterestPattern* const> found;
  std::vector<std::string> texts;
  if (!table.match(subject, found)) return texts;
  for (const InterestPattern* pattern : found) texts.push_back(pattern->text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> patterns;
  std::string_view text = as_text({data, size});
  for (std::size_t line = text.find('\n'); line != text.npos && patterns.size() < 50;
       line = text.find('\n')) {
    const std::string pattern(text.substr(0, line));
    text.remove_prefix(line + 1);
    const bool known = std::find(patterns.begin(), patterns.end(), pattern) != patterns.end();
    if (is_valid_pattern(pattern) && !known) patterns.push_back(pattern);
  }
  const std::string subject(text);
  const bool valid = is_valid_subject(subject);
  InterestTable table(7);
  std::vector<InterestTable::Group*> groups;
  for (const std::string& pattern : patterns) groups.push_back(table.add(pattern, "q", 1).group);
  std::vector<std::string> expected;
  for (const std::string& pattern : patterns) {
    if (valid && pattern_matches(pattern, subject)) expected.push_back(pattern);
    for (const std::string& other : patterns) {
      if (!valid || !pattern_covers(pattern, other) || !pattern_matches(other, subject)) continue;
      require(pattern_matches(pattern, subject), "who covers matches");
    }
    require(pattern_covers(pattern, pattern), "a pattern covers itself");
  }
  std::sort(expected.begin(), expected.end());
  require(matched(table, subject) == expected, "the table finds what matches");
  require(matched(table, subject) == expected, "and finds it again");
  for (InterestTable::Group* group : groups) table.remove(*group, 1);
  require(table.pattern_count() == 0 && matched(table, subject).empty(), "nothing is left");
  return 0;
}
