// The native client's streams that are held whole, objects by field, stores asked at every call,
// and broadcast, against the real conatd.
#include "cli/coroutines.hpp"
#include "conatd/process.hpp"

using namespace conat::native;
using namespace conat::test;

namespace {

// One broker serves all tests of this file; each uses stores of its own.
std::uint16_t structures_port() {
  static RunningBroker broker;
  return broker.port();
}

}  // namespace

TEST_CASE("native client: a DStream shows one's own at once, and all the same in the end") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client ann = connected(loop, structures_port());
    const Client bob = connected(loop, structures_port());
    auto hers = co_await ann.dstream({"chat"});
    auto his = co_await bob.dstream({"chat"});
    REQUIRE(hers.ok());
    REQUIRE(his.ok());
    auto changes = his->changes();
    for (int i = 0; i < 10; ++i) {
      REQUIRE(hers->publish(i, object("n", i)).ok());
      REQUIRE(his->publish(100 + i).ok());
    }
    CHECK(hers->size() >= 10);
    CHECK(hers->get(hers->size() - 1) == Value(9));
    CHECK_FALSE(hers->at(hers->size() - 1)->seq.has_value());
    CHECK(hers->unsaved_count() == 10);
    const Status saved_hers = co_await hers->save();
    const Status saved_his = co_await his->save();
    REQUIRE(saved_hers.ok());
    REQUIRE(saved_his.ok());
    CHECK_FALSE(hers->has_unsaved_changes());
    co_await until(loop, [&] { return hers->size() == 20 && hers->is_stable(); });
    co_await until(loop, [&] { return his->size() == 20 && his->is_stable(); });
    CHECK(hers->all() == his->all());
    for (int told = 0; told < 20; ++told) {
      const auto change = co_await changes.next();
      REQUIRE(change.has_value());
      CHECK(change->seq == told + 1);
      CHECK(change->value == his->get(static_cast<std::size_t>(told)));
    }
    const auto first = hers->at(0);
    CHECK(first->seq == 1);
    CHECK(first->time.value_or(0) > 1'000'000'000'000);
    CHECK_FALSE(hers->at(20).has_value());

    StreamErase first_five;
    first_five.up_to = 5;
    const auto gone = co_await hers->erase(first_five);
    REQUIRE(gone.ok());
    CHECK(gone->size() == 5);
    CHECK(hers->size() == 15);
    const auto deleted = co_await changes.next();
    REQUIRE(deleted.has_value());
    CHECK(deleted->is_delete);
    co_await until(loop, [&] { return his->size() == 15; });

    // From the middle, and then what is before it.
    HeldStreamSettings late("chat");
    late.start_seq = 11;
    auto part = co_await bob.dstream(late);
    REQUIRE(part.ok());
    CHECK(part->size() == 10);
    CHECK(part->start_seq() == 11);
    const Status loaded = co_await part->load(1);
    REQUIRE(loaded.ok());
    CHECK(part->all() == hers->all());
    const auto config = co_await part->config();
    REQUIRE(config.ok());
    const auto inventory = co_await part->inventory();
    CHECK(inventory->find("count")->integer_or(0) == 15);
    part->close();
    CHECK(part->size() == 0);
    CHECK(part->publish(1).error().text == "closed");
    const Status after = co_await part->save();
    CHECK(after.error().text == "closed");
  });
}

TEST_CASE("native client: a CoreStream, in order and by key") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, structures_port());
    auto log = co_await client.core_stream({"core"});
    REQUIRE(log.ok());
    auto changes = log->changes();
    StreamPublishSettings once;
    once.message_id = "once";
    once.headers = object("h", 1);
    const auto stored = co_await log->publish("one", once);
    REQUIRE(stored.ok());
    CHECK(stored->seq == 1);
    const auto again = co_await log->publish("one", once);
    CHECK(again->seq == 1);
    const auto key_1 = co_await log->set_key("k", 1);
    REQUIRE(key_1.ok());
    const auto key_2 = co_await log->set_key("k", 2);
    REQUIRE(key_2.ok());
    const auto other = co_await log->set_key("other", 3);
    REQUIRE(other.ok());
    co_await until(loop, [&] { return log->has_key("other"); });
    CHECK(log->all() == array("one", 2, 3));
    CHECK(log->at(0)->headers == object("h", 1));
    CHECK(log->get_key("k") == Value(2));
    CHECK(log->key_seq("k") == key_2->seq);
    CHECK(log->key_count() == 2);
    CHECK(Value(log->all_keys()) == object("k", 2, "other", 3));
    CHECK(log->bytes() > 0);
    const auto erased = co_await log->erase_key("k");
    REQUIRE(erased.ok());
    co_await until(loop, [&] { return !log->has_key("k"); });
    CHECK(log->keys().size() == 1);
    std::optional<HeldChange> change = co_await changes.next();
    while (change && !change->is_delete) change = co_await changes.next();
    REQUIRE(change.has_value());
    CHECK(change->key == "k");
    CHECK(change->previous == Value(2));

    StreamPublishSettings wrong;
    wrong.key = "other";
    wrong.previous_seq = 99;
    const auto refused = co_await log->publish(4, wrong);
    CHECK(refused.error().code.word == "wrong-last-sequence");

    // What is under way when it is closed is answered.
    int answered = 0;
    log->publish(1, {}, [&](const Result<SetResult>& r) { answered += r.ok() ? 100 : 1; });
    log->load(1, [&](const Status& status) { answered += status.ok() ? 100 : 1; });
    log->inventory([&](const Result<Value>& r) { answered += r.ok() ? 100 : 1; });
    log->close();
    co_await until(loop, [&] { return answered % 100 + answered / 100 == 3; });
    CHECK(answered % 100 >= 2);  // load() has all already
    const auto end = co_await changes.next();
    CHECK((!end || !end->is_delete));
  });
}

TEST_CASE("native client: a DKO stores objects by field") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, structures_port());
    const Client other = connected(loop, structures_port());
    auto one = co_await client.dko({"people"});
    auto two = co_await other.dko({"people"});
    REQUIRE(one.ok());
    REQUIRE(two.ok());
    auto changes = two->changes();
    CHECK(one->set("x", 5).error().text == "values must be objects");
    REQUIRE(one->set("ada", object("name", "Ada", "age", 36)).ok());
    CHECK(one->get("ada") == object("name", "Ada", "age", 36));
    const Status saved = co_await one->save();
    REQUIRE(saved.ok());
    co_await until(loop, [&] { return two->get("ada") == one->get("ada"); });
    // Each another field, at once.
    REQUIRE(one->set("ada", object("name", "Ada L.", "age", 36)).ok());
    REQUIRE(two->set("ada", object("name", "Ada", "age", 37, "city", "London")).ok());
    const Value both = object("name", "Ada L.", "age", 37, "city", "London");
    co_await until(loop, [&] { return one->get("ada") == both && two->get("ada") == both; });
    co_await until(loop, [&] { return one->is_stable() && two->is_stable(); });
    CHECK(Value(one->all()) == object("ada", both));
    CHECK(one->keys().size() == 1);
    // As a DKV it is what the specification says.
    auto below = co_await client.dkv({"__dko__people"});
    REQUIRE(below.ok());
    CHECK(below->get("[\"ada\",\"city\"]") == Value("London"));
    CHECK(below->get("ada") == Value(array("name", "age", "city")));
    CHECK(Dko::from_path("[\"a\\\"b\",\"c\"]").key == "a\"b");
    CHECK(Dko::to_path("a\"b", "c") == "[\"a\\\"b\",\"c\"]");
    CHECK_FALSE(Dko::from_path("[1,2]").field.has_value());

    REQUIRE(two->set("ada", object("name", "Ada")).ok());  // without the others
    co_await until(loop, [&] { return one->get("ada") == object("name", "Ada"); });
    REQUIRE(one->erase("ada").ok());
    co_await until(loop, [&] { return !two->has("ada"); });
    CHECK(two->size() == 0);
    const auto change = co_await changes.next();
    REQUIRE(change.has_value());
    CHECK(change->key == "ada");
    one->close();
    CHECK(one->set("b", object("c", 1)).error().text == "closed");
  });
}

TEST_CASE("native client: a key-value store that is asked at every call") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, structures_port());
    auto store = client.akv({"asked"});
    REQUIRE(store.ok());
    const auto none = co_await store->get("a");
    REQUIRE(none.ok());
    CHECK_FALSE(none->has_value());
    const auto set = co_await store->set("a", object("x", 1));
    REQUIRE(set.ok());
    const auto got = co_await store->get("a");
    REQUIRE(got.ok());
    CHECK(*got == object("x", 1));
    StreamPublishSettings wrong;
    wrong.previous_seq = 17;
    const auto refused = co_await store->set("a", 2, wrong);
    CHECK(refused.error().code.word == "wrong-last-sequence");
    const auto message = co_await store->message("a");
    CHECK((*message)->seq == set->seq);
    CHECK_FALSE(Akv::is_deleted(**message));
    const auto erased = co_await store->erase("a");
    REQUIRE(erased.ok());
    const auto after = co_await store->get("a");
    REQUIRE(after.ok());
    CHECK_FALSE(after->has_value());
    const auto keys = co_await store->keys();
    CHECK(*keys == Value(array("a")));
    store->close();
    const auto closed = co_await store->get("a");
    CHECK(closed.error().text == "closed");
  });
}

TEST_CASE("native client: broadcast within a project") {
  const std::string project = "00000000-0000-4000-8000-000000000000";
  run_coroutine([project](Loop& loop) -> Awaitable<void> {
    const Client ann = connected(loop, structures_port());
    const Client bob = connected(loop, structures_port());
    const PubSubSettings settings(project, "cursors", "a.txt");
    auto hers = co_await ann.pubsub(settings);
    auto his = co_await bob.pubsub(settings);
    REQUIRE(hers.ok());
    REQUIRE(his.ok());
    CHECK(hers->subject() == "project." + project + ".-.pubsub-cursors.YS50eHQ=");
    REQUIRE(hers->set(object("x", 1)).ok());
    const auto at_his = co_await his->next();
    const auto at_hers = co_await hers->next();
    CHECK(at_his == object("x", 1));
    CHECK(at_hers == object("x", 1));
    hers->close();
    CHECK(hers->set(1).error().text == "closed");
    const auto end = co_await hers->next();
    CHECK_FALSE(end.has_value());
    const auto bad = co_await ann.pubsub(PubSubSettings(project, "a.b"));
    CHECK_FALSE(bad.ok());
  });
}
