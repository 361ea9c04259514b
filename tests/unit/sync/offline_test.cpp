// What is kept of a store, and how another run of the program goes on with it.
#include <catch2/catch.hpp>
#include <set>

#include "conat/sync/kept.hpp"
#include "property/sync/dstream_lab.hpp"
#include "property/sync/store_lab.hpp"

namespace conat {
namespace {

// Long after a server has forgotten msgIDs, in the labs' time.
constexpr TimeMs kLong = 600'000'000;

StoreLab counting(std::size_t replicas, std::uint64_t seed = 1) {
  StoreLab::Options options;
  options.merge = MergeKind::counter;
  options.replicas = replicas;
  options.seed = seed;
  return StoreLab(options);
}

template <class Lab>
void save_all(Lab& lab, std::size_t replica) {
  lab.pump(replica);
  while (lab.execute(replica)) {
  }
  while (lab.deliver(replica)) {
  }
}

TEST_CASE("what is kept of a stream is shown without the server, and saved once") {
  DStreamLab lab(1, 2);
  lab.keep(0);
  lab.connect(0);
  lab.publish(0, Value("saved"));
  save_all(lab, 0);
  lab.disconnect(0);
  lab.publish(0, Value("unsaved"));
  lab.restart(0);
  const auto effects = lab.take_effects(0);
  REQUIRE(effects.size() == 1);
  CHECK(std::holds_alternative<dstream_effect::Opened>(effects[0]));
  CHECK(lab.view(0) == std::vector<Value>{Value("saved"), Value("unsaved")});
  CHECK(lab.store(0).unsaved_count() == 1);
  lab.restart(0);
  lab.settle();
  CHECK(lab.server_view() == std::vector<Value>{Value("saved"), Value("unsaved")});
  CHECK(lab.view(1) == lab.server_view());
}

TEST_CASE("a kept message that was stored is recognized, however much later") {
  DStreamLab lab(2, 2);
  lab.keep(0);
  lab.connect(0);
  lab.publish(0, Value("x"));
  lab.publish(0, Value("x"));
  lab.pump(0);
  REQUIRE(lab.execute(0));  // stored; the answer never comes
  lab.restart(0);
  lab.advance(kLong);
  CHECK(lab.view(0).size() == 2);
  lab.settle();
  CHECK(lab.server_view().size() == 2);
  CHECK(lab.view(0).size() == 2);
}

TEST_CASE("changes of a run that has ended are adopted, once by however many") {
  DStreamLab lab(3, 3);
  for (std::size_t i = 0; i < 3; ++i) lab.keep(i);
  lab.publish(0, Value("a"));
  lab.publish(0, Value("b"));
  const Bytes changes = lab.store(0).kept_changes();
  lab.connect(1);
  lab.keep(1, {}, changes);
  lab.keep(1, {}, changes);
  save_all(lab, 1);
  lab.advance(kLong);
  lab.connect(2);
  lab.keep(2, {}, changes);
  lab.connect(0);
  lab.settle();
  CHECK(lab.server_view() == std::vector<Value>{Value("a"), Value("b")});
}

TEST_CASE("a kept value is merged from the value that both had in common") {
  StoreLab lab = counting(2);
  for (std::size_t i = 0; i < 2; ++i) lab.keep(i);
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "n", Value(5));
  save_all(lab, 0);
  save_all(lab, 1);
  lab.disconnect(0);
  lab.set(0, "n", Value(6));
  lab.restart(0);
  CHECK(lab.value(0, "n") == Value(6));
  lab.set(1, "n", Value(8));
  save_all(lab, 1);
  lab.settle();
  CHECK(lab.value(0, "n") == Value(9));
  lab.check_converged();
}

TEST_CASE("a kept write that was stored counts once, however much later") {
  StoreLab lab = counting(2);
  lab.keep(0);
  lab.connect(0);
  lab.set(0, "n", Value(5));
  save_all(lab, 0);
  lab.set(0, "n", Value(6));
  lab.pump(0);
  REQUIRE(lab.execute(0));
  lab.set(0, "n", Value(7));  // not in that write
  lab.restart(0);
  lab.advance(kLong);
  lab.settle();
  CHECK(lab.value(0, "n") == Value(7));
  lab.check_converged();
}

TEST_CASE("an adopted change and one's own of the same key both count") {
  StoreLab lab = counting(2);
  for (std::size_t i = 0; i < 2; ++i) lab.keep(i);
  lab.connect(0);
  lab.connect(1);
  lab.set(0, "n", Value(5));
  save_all(lab, 0);
  save_all(lab, 1);
  lab.disconnect(0);
  lab.disconnect(1);
  lab.set(0, "n", Value(6));
  lab.set(1, "n", Value(15));
  const Bytes changes = lab.store(0).kept_changes();
  lab.keep(1, {}, changes);
  lab.restart(1);  // what waits is kept, too
  lab.connect(1);
  for (int i = 0; i < 20; ++i) {
    save_all(lab, 1);
    lab.advance(1000);
  }
  CHECK(lab.value(1, "n") == Value(16));
}

TEST_CASE("a stream that began anew replaces what was kept of it") {
  StoreLab lab = counting(1);
  lab.keep(0);
  lab.connect(0);
  for (int i = 0; i < 5; ++i) {
    lab.set(0, "old", Value(i + 1));
    save_all(lab, 0);
  }
  lab.disconnect(0);
  lab.set(0, "mine", Value(7));
  const Bytes state = lab.store(0).kept_state();
  const Bytes changes = lab.store(0).kept_changes();
  StoreLab anew = counting(1, 9);
  anew.keep(0, state, changes);
  CHECK(anew.value(0, "old") == Value(5));
  CHECK(anew.value(0, "mine") == Value(7));
  anew.settle();
  CHECK_FALSE(anew.value(0, "old"));
  CHECK(anew.value(0, "mine") == Value(7));
  anew.check_converged();
}

TEST_CASE("what is damaged or foreign is refused whole, or harmless") {
  StoreLab lab = counting(1);
  DStreamLab streams(5, 1);
  lab.keep(0);
  streams.keep(0);
  lab.connect(0);
  lab.set(0, "a", Value(1));
  save_all(lab, 0);
  lab.set(0, "a", Value(2));
  lab.pump(0);
  streams.publish(0, Value("m"));
  const Bytes kept[] = {lab.store(0).kept_state(), lab.store(0).kept_changes(),
                        streams.store(0).kept_state(), streams.store(0).kept_changes()};
  const Bytes foreign = to_bytes(as_bytes("{\"not\": \"ours\"}"));
  DStreamLab other(6, 1);
  CHECK_FALSE(other.store(0).restore(0, kept[0], {}, true).ok());
  CHECK_FALSE(other.store(0).restore(0, foreign, {}, true).ok());
  CHECK(other.view(0).empty());
  for (const Bytes& bytes : kept) {
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      StoreLab into = counting(1);
      CHECK_FALSE(into.store(0).restore(part, part, true).ok());
      DStreamLab stream_into(7, 1);
      CHECK_FALSE(stream_into.store(0).restore(0, part, part, true).ok());
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      Bytes wrong = bytes;
      wrong[at] = static_cast<std::uint8_t>(wrong[at] ^ 0x15u);
      StoreLab into = counting(1);
      (void)into.store(0).restore(wrong, {}, true);
      (void)into.store(0).restore({}, wrong, true);
      DStreamLab stream_into(7, 1);
      (void)stream_into.store(0).restore(0, wrong, {}, true);
      (void)stream_into.store(0).restore(0, {}, wrong, true);
    }
  }
}

TEST_CASE("any history of restarts and partitions: every message once, every count counted") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    DStreamLab lab(seed, 3);
    for (std::size_t i = 0; i < 3; ++i) lab.keep(i);
    std::int64_t published = 0;
    for (int step = 0; step < 300; ++step) {
      const std::size_t who = lab.random().below(3);
      if (lab.random().below(6) == 0) lab.publish(who, Value(published++));
      if (lab.random().below(25) == 0) lab.restart(who);
      lab.random_step(8);
    }
    lab.settle();
    std::set<std::int64_t> distinct;
    for (const Value& value : lab.server_view()) distinct.insert(value.integer_or(-1));
    CHECK(distinct.size() == lab.server_view().size());
    CHECK(static_cast<std::int64_t>(distinct.size()) == published);

    StoreLab stores = counting(3, seed);
    for (std::size_t i = 0; i < 3; ++i) stores.keep(i);
    for (int step = 0; step < 300; ++step) {
      const std::size_t who = stores.random().below(3);
      if (stores.random().below(6) == 0) {
        const auto shown = stores.value(who, "n");
        stores.set(who, "n", Value(shown ? shown->integer_or(0) + 1 : std::int64_t{1}));
      }
      if (stores.random().below(25) == 0) stores.restart(who);
      stores.random_step(8);
    }
    stores.settle();
    stores.check_converged();
  }
}

}  // namespace
}  // namespace conat
