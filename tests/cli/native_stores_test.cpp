// The native client's stores and streams against the real conatd.
#include "cli/coroutines.hpp"
#include "conatd/process.hpp"

using namespace conat::native;
using namespace conat::test;

namespace {

// One broker serves all tests of this file; each uses stores of its own.
std::uint16_t port() {
  static RunningBroker broker;
  return broker.port();
}

Value data_of(const StreamMessage& message) {
  const auto value = decode_payload(message.encoding, message.raw);
  REQUIRE(value.ok());
  return *value;
}

}  // namespace

TEST_CASE("native client: a key-value store, local at once, the same everywhere in the end") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client ann = connected(loop, port());
    const Client bob = connected(loop, port());
    DkvSettings settings("board");
    settings.merge = MergeKind::fields;
    auto hers = co_await ann.dkv(settings);
    auto his = co_await bob.dkv(settings);
    REQUIRE(hers.ok());
    REQUIRE(his.ok());
    auto changes = his->changes();
    CHECK_FALSE(hers->has("a"));
    REQUIRE(hers->set("a", object("x", 1, "y", 1), object("h", 2)).ok());
    CHECK(hers->get("a")->find("x")->integer_or(0) == 1);
    CHECK(hers->has_unsaved_changes());
    CHECK(hers->unsaved_changes().size() == 1);
    const auto answer_1 = co_await hers->save();
    REQUIRE(answer_1.ok());
    CHECK_FALSE(hers->has_unsaved_changes());
    CHECK(hers->seq("a").value_or(0) > 0);
    CHECK(hers->time("a").value_or(0) > 0);
    CHECK(hers->headers("a").find("h")->integer_or(0) == 2);
    const auto change = co_await changes.next();
    REQUIRE(change.has_value());
    CHECK(change->key == "a");
    CHECK(change->value == hers->get("a"));
    CHECK_FALSE(change->previous.has_value());

    // Both change another field of the same value.
    REQUIRE(hers->set("a", object("x", 2, "y", 1)).ok());
    REQUIRE(his->set("a", object("x", 1, "y", 2)).ok());
    const auto answer_2 = co_await hers->save();
    REQUIRE(answer_2.ok());
    const auto answer_3 = co_await his->save();
    REQUIRE(answer_3.ok());
    const Value both = object("x", 2, "y", 2);
    while (his->get("a") != both) {
      const auto answer_4 = co_await changes.next();
      REQUIRE(answer_4.has_value());
    }
    auto hers_changes = hers->changes();
    while (hers->get("a") != both) {
      const auto answer_5 = co_await hers_changes.next();
      REQUIRE(answer_5.has_value());
    }

    REQUIRE(hers->set("b", Bytes{1, 2, 3}).ok());
    CHECK(hers->keys().size() == 2);
    CHECK(hers->size() == 2);
    CHECK(hers->all().size() == 2);
    REQUIRE(hers->erase("a").ok());
    const auto answer_6 = co_await hers->save();
    REQUIRE(answer_6.ok());
    CHECK(hers->is_stable());
    while (his->has("a")) {
      const auto answer_7 = co_await changes.next();
      REQUIRE(answer_7.has_value());
    }
    REQUIRE(hers->clear().ok());
    CHECK(hers->size() == 0);
    hers->close();
    CHECK_FALSE(hers->set("c", 1).ok());
    const auto answer_8 = co_await hers->save();
    CHECK_FALSE(answer_8.ok());
  });
}

TEST_CASE("native client: a merge function of one's own") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    DkvSettings settings;
    settings.name = "longest";
    settings.merge = MergeKind::custom;
    settings.merge_function = [](const DkvConflict& conflict) {
      const std::string_view local = conflict.local ? conflict.local->text_or("") : "";
      const std::string_view remote = conflict.remote ? conflict.remote->text_or("") : "";
      return std::optional<Value>(local.size() >= remote.size() ? local : remote);
    };
    auto one = co_await connected(loop, port()).dkv(settings);
    auto two = co_await connected(loop, port()).dkv(settings);
    REQUIRE(one.ok());
    REQUIRE(two.ok());
    auto changes = one->changes();
    auto others = two->changes();
    REQUIRE(one->set("k", "short").ok());
    REQUIRE(two->set("k", "much longer").ok());
    const auto answer_9 = co_await one->save();
    REQUIRE(answer_9.ok());
    const auto answer_10 = co_await two->save();
    REQUIRE(answer_10.ok());
    while (one->get("k") != Value("much longer")) {
      const auto answer_11 = co_await changes.next();
      REQUIRE(answer_11.has_value());
    }
    while (two->get("k") != Value("much longer")) {
      const auto answer_12 = co_await others.next();
      REQUIRE(answer_12.has_value());
    }
  });
}

TEST_CASE("native client: stores of others are refused, by whom it may concern") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    DkvSettings both;
    both.name = "x";
    both.account_id = "a";
    both.project_id = "b";
    const auto answer_13 = co_await client.dkv(both);
    CHECK_FALSE(answer_13.ok());
    auto outside = client.stream({"../x"});
    REQUIRE_FALSE(outside.ok());
    CHECK(outside.error().code.number == 403);
  });
}

TEST_CASE("native client: a stream") {
  const Value three(Bytes{3});
  const std::vector<StreamSequence> one_two{1, 2};
  const std::vector<StreamSequence> two_three{2, 3};
  run_coroutine([&](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    auto log = client.stream({"log"});
    REQUIRE(log.ok());
    auto updates = log->follow();
    REQUIRE(updates.ok());
    const auto answer_14 = co_await updates->wait_until_following();
    REQUIRE(answer_14.ok());
    StreamPublishSettings settings;
    settings.headers = object("h", "v");
    settings.key = "k";
    settings.message_id = "once";
    const auto first = co_await log->publish("one", settings);
    REQUIRE(first.ok());
    CHECK(first->seq == 1);
    CHECK(first->time > 1'000'000'000'000);
    const auto answer_15 = co_await log->publish("one", settings);
    CHECK(answer_15->seq == 1);  // the same id: stored once
    settings.message_id.clear();
    settings.previous_seq = 99;
    const auto wrong = co_await log->publish("two", settings);
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().code.word == "wrong-last-sequence");
    const auto answer_16 = co_await log->publish(2);
    REQUIRE(answer_16.ok());
    const auto answer_17 = co_await log->publish(three);
    REQUIRE(answer_17.ok());

    const auto by_seq = co_await log->get(1);
    REQUIRE(by_seq.ok());
    REQUIRE(by_seq->has_value());
    CHECK(data_of(**by_seq) == Value("one"));
    CHECK((*by_seq)->key == "k");
    CHECK((*by_seq)->headers.value() == object("h", "v"));
    CHECK((*by_seq)->time == first->time);
    const auto by_key = co_await log->get(std::string("k"));
    REQUIRE(by_key.ok());
    CHECK((*by_key)->seq == 1);
    const auto none = co_await log->get(17);
    REQUIRE(none.ok());
    CHECK_FALSE(none->has_value());
    const auto answer_18 = co_await log->keys();
    CHECK(*answer_18 == Value(array("k")));

    std::vector<StreamSequence> seqs;
    auto reader = log->read(2);
    while (const auto batch = co_await reader.next()) {
      for (const StreamMessage& message : *batch) seqs.push_back(message.seq);
    }
    CHECK_FALSE(reader.error().has_value());
    CHECK(seqs == two_three);
    const Value::Array published = array("one", 2, three);
    for (const Value& expected : published) {
      const auto update = co_await updates->next();
      REQUIRE(update.has_value());
      CHECK(data_of(update->message) == expected);
    }
    StreamErase first_two;
    first_two.up_to = 2;
    const auto gone = co_await log->erase(first_two);
    REQUIRE(gone.ok());
    CHECK(*gone == one_two);
    const auto deleted = co_await updates->next();
    REQUIRE(deleted.has_value());
    CHECK(deleted->is_delete);
    CHECK(deleted->deleted == one_two);

    const auto config = co_await log->config(object("max_msgs", 5));
    REQUIRE(config.ok());
    CHECK(config->find("max_msgs")->integer_or(0) == 5);
    const auto inventory = co_await log->inventory();
    REQUIRE(inventory.ok());
    CHECK(inventory->find("count")->integer_or(0) == 1);
    CHECK(inventory->find("seq")->integer_or(0) == 3);
    log->close();
    const auto answer_19 = co_await log->inventory();
    CHECK(answer_19.error().text == "closed");
  });
}

TEST_CASE("native client: what a closed store or stream was asked is answered") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    auto log = client.stream({"closing"});
    REQUIRE(log.ok());
    int answered = 0;
    log->inventory([&answered](const Result<Value>& r) { answered += r.ok() ? 100 : 1; });
    log->publish(1, {}, [&answered](const Result<SetResult>& r) { answered += r.ok() ? 100 : 1; });
    log->close();
    auto board = co_await client.dkv({"closing-board"});
    REQUIRE(board.ok());
    REQUIRE(board->set("a", 1).ok());
    board->save([&answered](const Status& status) { answered += status.ok() ? 100 : 1; });
    board->close();
    while (answered < 3) co_await asio::post(loop, asio::use_awaitable);
    CHECK(answered == 3);
    // What was written before is still sent.
    auto again = co_await client.dkv({"closing-board"});
    REQUIRE(again.ok());
    auto changes = again->changes();
    while (!again->has("a")) {
      const auto answer_20 = co_await changes.next();
      REQUIRE(answer_20.has_value());
    }
  });
}
