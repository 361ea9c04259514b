#include "conat/sync/key_table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "conat/base/random.hpp"

namespace conat {
namespace {

StreamMessage message(StreamSequence seq, std::string value) {
  StreamMessage made;
  made.seq = seq;
  made.time = seq * 10;
  made.raw = to_bytes(value);
  return made;
}

std::vector<std::string> keys(const KeyTable& table) {
  std::vector<std::string> found;
  for (KeyTable::Slot slot = 0; slot < table.slot_count(); ++slot) {
    if (table.occupied(slot)) found.emplace_back(table.entry(slot).key);
  }
  return found;
}

TEST_CASE("a key table finds by key and by sequence number") {
  KeyTable table(7);
  const auto slot = table.add("key");
  CHECK(table.find("key") == slot);
  CHECK(table.find("other") == KeyTable::none);
  CHECK(table.message_count() == 0);
  CHECK_FALSE(table.entry(slot).has_value());

  table.set_pending(slot, true);
  table.assign(slot, message(5, "value"), false);
  CHECK(table.find_seq(5) == slot);
  CHECK(as_text(table.entry(slot).raw) == "value");
  CHECK(table.entry(slot).time == 50);
  CHECK(table.entry(slot).has_value());
  CHECK(table.pending(slot));

  table.assign(slot, message(9, "newer"), true);
  CHECK(table.find_seq(5) == KeyTable::none);
  CHECK(table.find_seq(9) == slot);
  CHECK(table.message_count() == 1);
  CHECK_FALSE(table.entry(slot).has_value());

  table.clear_message(slot);
  CHECK(table.find_seq(9) == KeyTable::none);
  CHECK(table.message_count() == 0);
  CHECK(table.find("key") == slot);
}

TEST_CASE("keys keep the order of insertion") {
  KeyTable table(1);
  for (const char* key : {"c", "a", "b"}) table.add(key);
  CHECK(keys(table) == std::vector<std::string>{"c", "a", "b"});
  table.move_to_end(table.find("c"));
  CHECK(keys(table) == std::vector<std::string>{"a", "b", "c"});
  table.erase(table.find("b"));
  table.add("");
  CHECK(keys(table) == std::vector<std::string>{"a", "c", ""});
  CHECK(table.find("") != KeyTable::none);
}

TEST_CASE("a key table does what a map does, whatever is done to it") {
  Random random(3);
  KeyTable table(random.next_u64());
  std::map<std::string, StreamSequence> expected;
  std::vector<std::string> order;
  StreamSequence next = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = "k" + std::to_string(random.below(300));
    const auto slot = table.find(key);
    REQUIRE((slot != KeyTable::none) == (expected.count(key) == 1));
    const auto place = std::find(order.begin(), order.end(), key);
    switch (random.below(4)) {
      case 0:
        if (slot == KeyTable::none) break;
        table.erase(slot);
        expected.erase(key);
        order.erase(place);
        break;
      case 1:
        if (slot == KeyTable::none) break;
        table.move_to_end(slot);
        order.erase(place);
        order.push_back(key);
        break;
      default: {
        const auto target = slot == KeyTable::none ? table.add(key) : slot;
        if (slot == KeyTable::none) order.push_back(key);
        table.assign(target, message(++next, key), false);
        expected[key] = next;
      }
    }
  }
  CHECK(keys(table) == order);
  CHECK(table.message_count() == expected.size());
  // Holes are closed: the slots do not grow with what was done.
  CHECK(table.slot_count() < 1000);
  for (const auto& entry : expected) {
    REQUIRE(table.find_seq(entry.second) == table.find(entry.first));
    CHECK(as_text(table.entry(table.find(entry.first)).raw) == entry.first);
  }
}

}  // namespace
}  // namespace conat
