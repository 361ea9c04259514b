// The parts of a broker by themselves.
#include <algorithm>
#include <catch2/catch.hpp>

#include "conat/broker/chunk_routes.hpp"
#include "conat/broker/connection_table.hpp"
#include "conat/broker/effect_queue.hpp"
#include "conat/broker/interest_waits.hpp"
#include "conat/broker/reader_congestion.hpp"
#include "conat/broker/sender_holds.hpp"
#include "conat/broker/subscription_list.hpp"
#include "conat/broker/timer_queue.hpp"

using namespace conat;

namespace {

std::unique_ptr<Connection> connection() {
  static const ServerSessionOptions options;
  return std::make_unique<Connection>(options, Handshake{"", Identity{}, false}, 0);
}

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("connection ids are never used again", "[broker][parts]") {
  ConnectionTable table(3);
  const ConnectionId first = table.add(connection());
  const ConnectionId second = table.add(connection());
  CHECK(first != 0);
  CHECK(table.shard_of(first) == 3);
  CHECK(table.size() == 2);
  REQUIRE(table.find(first) != nullptr);
  CHECK(table.find(first) == &table.at(first));
  table.remove(first);
  CHECK(table.find(first) == nullptr);
  CHECK(table.find(second) != nullptr);
  std::vector<ConnectionId> all{first, second};
  for (int i = 0; i < 1000; ++i) {
    const ConnectionId id = table.add(connection());
    CHECK(std::find(all.begin(), all.end(), id) == all.end());
    all.push_back(id);
    table.remove(id);
    CHECK(table.find(id) == nullptr);
  }
  CHECK(table.find(0) == nullptr);
  CHECK(table.find(~std::uint64_t{0}) == nullptr);
  CHECK(table.find(second ^ std::uint64_t{1} << 48) == nullptr);
  std::size_t visited = 0;
  table.for_each([&](ConnectionId id, ConnectionHead&) {
    CHECK(id == second);
    ++visited;
  });
  CHECK(visited == 1);
}

TEST_CASE("an idle connection takes little memory", "[broker][parts]") {
  CHECK(sizeof(ConnectionHead) + sizeof(Connection) < 1400);
  CHECK(sizeof(ConnectionHead) <= 80);
}

TEST_CASE("a place serves so many connections and then no more", "[broker][parts]") {
  ConnectionTable table(0);
  const ConnectionId first = table.add(connection());
  table.at(first).generation = (1u << 24) - 1;
  table.for_each([&](ConnectionId id, ConnectionHead&) { table.remove(id); });
  const ConnectionId next = table.add(connection());
  CHECK((next & 0xffffff) == 1);  // another place
}

TEST_CASE("effects come out in order", "[broker][parts]") {
  EffectQueue queue;
  BrokerEffect effect;
  CHECK_FALSE(queue.next(effect));
  for (int round = 0; round < 3; ++round) {
    const SharedBytes bytes = SharedBytes::copy_of(as_bytes("abc"));
    queue.send(1, bytes);
    queue.to_peer(2, peer::InterestSync{7});
    queue.pause_reading(3, true);
    queue.to_peer(4, peer::SenderClosed{8});
    queue.close({5, CloseReason::keep_alive, true, std::make_unique<CloseDetails>()});
    REQUIRE(queue.next(effect));
    CHECK(std::get<effect::Send>(effect).connection == 1);
    CHECK(std::get<effect::Send>(effect).bytes.data() == bytes.data());
    REQUIRE(queue.next(effect));
    CHECK(std::get<effect::ToPeer>(effect).shard == 2);
    CHECK(std::get<peer::InterestSync>(std::get<effect::ToPeer>(effect).message).token == 7);
    REQUIRE(queue.next(effect));
    CHECK(std::get<effect::PauseReading>(effect).paused);
    REQUIRE(queue.next(effect));
    CHECK(std::get<peer::SenderClosed>(std::get<effect::ToPeer>(effect).message).sender == 8);
    REQUIRE(queue.next(effect));
    CHECK(std::get<effect::Close>(effect).connection == 5);
    CHECK(std::get<effect::Close>(effect).reason == CloseReason::keep_alive);
    CHECK(std::get<effect::Close>(effect).flush);
    CHECK(std::get<effect::Close>(effect).details != nullptr);
    CHECK_FALSE(queue.next(effect));
  }
}

TEST_CASE("a connection's subscriptions keep their order", "[broker][parts]") {
  InterestTable table(1);
  SubscriptionList list;
  std::vector<std::string> expected;
  std::vector<InterestGroup*> groups;
  for (int i = 0; i < 500; ++i) {
    groups.push_back(table.add("s" + std::to_string(i), "q", 1).group);
    list.add(*groups.back());
    CHECK(list.find(groups.back()->pattern) == groups.back());
  }
  InterestGroup* foreign = table.add("foreign", "q", 2).group;
  CHECK(list.find(foreign->pattern) == nullptr);
  CHECK_FALSE(list.remove(*foreign));
  InterestGroup* other_queue = table.add("s0", "another", 2).group;
  CHECK_FALSE(list.remove(*other_queue));
  for (int i = 0; i < 500; ++i) {
    if (i % 10 == 3) {
      expected.push_back(groups[i]->pattern->text);
    } else {
      CHECK(list.remove(*groups[i]));
      CHECK_FALSE(list.remove(*groups[i]));
      CHECK(list.find(groups[i]->pattern) == nullptr);
    }
  }
  CHECK(list.size() == 50);
  std::vector<std::string> texts;
  list.for_each([&](InterestGroup& group) { texts.push_back(group.pattern->text); });
  CHECK(texts == expected);
  for (int i = 3; i < 500; i += 10) CHECK(list.find(groups[i]->pattern) == groups[i]);
  list.add(*groups[0]);
  CHECK(list.find(groups[0]->pattern) == groups[0]);
}

TEST_CASE("waits are found by the patterns that match them", "[broker][parts]") {
  InterestWaits waits;
  const auto taken = [&](std::string_view pattern) {
    Ids ids;
    for (const InterestWaits::Waiter& waiter : waits.take_matching(pattern)) {
      ids.push_back(waiter.ack_id);
    }
    return ids;
  };
  waits.add("a.b.c", {1, 1}, 100);
  waits.add("a.b.d", {1, 2}, 90);
  waits.add("a.b", {2, 3}, 110);
  waits.add("a.bc.d", {2, 4}, 120);
  waits.add("a.b.c", {3, 5}, 130);
  CHECK(waits.deadline() == 90);
  CHECK(waits.count(1) == 2);
  CHECK(taken("a.b.x").empty());
  CHECK(taken("b.>").empty());
  CHECK(taken("a.b.*") == Ids{1, 2, 5});
  CHECK(waits.count(1) == 0);
  CHECK(waits.deadline() == 110);
  CHECK(taken("a.b") == Ids{3});
  CHECK(taken("*.bc.>") == Ids{4});
  CHECK(waits.size() == 0);
  CHECK_FALSE(waits.deadline().has_value());

  waits.add("x", {1, 1}, 50);
  waits.add("x", {2, 2}, 40);
  waits.add("y", {1, 3}, 60);
  waits.forget(2);
  CHECK(waits.take_expired(49).empty());
  CHECK(waits.take_expired(50).size() == 1);
  waits.forget(1);
  waits.forget(1);
  CHECK(waits.size() == 0);
}

TEST_CASE("many waits for one subject are answered quickly", "[broker][parts]") {
  InterestWaits waits;
  for (std::uint64_t i = 0; i < 50'000; ++i) waits.add("x", {i / 1000, i}, 1000);
  CHECK(waits.take_matching("x").size() == 50'000);
}

TEST_CASE("routes of chunks", "[broker][parts]") {
  InterestTable table(1);
  InterestGroup& group = *table.add("a", "q", 10).group;
  table.add("a", "q", 11);
  table.set_remote("a", "q", {2, 1, 77});
  InterestGroup& other = *table.add("b", "q", 10).group;
  ChunkRoutes routes(1);
  CHECK(routes.find(1, "m") == nullptr);
  ChunkRoutes::Route* route = routes.begin(0, 1, "m");
  route->note(group, {11, nullptr});
  CHECK(route->find(group)->member == 11);
  CHECK_FALSE(route->find(other).has_value());
  CHECK(routes.find(1, "other") == nullptr);
  CHECK(routes.find(2, "m") == nullptr);
  SECTION("the chosen member leaves") {
    table.remove(group, 11);
    const auto choice = routes.find(1, "m")->find(group);
    REQUIRE(choice.has_value());
    CHECK(choice->member == 0);
    CHECK(choice->remote == nullptr);
  }
  SECTION("a sibling is chosen, and loses its members") {
    route = routes.begin(0, 1, "n");
    route->note(group, {0, &group.remotes[0]});
    CHECK(routes.find(1, "n")->find(group)->remote->group == 77);
    table.set_remote("a", "q", {2, 0, 77});
    CHECK(routes.find(1, "n")->find(group)->remote == nullptr);
  }
  SECTION("the end of a message, of a sender, of time") {
    routes.begin(0, 1, "n");
    routes.begin(0, 2, "m");
    routes.finish(1, "m");
    CHECK(routes.find(1, "m") == nullptr);
    CHECK(routes.find(1, "n") != nullptr);
    routes.forget(1);
    CHECK(routes.sender_count() == 1);
    CHECK(routes.deadline() == limits::partial_message_ttl_ms);
    routes.expire(limits::partial_message_ttl_ms);
    CHECK(routes.sender_count() == 1);
    REQUIRE(routes.deadline().has_value());
    routes.expire(*routes.deadline());
    CHECK(routes.sender_count() == 0);
    CHECK_FALSE(routes.deadline().has_value());
  }
}

TEST_CASE("routes of chunks are bounded for each sender", "[broker][parts]") {
  InterestTable table(1);
  std::vector<InterestGroup*> groups;
  for (int i = 0; i < 1000; ++i) {
    groups.push_back(table.add("a", std::to_string(i), 10).group);
  }
  ChunkRoutes routes(1);
  for (int m = 0; m < 2000; ++m) routes.begin(0, 1, "m" + std::to_string(m));
  CHECK(routes.find(1, "m1999") != nullptr);
  CHECK(routes.find(1, "m1000") != nullptr);
  CHECK(routes.find(1, "m999") == nullptr);
  std::size_t kept = 0;
  for (int m = 0; m < 100; ++m) {
    ChunkRoutes::Route* route = routes.begin(0, 2, "m" + std::to_string(m));
    for (const InterestGroup* group : groups) route->note(*group, {10, nullptr});
  }
  for (int m = 0; m < 100; ++m) kept += routes.find(2, "m" + std::to_string(m)) != nullptr ? 1 : 0;
  CHECK(kept >= 16);
  CHECK(kept <= 18);
  CHECK(routes.find(2, "m99") != nullptr);
}

TEST_CASE("congested readers", "[broker][parts]") {
  ReaderCongestion congestion;
  constexpr TimeMs kCheck = ReaderCongestion::progress_check_ms;
  std::uint64_t written = 0;
  const auto written_of = [&](std::uint64_t) { return written; };
  CHECK(congestion.hold(0, 1, 0, 100, false));
  CHECK(congestion.hold(0, 1, 0, 101, false));
  CHECK(congestion.hold(0, 2, 0, 100, false));
  CHECK(congestion.deadline() == kCheck);
  CHECK(congestion.release(2).empty());  // reader 1 still holds sender 100
  written = 5;
  CHECK(congestion.check(kCheck, written_of).released.empty());
  CHECK(congestion.deadline() == 2 * kCheck);
  SECTION("it takes nothing") {
    auto checked = congestion.check(2 * kCheck, written_of);
    std::sort(checked.released.begin(), checked.released.end());
    CHECK(checked.released == Ids{100, 101});
    CHECK(checked.stuck == Ids{1});
    CHECK_FALSE(congestion.hold(2 * kCheck + 10, 1, 5, 100, false));
    CHECK_FALSE(congestion.deadline().has_value());
    CHECK(congestion.release(1).empty());
    CHECK(congestion.hold(2 * kCheck + 20, 1, 5, 100, false));  // it had caught up
  }
  SECTION("it catches up") {
    CHECK(congestion.release(1).size() == 2);
    CHECK_FALSE(congestion.is_congested(1));
    CHECK(congestion.release(1).empty());
  }
  SECTION("a sender goes") {
    congestion.forget_sender(100);
    CHECK(congestion.release(1) == Ids{101});
  }
  SECTION("patience") {
    CHECK(congestion.hold(0, 3, 0, 200, true));
    congestion.release(1);
    congestion.check(10'000, written_of);
    congestion.check(20'000, written_of);
    CHECK(congestion.hold(20'000, 3, 0, 201, true));
    CHECK(congestion.release(3).size() == 2);
  }
}

TEST_CASE("holds of senders", "[broker][parts]") {
  using peer::HoldKind;
  SenderHolds holds(1000);
  // Nothing is known of it: briefly.
  CHECK(holds.hold(0, 1, 7, HoldKind::fair));
  CHECK_FALSE(holds.hold(10, 1, 7, HoldKind::fair));  // already
  CHECK(holds.deadline() == 250);
  CHECK(holds.take_due(249).empty());
  CHECK(holds.take_due(250) == Ids{1});
  CHECK_FALSE(holds.deadline().has_value());
  SECTION("then it rests 24 times as long") {
    CHECK_FALSE(holds.hold(251, 1, 7, HoldKind::fair));
    CHECK_FALSE(holds.hold(250 + 24 * 250 - 1, 1, 7, HoldKind::fair));
    CHECK(holds.hold(250 + 24 * 250, 1, 7, HoldKind::fair));
  }
  SECTION("unless it has shown to serve only those who are behind") {
    holds.published(1, 999, false);
    CHECK_FALSE(holds.hold(251, 1, 7, HoldKind::fair));
    holds.published(1, 1, false);
    CHECK_FALSE(holds.hold(252, 1, 7, HoldKind::brief));
    CHECK(holds.hold(252, 1, 7, HoldKind::fair));
    CHECK(holds.take_due(100'000).empty());
    CHECK(holds.release(100'000, 1, 7));
    CHECK_FALSE(holds.release(100'000, 1, 7));
  }
  SECTION("but not one that has fed others") {
    holds.published(1, 5000, true);
    CHECK_FALSE(holds.hold(252, 1, 7, HoldKind::fair));
  }
  SECTION("firmly for the broker's own clients") {
    CHECK(holds.hold(252, 1, 7, HoldKind::firm));
    CHECK(holds.take_due(100'000).empty());
    CHECK(holds.release(100'000, 1, 7));
  }
  SECTION("a brief hold becomes firm") {
    CHECK(holds.hold(50'000, 1, 7, HoldKind::brief));
    CHECK_FALSE(holds.hold(50'001, 1, 8, HoldKind::firm));
    CHECK(holds.take_due(60'000).empty());
    CHECK_FALSE(holds.release(60'000, 1, 7));  // the other still holds it
    CHECK(holds.release(60'000, 1, 8));
  }
  SECTION("and forgets it") {
    holds.forget(1);
    CHECK_FALSE(holds.release(300, 1, 7));
    CHECK(holds.hold(300, 1, 7, HoldKind::fair));
  }
}

TEST_CASE("the timer queue gives the earliest first", "[broker][parts]") {
  TimerQueue timers;
  CHECK_FALSE(timers.next_at().has_value());
  timers.add(30, 3);
  timers.add(10, 1);
  timers.add(20, 2);
  CHECK(timers.next_at() == 10);
  CHECK(timers.take().connection == 1);
  CHECK(timers.take().at == 20);
  CHECK(timers.take().connection == 3);
}
