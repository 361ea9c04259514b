// Any number of publishers, any order, any partition: every message is there exactly once, nobody
// ever sees one twice, and the messages of one publisher stay in their order.

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "property/sync/dstream_lab.hpp"

namespace conat {
namespace {

std::vector<std::int64_t> numbers(const std::vector<Value>& values) {
  std::vector<std::int64_t> found;
  for (const Value& value : values) found.push_back(value.integer_or(-1));
  return found;
}

// A message is replica * 1'000'000 + its number there.
constexpr std::int64_t kReplica = 1'000'000;

bool has_duplicates(std::vector<std::int64_t> shown) {
  std::sort(shown.begin(), shown.end());
  return std::adjacent_find(shown.begin(), shown.end()) != shown.end();
}

void play(std::uint64_t seed, int steps, bool deletes) {
  DStreamLab lab(seed, 2 + seed % 3);
  std::map<std::size_t, std::int64_t> published;
  std::set<std::int64_t> deleted;
  const std::uint32_t trouble = lab.random().below(3) * 4;
  for (std::size_t i = 0; i < lab.count(); ++i) lab.connect(i);
  for (int step = 0; step < steps; ++step) {
    if (lab.random().below(8) == 0) {
      const std::size_t who = lab.random().below(static_cast<std::uint32_t>(lab.count()));
      for (std::uint32_t burst = lab.random().below(4); burst-- > 0;) {
        lab.publish(who, Value(static_cast<std::int64_t>(who) * kReplica + published[who]++));
      }
    }
    if (deletes && lab.random().below(40) == 0) {
      if (const auto value = lab.discard_oldest()) deleted.insert(value->integer_or(-1));
    }
    lab.random_step(trouble);
    // Looking at everything takes long when it is long.
    if (step > 1000 && step % 8 != 0) continue;
    INFO("seed " << seed << ", step " << step);
    const std::size_t watched = lab.random().below(static_cast<std::uint32_t>(lab.count()));
    const auto shown = numbers(lab.view(watched));
    REQUIRE_FALSE(has_duplicates(shown));
    if (deletes) continue;
    // What one has published oneself is always there.
    std::int64_t own = 0;
    for (const std::int64_t number : shown) {
      if (number / kReplica == static_cast<std::int64_t>(watched)) ++own;
    }
    REQUIRE(own == published[watched]);
  }
  lab.settle();
  const auto stored = numbers(lab.server_view());
  std::map<std::int64_t, std::int64_t> next;
  for (const std::int64_t number : stored) {
    INFO("seed " << seed << ", message " << number);
    CHECK(deleted.count(number) == 0);
    std::int64_t& expected = next[number / kReplica];
    CHECK(number % kReplica >= expected);
    expected = number % kReplica + 1;
  }
  std::int64_t all = 0;
  for (const auto& entry : published) all += entry.second;
  CHECK(stored.size() + deleted.size() == static_cast<std::size_t>(all));
  for (std::size_t i = 0; i < lab.count(); ++i) {
    INFO("seed " << seed << ", replica " << i);
    CHECK(numbers(lab.view(i)) == stored);
    CHECK(lab.store(i).held() == stored.size());
    CHECK_FALSE(lab.store(i).has_unsaved_changes());
  }
}

TEST_CASE("every published message is stored and shown exactly once, in its publisher's order") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) play(seed, 400, false);
}

TEST_CASE("messages that are deleted meanwhile do not come back") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) play(seed, 400, true);
}

TEST_CASE("a long history of a stream") { play(77, 10'000, false); }

TEST_CASE("change effects, one after the other, lead to what is there") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    DStreamLab lab(seed, 2);
    std::map<std::size_t, std::map<StreamSequence, std::int64_t>> told;
    for (std::size_t i = 0; i < 2; ++i) lab.connect(i);
    std::int64_t next = 0;
    const auto listen = [&] {
      for (std::size_t i = 0; i < 2; ++i) {
        for (const DStreamEffect& effect : lab.take_effects(i)) {
          const auto* change = std::get_if<dstream_effect::Change>(&effect);
          if (change == nullptr) continue;
          const StreamSequence seq = change->change.seq;
          if (change->change.is_delete) {
            told[i].erase(seq);
            continue;
          }
          INFO("seed " << seed << ", seq " << seq);
          REQUIRE(told[i].count(seq) == 0);
          const EncodedValue& value = change->change.value;
          told[i][seq] = decode_payload(value.encoding, value.raw).value().integer_or(-1);
        }
      }
    };
    for (int step = 0; step < 300; ++step) {
      if (lab.random().below(6) == 0) lab.publish(lab.random().below(2), Value(next++));
      if (lab.random().below(50) == 0) lab.discard_oldest();
      lab.random_step(6);
      listen();
    }
    lab.settle();
    listen();
    const auto stored = numbers(lab.server_view());
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<std::int64_t> seen;
      for (const auto& entry : told[i]) seen.push_back(entry.second);
      INFO("seed " << seed << ", replica " << i);
      CHECK(seen == stored);
    }
  }
}

}  // namespace
}  // namespace conat
