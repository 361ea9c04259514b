#include "unit/stream/stream_fixture.hpp"

using namespace conat;
using namespace conat::test;

namespace {

// Fills a group with one of everything.
void busy_group(StreamFixture& f) {
  SetRequest request = f.request("new", "k");
  request.ttl_ms = 5;
  request.message_id = "later";
  (void)f.stream->set(f.now, request);
  (void)f.stream->erase({.seqs = Seqs{1, 2}});
  (void)f.stream->configure(f.now, Value(Value::Map{{"max_msgs", 3}, {"desc", "text"}}));
  for (int i = 0; i < 5; ++i) (void)f.stream->set(f.now, f.request("more"));
  (void)f.stream->erase({.last_seq = 4});
}

}  // namespace

TEST_CASE("a group that fails anywhere leaves everything as it was") {
  // The failing write moves through the whole group; the last is the commit.
  for (int failing = 0;; ++failing) {
    StreamFixture f;
    f.configure("allow_msg_ttl", true);
    SetRequest request = f.request("old", "k");
    request.ttl_ms = 50'000;
    request.message_id = "first";
    f.put(request);
    for (int i = 0; i < 5; ++i) f.put("x");
    f.take_changes();
    const StoreTotals before = f.stream->totals();
    const Value config = f.stream->config_value();

    REQUIRE(f.stream->begin_group().ok());
    f.store.fail_after(failing);
    busy_group(f);
    const Status committed = f.stream->commit_group();
    if (committed.ok()) {
      REQUIRE(failing > 15);
      break;
    }
    REQUIRE(committed.error().code.number == 507);
    REQUIRE(f.stream->take_changes().empty());
    REQUIRE(f.present() == Seqs{1, 2, 3, 4, 5, 6});
    REQUIRE(f.stream->totals().count == before.count);
    REQUIRE(f.stream->totals().bytes == before.bytes);
    REQUIRE(f.stream->totals().last_seq == before.last_seq);
    REQUIRE(f.stream->totals().with_ttl == before.with_ttl);
    REQUIRE(f.stream->config_value() == config);
    // Sequence numbers and ids go on as if nothing had been.
    REQUIRE(f.set(request)->seq == 1);
    request.message_id = "later";
    REQUIRE(f.set(request)->seq == 7);
    REQUIRE(f.memory.totals()->bytes == f.stream->totals().bytes);
  }
}

TEST_CASE("after a failure the rest of the group answers the error") {
  StreamFixture f;
  REQUIRE(f.stream->begin_group().ok());
  f.store.fail_after(1);
  REQUIRE(f.stream->set(f.now, f.request("1")).ok());
  REQUIRE(!f.stream->group_failed());
  REQUIRE(f.stream->set(f.now, f.request("2")).error().code.number == 507);
  REQUIRE(f.stream->group_failed());
  REQUIRE(f.stream->set(f.now, f.request("3")).error().code.number == 507);
  REQUIRE(f.stream->erase({.all = true}).error().code.number == 507);
  REQUIRE(f.stream->configure(f.now, Value()).error().code.number == 507);
  REQUIRE(f.stream->commit_group().error().code.number == 507);
  REQUIRE(f.present().empty());
  REQUIRE(f.set("again")->seq == 1);
}
