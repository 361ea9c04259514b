#include "conat/sync/message_log.hpp"

#include <catch2/catch.hpp>
#include <map>

#include "conat/base/random.hpp"

namespace conat {
namespace {

StreamMessage logged(StreamSequence seq, std::optional<std::string> key = std::nullopt) {
  StreamMessage message;
  message.seq = seq;
  message.time = 1000 + seq;
  message.key = std::move(key);
  message.raw = Bytes(static_cast<std::size_t>(seq % 7), static_cast<std::uint8_t>(seq));
  return message;
}

void insert(MessageLog& log, const std::vector<StreamMessage>& messages) {
  std::vector<const StreamMessage*> pointers;
  for (const StreamMessage& message : messages) pointers.push_back(&message);
  log.insert(pointers);
}

TEST_CASE("a log gives back what was appended, by index and by number") {
  MessageLog log;
  StreamMessage keyed = logged(3, "");
  keyed.headers.set("h", Value(1));
  keyed.encoding = PayloadEncoding::json;
  log.append(keyed);
  log.append(logged(8));
  REQUIRE(log.size() == 2);
  const MessageLog::Entry first = log.at(0);
  CHECK(first.seq == 3);
  CHECK(first.time == 1003);
  REQUIRE(first.key);
  CHECK(first.key->empty());
  CHECK(first.encoding == PayloadEncoding::json);
  CHECK(as_text(first.raw) == as_text(keyed.raw));
  CHECK(Headers(to_bytes(first.headers)).number("h") == 1);
  CHECK_FALSE(log.at(1).key);
  CHECK(log.index_of(8) == 1);
  CHECK(log.index_of(5) == MessageLog::none);
  CHECK(log.lower_bound(4) == 1);
  CHECK(log.lower_bound(9) == 2);
  CHECK_FALSE(log.find(4));
}

TEST_CASE("a log takes numbers that start again") {
  MessageLog log;
  for (StreamSequence seq = 1; seq <= 5; ++seq) log.append(logged(seq));
  for (StreamSequence seq = 1; seq <= 5; ++seq) CHECK(log.erase(seq));
  CHECK(log.size() == 0);
  log.append(logged(2));
  CHECK(log.at(0).seq == 2);
  CHECK(log.index_of(2) == 0);
  CHECK(log.index_of(5) == MessageLog::none);
}

TEST_CASE("a log agrees with a map through random histories") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random dice(seed);
    MessageLog log;
    std::map<StreamSequence, std::size_t> model;
    StreamSequence last = 1000;
    for (int step = 0; step < 2000; ++step) {
      const std::uint32_t what = dice.below(100);
      if (what < 45 || model.empty()) {
        last += 1 + dice.below(3);
        log.append(logged(last));
        model.emplace(last, static_cast<std::size_t>(last % 7));
      } else if (what < 90) {
        // The oldest, as limits do, or any.
        auto victim = model.begin();
        if (what >= 60) std::advance(victim, dice.below(static_cast<std::uint32_t>(model.size())));
        CHECK(log.erase(victim->first));
        CHECK_FALSE(log.erase(victim->first));
        model.erase(victim);
      } else if (what < 92) {
        std::vector<StreamMessage> older;
        for (StreamSequence seq = 1; seq < last && older.size() < 5; seq += 1 + dice.below(200)) {
          if (model.count(seq) == 0) older.push_back(logged(seq));
        }
        insert(log, older);
        for (const StreamMessage& message : older) {
          model.emplace(message.seq, static_cast<std::size_t>(message.seq % 7));
        }
      } else {
        const StreamSequence seq = dice.below(static_cast<std::uint32_t>(last + 5));
        const auto at = model.lower_bound(seq);
        const auto index = static_cast<std::size_t>(std::distance(model.begin(), at));
        CHECK(log.lower_bound(seq) == index);
        CHECK(log.index_of(seq) == (model.count(seq) > 0 ? index : MessageLog::none));
      }
      REQUIRE(log.size() == model.size());
    }
    std::size_t index = 0;
    std::uint64_t bytes = 0;
    for (const auto& entry : model) {
      INFO("seed " << seed);
      REQUIRE(log.at(index).seq == entry.first);
      bytes += entry.second;
      ++index;
    }
    CHECK(log.bytes() == bytes);
  }
}

}  // namespace
}  // namespace conat
