#include "conat/sync/dkv_store.hpp"

#include <catch2/catch.hpp>

#include "property/sync/store_lab.hpp"

namespace conat {
namespace {

StoreLab::Options options(MergeKind merge, bool autosave = true) {
  StoreLab::Options made;
  made.merge = merge;
  made.replicas = 2;
  made.autosave = autosave;
  return made;
}

template <class Effect>
std::vector<Effect> only(const std::vector<DkvEffect>& effects) {
  std::vector<Effect> found;
  for (const DkvEffect& effect : effects) {
    if (const auto* match = std::get_if<Effect>(&effect)) found.push_back(*match);
  }
  return found;
}

std::vector<std::string> keys(DkvStore& store) {
  std::vector<std::string> found;
  store.for_each([&](std::string_view key, PayloadEncoding, ByteView) {
    found.emplace_back(key);
    return true;
  });
  return found;
}

std::optional<Value> decoded(const std::optional<EncodedValue>& value) {
  if (!value) return std::nullopt;
  return decode_payload(value->encoding, value->raw).value();
}

// One round of everything for one replica.
void exchange(StoreLab& lab, std::size_t replica) {
  lab.pump(replica);
  while (lab.execute(replica)) {
  }
  for (std::size_t i = 0; i < lab.count(); ++i) {
    while (lab.deliver(i)) {
    }
  }
}

TEST_CASE("a local write shows at once and is unsaved until its echo") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.connect(1);
  lab.take_effects(0);
  DkvStore& store = lab.store(0);
  lab.set(0, "a", Value(1));
  CHECK(lab.value(0, "a") == Value(1));
  CHECK(store.has_unsaved_changes());
  CHECK(store.unsaved_changes() == std::vector<std::string>{"a"});
  CHECK_FALSE(store.seq("a"));
  CHECK(lab.take_effects(0).empty());

  lab.pump(0);
  REQUIRE(lab.execute(0));
  CHECK(store.has_unsaved_changes());
  REQUIRE(lab.deliver(0));  // the echo
  CHECK_FALSE(store.has_unsaved_changes());
  CHECK(store.seq("a") == 1);
  CHECK(store.time("a"));
  const auto effects = lab.take_effects(0);
  const auto changes = only<dkv_effect::Change>(effects);
  REQUIRE(changes.size() == 1);
  CHECK(decoded(changes[0].value) == Value(1));
  CHECK_FALSE(changes[0].previous);
  CHECK(only<dkv_effect::Stable>(effects).size() == 1);

  REQUIRE(lab.deliver(0));  // the answer
  CHECK(lab.take_effects(0).empty());
  REQUIRE(lab.deliver(1));
  CHECK(lab.value(1, "a") == Value(1));
}

TEST_CASE("a deletion is a tombstone, and the key is gone everywhere") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value(nullptr));
  exchange(lab, 0);
  CHECK(lab.value(1, "a") == Value());  // null is a value
  lab.take_effects(1);
  lab.erase(1, "a");
  CHECK_FALSE(lab.store(1).has("a"));
  CHECK(lab.store(1).size() == 0);
  exchange(lab, 1);
  CHECK_FALSE(lab.store(0).has("a"));
  CHECK_FALSE(lab.store(0).seq("a"));
  CHECK(lab.store(0).held() == 1);
  const auto changes = only<dkv_effect::Change>(lab.take_effects(1));
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].value);
  CHECK(decoded(changes[0].previous) == Value());
  // Of what is not there nothing has to be said.
  lab.erase(0, "a");
  lab.erase(0, "never");
  CHECK_FALSE(lab.store(0).has_unsaved_changes());
}

TEST_CASE("what changes nothing is not sent") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.set(0, "a", Value(Value::Map{{"x", 1}, {"y", 2}}));
  exchange(lab, 0);
  lab.set(0, "a", Value(Value::Map{{"y", 2}, {"x", 1}}));
  CHECK_FALSE(lab.store(0).has_unsaved_changes());
  // Taken back before anything was sent.
  lab.set(0, "a", Value(5));
  CHECK(lab.store(0).has_unsaved_changes());
  lab.set(0, "a", Value(Value::Map{{"x", 1}, {"y", 2}}));
  CHECK_FALSE(lab.store(0).has_unsaved_changes());
  lab.set(0, "b", Value(1));
  lab.erase(0, "b");
  CHECK_FALSE(lab.store(0).has_unsaved_changes());
  // Other headers are a change.
  REQUIRE(lab.store(0)
              .set("a", StoreLab::encoded(Value(Value::Map{{"x", 1}, {"y", 2}})),
                   Headers(Value(Value::Map{{"h", 1}})))
              .ok());
  CHECK(lab.store(0).has_unsaved_changes());
  CHECK(lab.store(0).headers("a").value() == Value(Value::Map{{"h", 1}}));
  exchange(lab, 0);
  CHECK(lab.store(0).headers("a").value() == Value(Value::Map{{"h", 1}}));
}

TEST_CASE("keys keep their place, and come back at the end") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  for (const char* key : {"c", "a", "b"}) lab.set(0, key, Value(1));
  exchange(lab, 0);
  lab.set(0, "a", Value(2));
  CHECK(keys(lab.store(0)) == std::vector<std::string>{"c", "a", "b"});
  lab.erase(0, "c");
  lab.set(0, "c", Value(3));
  CHECK(keys(lab.store(0)) == std::vector<std::string>{"a", "b", "c"});
  exchange(lab, 0);
  CHECK(keys(lab.store(0)) == std::vector<std::string>{"a", "b", "c"});
  CHECK(lab.store(0).size() == 3);
}

TEST_CASE("without a merge the local change wins a conflict") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value(1));
  lab.set(1, "a", Value(2));
  exchange(lab, 0);
  CHECK(lab.value(0, "a") == Value(1));
  CHECK(lab.value(1, "a") == Value(2));
  exchange(lab, 1);
  CHECK(lab.value(0, "a") == Value(2));
  // A remote value that equals the local one is no conflict.
  lab.set(0, "b", Value(7));
  lab.set(1, "b", Value(7));
  exchange(lab, 0);
  CHECK_FALSE(lab.store(1).has_unsaved_changes());
}

TEST_CASE("a merge function sees both sides and what they had last") {
  StoreLab::Options made = options(MergeKind::custom);
  std::vector<dkv_effect::MergeNeeded> asked;
  made.custom = [&](const dkv_effect::MergeNeeded& question) -> std::optional<Value> {
    asked.push_back(question);
    return Value("merged");
  };
  StoreLab lab(std::move(made));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value("old"));
  exchange(lab, 0);
  lab.set(0, "a", Value("mine"));
  lab.set(1, "a", Value("yours"));
  exchange(lab, 1);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].key == "a");
  CHECK(decoded(asked[0].local) == Value("mine"));
  CHECK(decoded(asked[0].remote) == Value("yours"));
  CHECK(decoded(asked[0].previous) == Value("old"));
  CHECK(lab.value(0, "a") == Value("merged"));
  exchange(lab, 0);
  CHECK(lab.value(1, "a") == Value("merged"));
}

TEST_CASE("a merge that is asked for holds the key until it is resolved") {
  StoreLab lab(options(MergeKind::custom));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value(1));
  lab.set(1, "a", Value(2));
  exchange(lab, 1);
  auto asked = only<dkv_effect::MergeNeeded>(lab.take_effects(0));
  REQUIRE(asked.size() == 1);
  lab.pump(0);
  CHECK_FALSE(lab.execute(0));
  // Another change meanwhile makes it another question.
  lab.set(1, "a", Value(3));
  exchange(lab, 1);
  CHECK(lab.take_effects(0).empty());
  lab.store(0).resolve_merge(asked[0].merge, std::optional(StoreLab::encoded(Value(12))));
  lab.store(0).resolve_merge(99, std::nullopt);
  lab.advance(0);
  asked = only<dkv_effect::MergeNeeded>(lab.take_effects(0));
  REQUIRE(asked.size() == 1);
  CHECK(decoded(asked[0].remote) == Value(3));
  // Deleting is a possible answer.
  lab.store(0).resolve_merge(asked[0].merge, std::optional<EncodedValue>());
  CHECK_FALSE(lab.store(0).has("a"));
  exchange(lab, 0);
  CHECK_FALSE(lab.store(1).has("a"));
}

TEST_CASE("an answer that was lost doubles nothing") {
  StoreLab lab(options(MergeKind::counter));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "n", Value(1));
  lab.pump(0);
  REQUIRE(lab.execute(0));  // stored, but neither echo nor answer arrive
  lab.disconnect(0);
  while (lab.deliver(1)) {
  }
  lab.set(1, "n", Value(11));
  exchange(lab, 1);
  lab.set(0, "n", Value(3));
  lab.settle();
  CHECK(lab.value(0, "n") == Value(13));
  lab.check_converged();
}

TEST_CASE("both count when two create the same counter") {
  StoreLab lab(options(MergeKind::counter));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "n", Value(1));
  lab.set(1, "n", Value(1));
  lab.pump(0);
  lab.pump(1);
  REQUIRE(lab.execute(0));
  REQUIRE(lab.execute(1));
  lab.settle();
  CHECK(lab.value(0, "n") == Value(2));
}

TEST_CASE("what a limit deletes is told with its key") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.set(0, "a", Value(1));
  exchange(lab, 0);
  lab.take_effects(0);
  lab.discard("a");
  while (lab.deliver(0)) {
  }
  const auto changes = only<dkv_effect::Change>(lab.take_effects(0));
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].key == "a");
  CHECK_FALSE(changes[0].value);
  CHECK(decoded(changes[0].previous) == Value(1));
  CHECK(lab.store(0).held() == 0);
}

// A store whose server is the test itself.
struct Alone {
  DkvStore::Effects effects;
  DkvStore store;
  DkvStore::Batch batch;

  explicit Alone(MergeKind merge = MergeKind::none, bool autosave = true)
      : store(Owner{Layer::user, 1}, 1, merge, autosave, Random(5), effects) {}

  void connect(TimeMs now = 0) {
    store.on_snapshot(now, true, {});
    store.on_connection(now, true);
    effects.clear();
  }
  void set(std::string_view key, const Value& value) {
    REQUIRE(store.set(key, StoreLab::encoded(value), {}).ok());
  }
  StreamMessage echo(std::size_t item, StreamSequence seq) const {
    StreamMessage message;
    message.seq = seq;
    message.key = std::string(*batch.items[item].key);
    message.raw = to_bytes(batch.items[item].raw);
    message.headers = batch.items[item].headers;
    message.message_id = batch.items[item].message_id;
    return message;
  }
  void change(TimeMs now, StreamMessage message) {
    std::vector<StreamUpdate> updates(1);
    updates[0].message = std::move(message);
    store.on_changes(now, std::move(updates));
  }
  using Results = std::vector<Result<SetResult>>;
  void answer(TimeMs now, Results results) {
    store.on_batch_answered(now, batch.id, Result<Results>(std::move(results)));
  }
};

TEST_CASE("all pending keys go out in one batch, at most 500") {
  Alone alone;
  for (int i = 0; i < 1200; ++i) alone.set(std::to_string(i), Value(i));
  CHECK_FALSE(alone.store.next_batch(0, alone.batch));  // not connected
  CHECK_FALSE(alone.store.deadline());
  alone.connect();
  CHECK(alone.store.deadline());
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items.size() == 500);
  CHECK(*alone.batch.items[0].key == "0");
  const std::uint64_t first = alone.batch.id;
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items.size() == 500);
  // The last one is not full: it waits until nothing is under way.
  CHECK_FALSE(alone.store.next_batch(0, alone.batch));
  const Alone::Results results(500, SetResult{1, 1});
  alone.store.on_batch_answered(0, first, Result<Alone::Results>(results));
  CHECK_FALSE(alone.store.next_batch(0, alone.batch));
  alone.answer(0, results);
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items.size() == 200);
}

TEST_CASE("large values make small batches") {
  Alone alone;
  const Value large(std::string(1'500'000, 'x'));
  for (const char* key : {"a", "b", "c"}) alone.set(key, large);
  alone.connect();
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items.size() == 2);
  CHECK_FALSE(
      alone.store.set("d", {PayloadEncoding::msgpack, Bytes(limits::max_value_bytes + 1)}, {})
          .ok());
  CHECK_FALSE(
      alone.store.set(std::string(limits::max_key_bytes + 1, 'k'), StoreLab::encoded(1), {}).ok());
}

TEST_CASE("a failed batch is sent again as it was, with growing pauses") {
  Alone alone;
  alone.connect();
  alone.set("a", Value(1));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  const std::string id = alone.batch.items[0].message_id;
  CHECK(id.size() == 10);
  alone.set("a", Value(2));
  TimeMs now = 0;
  std::vector<TimeMs> pauses;
  for (int i = 0; i < 30; ++i) {
    alone.store.on_batch_answered(now, alone.batch.id, Error(ErrorKind::timeout));
    REQUIRE(alone.store.deadline());
    pauses.push_back(*alone.store.deadline() - now);
    CHECK_FALSE(alone.store.next_batch(*alone.store.deadline() - 1, alone.batch));
    now = *alone.store.deadline();
    REQUIRE(alone.store.next_batch(now, alone.batch));
    CHECK(alone.batch.items[0].message_id == id);
    CHECK(to_bytes(alone.batch.items[0].raw) == encode_msgpack(Value(1)));
  }
  CHECK(pauses.front() == 150);
  CHECK(pauses[1] == 195);
  CHECK(pauses.back() == 10'000);
  // Once its outcome is known the newer value follows.
  alone.change(now, alone.echo(0, 1));
  REQUIRE(alone.store.next_batch(now, alone.batch) == false);  // the answer is still awaited
  alone.answer(now, {SetResult{1, 1}});
  REQUIRE(alone.store.next_batch(now, alone.batch));
  CHECK(alone.batch.items[0].message_id != id);
  CHECK(to_bytes(alone.batch.items[0].raw) == encode_msgpack(Value(2)));
}

TEST_CASE("a rejected change is dropped and told") {
  Alone alone;
  alone.connect();
  alone.set("a", Value(1));
  alone.set("b", Value(2));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.answer(0, {Error(ErrorKind::rejected, "too much"), SetResult{1, 1}});
  CHECK_FALSE(alone.store.has("a"));
  CHECK(alone.store.has("b"));
  CHECK(alone.store.size() == 1);
  REQUIRE(alone.effects.size() == 1);
  const auto& rejected = std::get<dkv_effect::Rejected>(alone.effects[0]);
  CHECK(rejected.key == "a");
  CHECK(decoded(rejected.value) == Value(1));
  CHECK(rejected.error.text == "too much");
}

TEST_CASE("what others changed behind a local change is told when that is taken back") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value("old"));
  exchange(lab, 0);
  lab.take_effects(1);
  lab.set(1, "a", Value("mine"));
  lab.erase(0, "a");
  exchange(lab, 0);
  CHECK(only<dkv_effect::Change>(lab.take_effects(1)).empty());
  CHECK(lab.value(1, "a") == Value("mine"));
  lab.erase(1, "a");
  lab.advance(0);
  CHECK_FALSE(lab.store(1).has_unsaved_changes());
  const auto changes = only<dkv_effect::Change>(lab.take_effects(1));
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].value);
  CHECK(decoded(changes[0].previous) == Value("old"));
}

TEST_CASE("what others changed behind a local change is told when that is rejected") {
  StoreLab lab(options(MergeKind::none));
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "a", Value("old"));
  exchange(lab, 0);
  lab.take_effects(1);
  lab.set(1, "a", Value("mine"));
  lab.set(0, "a", Value("new"));
  exchange(lab, 0);
  DkvStore::Batch batch;
  REQUIRE(lab.store(1).next_batch(lab.now(), batch));
  lab.store(1).on_batch_answered(
      lab.now(), batch.id, std::vector<Result<SetResult>>{Error(ErrorKind::rejected, "too much")});
  lab.advance(0);
  const auto effects = lab.take_effects(1);
  CHECK(only<dkv_effect::Rejected>(effects).size() == 1);
  const auto changes = only<dkv_effect::Change>(effects);
  REQUIRE(changes.size() == 1);
  CHECK(decoded(changes[0].value) == Value("new"));
  CHECK(decoded(changes[0].previous) == Value("old"));
}

TEST_CASE("a write with a merge names what it is based on") {
  Alone alone(MergeKind::counter);
  alone.connect();
  alone.set("a", Value(1));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items[0].previous_seq == must_not_exist);
  alone.change(0, alone.echo(0, 4));
  alone.answer(0, {SetResult{4, 1}});
  alone.set("a", Value(2));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  CHECK(alone.batch.items[0].previous_seq == 4);
  // Refused: it waits for the newer value, and asks again if that does not come.
  alone.answer(0, {Error(ErrorKind::wrong_last_sequence)});
  CHECK_FALSE(alone.store.next_batch(0, alone.batch));
  REQUIRE(alone.store.deadline());
  alone.store.on_time(*alone.store.deadline());
  REQUIRE(alone.store.next_batch(1000, alone.batch));
  CHECK(alone.batch.items[0].previous_seq == 4);
  alone.answer(1000, {Error(ErrorKind::wrong_last_sequence)});
  StreamMessage other;
  other.seq = 9;
  other.key = "a";
  other.raw = encode_msgpack(Value(11));
  alone.change(1000, other);
  CHECK(decoded(alone.store.get("a")) == Value(12));
  REQUIRE(alone.store.next_batch(1000, alone.batch));
  CHECK(alone.batch.items[0].previous_seq == 9);
}

TEST_CASE("a server that does not know must_not_exist is served without") {
  Alone alone(MergeKind::set);
  alone.connect();
  alone.set("a", Value(Value::Array{1}));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  SECTION("it answers with an error without a code") {
    alone.answer(0, {Error(ErrorCode{}, "TypeError")});
  }
  SECTION("it refuses every time") {
    TimeMs now = 0;
    for (int i = 0; i < 7; ++i) {
      alone.answer(now, {Error(ErrorKind::wrong_last_sequence)});
      now = *alone.store.deadline();
      alone.store.on_time(now);
      REQUIRE(alone.store.next_batch(now, alone.batch));
      CHECK(alone.batch.items[0].previous_seq == must_not_exist);
    }
    alone.answer(now, {Error(ErrorKind::wrong_last_sequence)});
    alone.store.on_time(now + 1000);
  }
  REQUIRE(alone.store.next_batch(100'000, alone.batch));
  CHECK_FALSE(alone.batch.items[0].previous_seq);
}

TEST_CASE("with autosave save() is answered when all is echoed") {
  Alone alone;
  alone.connect();
  alone.store.save(0, 1);
  REQUIRE(alone.effects.size() == 1);
  CHECK_FALSE(std::get<dkv_effect::Saved>(alone.effects[0]).error);
  alone.effects.clear();
  alone.set("a", Value(1));
  alone.store.save(0, 2);
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.answer(0, {SetResult{1, 1}});
  CHECK(alone.effects.empty());
  alone.change(0, alone.echo(0, 1));
  REQUIRE(alone.effects.size() == 3);
  CHECK(std::holds_alternative<dkv_effect::Change>(alone.effects[0]));
  CHECK(std::get<dkv_effect::Saved>(alone.effects[1]).call == 2);
  CHECK(std::holds_alternative<dkv_effect::Stable>(alone.effects[2]));
}

TEST_CASE("without autosave save() is one attempt") {
  Alone alone(MergeKind::none, false);
  alone.set("a", Value(1));
  alone.store.save(0, 1);
  CHECK(std::get<dkv_effect::Saved>(alone.effects.back()).error);
  alone.connect();
  CHECK_FALSE(alone.store.next_batch(0, alone.batch));
  alone.store.save(0, 2);
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.store.on_batch_answered(0, alone.batch.id, Error(ErrorKind::timeout));
  REQUIRE(alone.effects.size() == 1);
  CHECK(std::get<dkv_effect::Saved>(alone.effects[0]).error);
  CHECK_FALSE(alone.store.next_batch(100'000, alone.batch));
  CHECK(alone.store.has_unsaved_changes());
  alone.effects.clear();
  alone.store.save(100'000, 3);
  REQUIRE(alone.store.next_batch(100'000, alone.batch));
  alone.answer(100'000, {SetResult{1, 1}});
  // The acknowledgement is enough.
  REQUIRE(alone.effects.size() == 1);
  CHECK(std::get<dkv_effect::Saved>(alone.effects[0]).call == 3);
  CHECK_FALSE(std::get<dkv_effect::Saved>(alone.effects[0]).error);
}

TEST_CASE("a complete snapshot takes away what is not in it") {
  Alone alone;
  std::vector<StreamMessage> messages(3);
  for (int i = 0; i < 3; ++i) {
    messages[static_cast<std::size_t>(i)].seq = i + 1;
    messages[static_cast<std::size_t>(i)].key = std::string(1, static_cast<char>('a' + i));
    messages[static_cast<std::size_t>(i)].raw = encode_msgpack(Value(i));
  }
  alone.store.on_snapshot(0, true, messages);
  REQUIRE(alone.effects.size() == 1);  // no changes at the opening
  CHECK(std::holds_alternative<dkv_effect::Opened>(alone.effects[0]));
  alone.effects.clear();
  messages[2].seq = 8;
  alone.store.on_snapshot(0, true, {messages[1], messages[2]});
  CHECK(keys(alone.store) == std::vector<std::string>{"b", "c"});
  CHECK(alone.store.held() == 2);
  REQUIRE(alone.effects.size() == 2);
  CHECK(std::get<dkv_effect::Change>(alone.effects[0]).key == "c");
  CHECK(std::get<dkv_effect::Change>(alone.effects[1]).key == "a");
  CHECK_FALSE(std::get<dkv_effect::Change>(alone.effects[1]).value);
}

TEST_CASE("an acknowledged write that a later snapshot lacks is settled") {
  Alone alone;
  alone.connect();
  alone.set("a", Value(1));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.answer(0, {SetResult{3, 1}});
  CHECK(alone.store.has_unsaved_changes());
  alone.store.on_connection(0, false);
  alone.store.on_snapshot(0, true, {});
  CHECK_FALSE(alone.store.has_unsaved_changes());
  CHECK_FALSE(alone.store.has("a"));
}

TEST_CASE("an acknowledgement may be for what came and went before this session") {
  Alone alone;
  alone.connect();
  alone.set("a", Value(1));
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.store.on_batch_answered(0, alone.batch.id, Error(ErrorKind::disconnected));
  alone.store.on_connection(0, false);
  alone.store.on_snapshot(0, true, {});
  alone.store.on_connection(0, true);
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.answer(0, {SetResult{3, 1}});
  CHECK(alone.store.has_unsaved_changes());
  REQUIRE(alone.store.deadline());
  alone.store.on_time(*alone.store.deadline());
  CHECK_FALSE(alone.store.has_unsaved_changes());
}

TEST_CASE("a detached store still saves, and tells nobody") {
  Alone alone;
  alone.connect();
  alone.set("a", Value(1));
  alone.store.save(0, 1);
  alone.store.detach();
  REQUIRE(alone.store.next_batch(0, alone.batch));
  alone.change(0, alone.echo(0, 1));
  CHECK_FALSE(alone.store.has_unsaved_changes());
  CHECK(alone.effects.empty());
}

TEST_CASE("a hundred thousand keys") {
  Alone alone;
  std::vector<StreamMessage> messages(100'000);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    messages[i].seq = static_cast<StreamSequence>(i + 1);
    messages[i].key = "key-" + std::to_string(i);
    messages[i].raw = encode_msgpack(Value(static_cast<std::int64_t>(i)));
  }
  alone.store.on_snapshot(0, true, messages);
  alone.store.on_connection(0, true);
  CHECK(alone.store.size() == messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    alone.set(*messages[i].key, Value(-1));
  }
  CHECK(alone.store.unsaved_changes().size() == messages.size());
  std::size_t sent = 0;
  StreamSequence seq = static_cast<StreamSequence>(messages.size());
  while (alone.store.next_batch(0, alone.batch)) {
    sent += alone.batch.items.size();
    Alone::Results results;
    std::vector<StreamUpdate> echoes;
    for (std::size_t i = 0; i < alone.batch.items.size(); ++i) {
      results.emplace_back(SetResult{++seq, 1});
      echoes.emplace_back();
      echoes.back().message = alone.echo(i, seq);
    }
    alone.store.on_changes(0, std::move(echoes));
    alone.answer(0, std::move(results));
  }
  CHECK(sent == messages.size());
  CHECK(alone.store.size() == messages.size());
  CHECK_FALSE(alone.store.has_unsaved_changes());
}

}  // namespace
}  // namespace conat
