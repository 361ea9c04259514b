#include "conat/sync/dstream_store.hpp"

#include <catch2/catch.hpp>

#include "property/sync/dstream_lab.hpp"

namespace conat {
namespace {

template <class Effect>
std::vector<Effect> only(const std::vector<DStreamEffect>& effects) {
  std::vector<Effect> found;
  for (const DStreamEffect& effect : effects) {
    if (const auto* match = std::get_if<Effect>(&effect)) found.push_back(*match);
  }
  return found;
}

TEST_CASE("a message goes from unsaved to acknowledged to told") {
  DStreamLab lab(1, 1);
  lab.connect(0);
  lab.take_effects(0);
  DStreamStore& store = lab.store(0);
  lab.publish(0, Value("m"));
  REQUIRE(store.size() == 1);
  CHECK(store.entry(0).id < 0);
  CHECK_FALSE(store.entry(0).seq);
  CHECK(store.has_unsaved_changes());
  CHECK_FALSE(store.is_stable());

  lab.pump(0);
  REQUIRE(lab.execute(0));
  lab.delay_changes(0);
  REQUIRE(lab.deliver(0));  // the answer
  CHECK_FALSE(store.has_unsaved_changes());
  CHECK_FALSE(store.is_stable());
  CHECK(store.entry(0).seq == 1);
  CHECK_FALSE(store.entry(0).time);
  CHECK(store.size() == 1);
  CHECK(only<dstream_effect::Change>(lab.take_effects(0)).empty());

  REQUIRE(lab.deliver(0));  // the changes
  CHECK(store.is_stable());
  CHECK(store.entry(0).time);
  CHECK(store.size() == 1);
  const auto effects = lab.take_effects(0);
  const auto changes = only<dstream_effect::Change>(effects);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].change.seq == 1);
  CHECK(only<dstream_effect::Stable>(effects).size() == 1);
}

TEST_CASE("what came while an outcome is unknown waits until it is known") {
  DStreamLab lab(2, 2);
  lab.connect(0);
  lab.connect(1);
  lab.publish(0, Value("mine"));
  lab.pump(0);
  REQUIRE(lab.execute(0));
  lab.disconnect(0);  // stored, but the answer and the change are lost
  lab.publish(1, Value("other"));
  lab.pump(1);
  REQUIRE(lab.execute(1));
  lab.take_effects(0);
  lab.connect(0);
  CHECK(lab.view(0) == std::vector<Value>{Value("mine")});
  CHECK(only<dstream_effect::Change>(lab.take_effects(0)).empty());
  lab.pump(0);
  REQUIRE(lab.execute(0));
  while (lab.deliver(0)) {
  }
  CHECK(lab.view(0) == std::vector<Value>{Value("mine"), Value("other")});
  CHECK(only<dstream_effect::Change>(lab.take_effects(0)).size() == 2);
  CHECK(lab.store(0).is_stable());
}

TEST_CASE("a message whose id the server may have forgotten is recognized by its bytes") {
  DStreamLab lab(8, 1);
  lab.connect(0);
  lab.publish(0, Value("stored"));
  lab.publish(0, Value("stored"));
  lab.pump(0);
  REQUIRE(lab.execute(0));
  lab.disconnect(0);  // both are stored, and the answer is lost
  lab.publish(0, Value("new"));
  lab.advance(limits::message_id_ttl_ms);
  lab.connect(0);
  CHECK(lab.store(0).unsaved_count() == 1);
  CHECK(lab.view(0) == std::vector<Value>{Value("stored"), Value("stored"), Value("new")});
  lab.settle();
  CHECK(lab.server_view() == std::vector<Value>{Value("stored"), Value("stored"), Value("new")});
}

TEST_CASE("save is answered when nothing is unsaved") {
  DStreamLab lab(3, 1);
  lab.connect(0);
  lab.take_effects(0);
  lab.store(0).save(lab.now(), 1);
  lab.publish(0, Value(1));
  lab.store(0).save(lab.now(), 2);
  lab.pump(0);
  lab.execute(0);
  while (lab.deliver(0)) {
  }
  const auto saved = only<dstream_effect::Saved>(lab.take_effects(0));
  REQUIRE(saved.size() == 2);
  CHECK(saved[0].call == 1);
  CHECK(saved[1].call == 2);
  CHECK_FALSE(saved[1].error);
}

TEST_CASE("without autosave a save is one attempt") {
  DStreamLab lab(4, 1, false);
  DStreamStore& store = lab.store(0);
  lab.publish(0, Value(1));
  store.save(lab.now(), 1);
  lab.connect(0);
  auto saved = only<dstream_effect::Saved>(lab.take_effects(0));
  REQUIRE(saved.size() == 1);
  CHECK(saved[0].error);  // it was not connected
  lab.pump(0);
  CHECK_FALSE(lab.execute(0));
  store.save(lab.now(), 2);
  lab.publish(0, Value(2));
  lab.pump(0);
  REQUIRE(lab.execute(0));
  while (lab.deliver(0)) {
  }
  saved = only<dstream_effect::Saved>(lab.take_effects(0));
  REQUIRE_FALSE(saved.empty());
  CHECK(saved.back().call == 2);
  CHECK_FALSE(saved.back().error);
  CHECK(store.unsaved_count() == 1);
  CHECK(lab.server_view() == std::vector<Value>{Value(1)});
}

TEST_CASE("without autosave a lost connection fails the attempt, and nothing is shown twice") {
  DStreamLab lab(5, 1, false);
  lab.connect(0);
  lab.publish(0, Value(1));
  lab.store(0).save(lab.now(), 1);
  lab.pump(0);
  REQUIRE(lab.execute(0));
  lab.disconnect(0);
  const auto saved = only<dstream_effect::Saved>(lab.take_effects(0));
  REQUIRE(saved.size() == 1);
  CHECK(saved[0].error);
  lab.connect(0);
  CHECK(lab.view(0).size() == 1);
  lab.settle();
  CHECK(lab.view(0) == std::vector<Value>{Value(1)});
  CHECK(lab.server_view() == std::vector<Value>{Value(1)});
}

TEST_CASE("a refused message is dropped and told") {
  DStreamLab lab(6, 1);
  lab.connect(0);
  lab.take_effects(0);
  DStreamStore& store = lab.store(0);
  lab.publish(0, Value("refused"));
  lab.publish(0, Value("later"));
  store.save(lab.now(), 9);
  DStreamStore::Batch batch;
  REQUIRE(store.next_batch(lab.now(), batch));
  std::vector<Result<SetResult>> results;
  results.emplace_back(Error(ErrorKind::rejected, "max_msgs limit reached"));
  results.emplace_back(Error(ErrorKind::storage_failed));
  store.on_batch_answered(lab.now(), batch.id, std::move(results));
  CHECK(lab.view(0) == std::vector<Value>{Value("later")});
  CHECK(store.has_unsaved_changes());
  // The other one is tried again, later and with the same id.
  const std::string id = batch.items[1].message_id;
  CHECK_FALSE(store.next_batch(lab.now(), batch));
  REQUIRE(store.next_batch(lab.now() + 200, batch));
  CHECK(batch.items[0].message_id == id);
  lab.advance(0);
  const auto effects = lab.take_effects(0);
  const auto rejected = only<dstream_effect::Rejected>(effects);
  REQUIRE(rejected.size() == 1);
  CHECK(rejected[0].error.text == "max_msgs limit reached");
  CHECK(only<dstream_effect::Saved>(effects).empty());
}

TEST_CASE("a message that is too large is refused at once") {
  DStreamLab lab(7, 1);
  const Bytes large(limits::max_value_bytes + 1, std::uint8_t{0});
  const Status status = lab.store(0).publish({PayloadEncoding::msgpack, large}, {}, 0);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code.number == 413);
  CHECK(lab.store(0).size() == 0);
}

}  // namespace
}  // namespace conat
