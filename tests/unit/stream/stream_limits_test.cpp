#include "unit/stream/stream_fixture.hpp"

using namespace conat;
using namespace conat::test;

namespace {

void require_rejected(const Result<SetResult>& result, std::string_view text) {
  REQUIRE(!result.ok());
  REQUIRE(result.error().code.word == "reject");
  REQUIRE(result.error().code.number == 0);
  REQUIRE(result.error().text == text);
}

}  // namespace

TEST_CASE("max_msgs, discard old: the oldest go, before the set in the feed") {
  StreamFixture f;
  f.configure("max_msgs", 2);
  f.put("1");
  f.put("2");
  f.put("3");
  REQUIRE(f.present() == Seqs{2, 3});
  REQUIRE(f.take_changes() == Texts{"set 1 ", "set 2 ", "delete 1", "set 3 "});
}

TEST_CASE("max_msgs, discard new: the set fails") {
  StreamFixture f;
  f.configure("max_msgs", 2);
  f.configure("discard_policy", "new");
  f.put("1", "a");
  f.put("2", "b");
  require_rejected(f.set("3"), "max_msgs limit reached");
  require_rejected(f.set("3", "c"), "max_msgs limit reached");
  // The message that it replaces does not count.
  REQUIRE(f.set("3", "a").ok());
  REQUIRE(f.present() == Seqs{2, 3});
}

TEST_CASE("max_bytes, discard old") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  f.put("1234");
  f.put("1234");
  f.put("12");
  REQUIRE(f.present() == Seqs{1, 2, 3});
  f.put("12345");
  REQUIRE(f.present() == Seqs{3, 4});
  REQUIRE(f.changes.back() == "set 4 ");
  REQUIRE(f.changes[f.changes.size() - 2] == "delete 1 2");
}

TEST_CASE("max_bytes, discard new") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  f.configure("discard_policy", "new");
  f.put("12345", "a");
  require_rejected(f.set("123456"), "max_bytes limit reached");
  require_rejected(f.set("12345678901"), "max_bytes limit reached");
  REQUIRE(f.set("123456789", "a").ok());
  require_rejected(f.set("1"), "max_bytes limit reached");
  REQUIRE(f.set("").ok());
}

TEST_CASE("the replaced message does not count, nor is it announced as deleted") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  f.put("1234", "k");
  f.put("1234", "l");
  f.take_changes();
  f.put("4321", "k");
  REQUIRE(f.take_changes() == Texts{"set 3 "});
  REQUIRE(f.present() == Seqs{2, 3});
  // It is the oldest and something has to go: it is replaced, and another goes.
  f.put("123456", "l");
  REQUIRE(f.take_changes() == Texts{"delete 3", "set 4 "});
}

TEST_CASE("an oversized message is stored, announced, answered, and goes at the next enforcement") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  f.put("1234");
  f.put("1234");
  const auto big = f.set("12345678901");
  REQUIRE(big->seq == 3);
  REQUIRE(f.take_changes() == Texts{"set 1 ", "set 2 ", "delete 1 2", "set 3 "});
  REQUIRE(f.present() == Seqs{3});
  REQUIRE(f.stream->needs_enforcement());
  REQUIRE(f.stream->enforcement_due(f.now));

  SECTION("the timer's") {
    f.enforce();
    REQUIRE(f.take_changes() == Texts{"delete 3"});
  }
  SECTION("the next set's") {
    f.put("1");
    REQUIRE(f.take_changes() == Texts{"delete 3", "set 4 "});
  }
  SECTION("a configuration's") {
    f.configure("max_age", 100);
    REQUIRE(f.take_changes() == Texts{"delete 3"});
  }
  REQUIRE(f.present() == (f.stream->totals().count == 0 ? Seqs{} : Seqs{4}));
  REQUIRE(!f.stream->enforcement_due(f.now));
}

TEST_CASE("an oversized message stays until its group's answers are out") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, f.request("first")).ok());
  REQUIRE(f.stream->set(f.now, f.request("12345678901")).ok());
  // What follows in the group fits as if it were not there.
  REQUIRE(f.stream->set(f.now, f.request("12345")).ok());
  REQUIRE(f.stream->set(f.now, f.request("54321")).ok());
  REQUIRE(f.stream->set(f.now, f.request("1")).ok());
  REQUIRE(f.stream->enforce(f.now).ok());
  REQUIRE((*f.stream->get(2)).has_value());
  REQUIRE(f.stream->commit_group().ok());
  REQUIRE(f.present() == Seqs{2, 4, 5});
  f.enforce();
  REQUIRE(f.present() == Seqs{4, 5});
}

TEST_CASE("an oversized message can be replaced and deleted in its group") {
  StreamFixture f;
  f.configure("max_bytes", 10);
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, f.request("12345678901", "k")).ok());
  REQUIRE(f.stream->set(f.now, f.request("1", "k")).ok());
  REQUIRE(f.stream->set(f.now, f.request("12345678901", "l")).ok());
  REQUIRE(f.stream->erase({.seq = 3}).ok());
  REQUIRE(f.stream->set(f.now, f.request("12345678901", "m")).ok());
  REQUIRE(f.stream->erase({.all = true}).ok());
  REQUIRE(f.stream->set(f.now, f.request("1234567890")).ok());
  REQUIRE(f.stream->commit_group().ok());
  REQUIRE(f.present() == Seqs{5});
  REQUIRE(!f.stream->enforcement_due(f.now));
}

TEST_CASE("max_msgs 0 keeps each message until the next enforcement") {
  StreamFixture f;
  f.configure("max_msgs", 0);
  f.put("1");
  f.put("2");
  REQUIRE(f.take_changes() == Texts{"set 1 ", "delete 1", "set 2 "});
  f.enforce();
  REQUIRE(f.present().empty());
}

TEST_CASE("max_msg_size") {
  StreamFixture f;
  f.configure("max_msg_size", 10);
  require_rejected(f.set("12345678901"), "max_msg_size of 10 bytes exceeded");
  require_rejected(f.set("1234567890", "k"), "max_msg_size of 10 bytes exceeded");
  REQUIRE(f.set("123456789", "k").ok());
}

TEST_CASE("rates look at what was stored in the last second") {
  StreamFixture f;
  SECTION("messages") {
    f.configure("max_msgs_per_second", 2);
    for (int i = 0; i < 3; ++i) REQUIRE(f.set("x").ok());
    require_rejected(f.set("x"), "max_msgs_per_second exceeded");
    f.now += 999;
    require_rejected(f.set("x"), "max_msgs_per_second exceeded");
    f.now += 1;
    REQUIRE(f.set("x").ok());
  }
  SECTION("bytes") {
    f.configure("max_bytes_per_second", 10);
    REQUIRE(f.set("12345678901234567890").ok());
    require_rejected(f.set("x"), "max_bytes_per_second exceeded");
    f.now += 1000;
    REQUIRE(f.set("x").ok());
  }
  SECTION("also what was stored before the limit was set, and before a restart") {
    for (int i = 0; i < 3; ++i) REQUIRE(f.set("x").ok());
    f.configure("max_msgs_per_second", 2);
    require_rejected(f.set("x"), "max_msgs_per_second exceeded");
    f.open();
    require_rejected(f.set("x"), "max_msgs_per_second exceeded");
  }
  SECTION("a clock that was set back does not block for long") {
    f.configure("max_msgs_per_second", 2);
    for (int i = 0; i < 3; ++i) REQUIRE(f.set("x").ok());
    f.now -= 3'600'000;
    REQUIRE(f.set("x").ok());
  }
  SECTION("a failed group does not count") {
    f.configure("max_msgs_per_second", 2);
    REQUIRE(f.stream->begin_group().ok());
    for (int i = 0; i < 3; ++i) REQUIRE(f.stream->set(f.now, f.request("x")).ok());
    f.store.fail_after(0);
    REQUIRE(!f.stream->commit_group().ok());
    REQUIRE(f.set("x").ok());
  }
}

TEST_CASE("max_age") {
  StreamFixture f;
  f.configure("max_age", 1000);
  f.put("1");
  f.now += 500;
  f.put("2");
  f.now += 499;
  REQUIRE(!f.stream->enforcement_due(f.now));
  REQUIRE(f.stream->needs_enforcement());
  f.now += 1;
  REQUIRE(f.stream->enforcement_due(f.now));
  // Not yet deleted: still read.
  REQUIRE(f.present() == Seqs{1, 2});
  f.take_changes();
  f.put("3");
  REQUIRE(f.take_changes() == Texts{"delete 1", "set 3 "});
  f.now += 1000;
  f.enforce();
  REQUIRE(f.take_changes() == Texts{"delete 2 3"});
  REQUIRE(!f.stream->needs_enforcement());
}

TEST_CASE("max_age with a clock that was set back: each by its own time") {
  StreamFixture f;
  f.configure("max_age", 1000);
  f.now += 100'000;
  f.put("future");
  f.now -= 100'000;
  f.put("now");
  f.now += 1000;
  f.enforce();
  REQUIRE(f.present() == Seqs{1});
}

TEST_CASE("ttl counts only when it is allowed") {
  StreamFixture f;
  SetRequest request = f.request("x");
  request.ttl_ms = 100;
  f.put(request);
  f.now += 1000;
  f.enforce();
  REQUIRE(f.present() == Seqs{1});
  REQUIRE(!f.stream->needs_enforcement());
  f.take_changes();
  // Allowing it is enforced at once.
  f.configure("allow_msg_ttl", true);
  REQUIRE(f.take_changes() == Texts{"delete 1"});
  f.put(request);
  f.put("stays");
  f.now += 99;
  REQUIRE(!f.stream->enforcement_due(f.now));
  f.now += 1;
  REQUIRE(f.stream->enforcement_due(f.now));
  f.enforce();
  REQUIRE(f.present() == Seqs{3});
  REQUIRE(!f.stream->needs_enforcement());
}

TEST_CASE("a ttl beyond all measure does not overflow") {
  StreamFixture f;
  f.configure("allow_msg_ttl", true);
  SetRequest request = f.request("x");
  request.ttl_ms = std::numeric_limits<std::int64_t>::max();
  f.put(request);
  request.ttl_ms = -5;
  f.put(request);
  f.now += 1'000'000;
  f.enforce();
  REQUIRE(f.present() == Seqs{1, 2});
  REQUIRE(f.stream->totals().with_ttl == 1);
}

TEST_CASE("an expired message of the same key is replaced, not announced") {
  StreamFixture f;
  f.configure("allow_msg_ttl", true);
  SetRequest request = f.request("x", "k");
  request.ttl_ms = 100;
  f.put(request);
  f.now += 100;
  request.previous_seq = 1;
  REQUIRE(f.set(request)->seq == 2);
  REQUIRE(f.take_changes() == Texts{"set 1 ", "set 2 "});
}

TEST_CASE("what has expired leaves room under discard new") {
  StreamFixture f;
  f.configure("max_msgs", 1);
  f.configure("max_age", 100);
  f.configure("discard_policy", "new");
  f.put("1");
  f.now += 100;
  REQUIRE(f.set("2").ok());
  REQUIRE(f.present() == Seqs{2});
}

TEST_CASE("configuration: limits are enforced at once") {
  StreamFixture f;
  for (int i = 0; i < 5; ++i) f.put("123");
  f.take_changes();
  SECTION("count") {
    f.configure("max_msgs", 2);
    REQUIRE(f.take_changes() == Texts{"delete 1 2 3"});
  }
  SECTION("bytes") {
    f.configure("max_bytes", 8);
    REQUIRE(f.take_changes() == Texts{"delete 1 2 3"});
  }
  SECTION("age") {
    f.now += 10;
    f.configure("max_age", 10);
    REQUIRE(f.take_changes() == Texts{"delete 1 2 3 4 5"});
  }
  SECTION("discard new rejects sets, it takes nothing away") {
    f.configure("discard_policy", "new");
    f.configure("max_msgs", 2);
    REQUIRE(f.take_changes().empty());
    require_rejected(f.set("x"), "max_msgs limit reached");
    REQUIRE(!f.stream->enforcement_due(f.now));
  }
}

TEST_CASE("an ephemeral stream is capped") {
  StreamFixture f(true);
  REQUIRE(f.stream->config_value().find("max_bytes")->integer_or(0) == 64'000'000);
  const auto reported = [&](Value max_bytes) {
    return f.configure(Value(Value::Map{{"max_bytes", std::move(max_bytes)}}))
        ->find("max_bytes")
        ->integer_or(0);
  };
  REQUIRE(reported(100'000'000) == 64'000'000);
  REQUIRE(reported(1000) == 1000);
  REQUIRE(reported(-1) == 64'000'000);
  for (int i = 0; i < 7; ++i) f.put(std::string(10'000'000, 'x'));
  REQUIRE(f.present() == Seqs{2, 3, 4, 5, 6, 7});
}

TEST_CASE("a check costs what it deletes, not what is stored") {
  StreamFixture f;
  REQUIRE(f.configure(Value(Value::Map{{"max_msgs", 1000},
                                       {"max_bytes", 1'000'000},
                                       {"max_age", 3'600'000},
                                       {"allow_msg_ttl", true}}))
              .ok());
  const auto set = [&] {
    SetRequest request = f.request("x");
    request.ttl_ms = 1'000'000;
    f.now += 1;
    REQUIRE(f.set(request).ok());
  };
  for (int i = 0; i < 1000; ++i) set();
  f.store.scanned = f.store.scans = f.store.searches = 0;
  for (int i = 0; i < 500; ++i) set();
  REQUIRE(f.store.scans == 500);
  REQUIRE(f.store.scanned == 500);
  REQUIRE(f.store.searches == 0);
}
