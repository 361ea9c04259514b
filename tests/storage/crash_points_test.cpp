// Power failures at any operation of the disk, and writes and syncs that fail, full disks, disks
// that lie: what was acknowledged is kept, nothing is half done, damaged files are set aside.

#include <random>

#include "storage/crash_run.hpp"
#include "storage/engine_harness.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

constexpr int kPointsPerRun = 10;

CrashTally run_points(CrashRunOptions options, int runs) {
  CrashTally tally;
  for (int i = 0; i < runs; ++i) {
    ++options.seed;
    options.large = i % 10 == 9;
    CrashRun run(options, tally);
    for (int point = 0; point < kPointsPerRun; ++point) run.one_point();
    run.finish();
  }
  UNSCOPED_INFO("in openings " << tally.in_openings << ", groups " << tally.in_groups
                               << ", between " << tally.between_groups << "; kept " << tally.kept
                               << ", undone " << tally.undone << ", forgotten " << tally.forgotten
                               << ", failed " << tally.failed_groups << ", repeated "
                               << tally.repeated);
  CHECK(tally.points == runs * kPointsPerRun);
  return tally;
}

}  // namespace

TEST_CASE("500 power failures lose nothing acknowledged and leave nothing half done", "[crash]") {
  const CrashTally tally = run_points({.seed = 1000}, 30);
  const CrashTally more = run_points({.seed = 2000, .failures = true}, 20);
  REQUIRE(tally.points + more.points == 500);
  // Every kind of moment has been there, and both outcomes of what nobody was told.
  REQUIRE(tally.in_openings > 10);
  REQUIRE(tally.in_groups > 50);
  REQUIRE(tally.between_groups > 5);
  REQUIRE(tally.kept > 5);
  REQUIRE(tally.undone > 5);
  REQUIRE(tally.repeated > 50);
  REQUIRE(tally.forgotten + more.forgotten == 0);
  REQUIRE(more.failed_groups > 50);
}

TEST_CASE("with `os` a power failure takes the last answers at most", "[crash]") {
  const CrashTally tally = run_points({.seed = 3000, .durable = false}, 5);
  // Or the disk would not be one that loses anything.
  REQUIRE(tally.forgotten > 5);
}

// ---- failures while the power is on ----

namespace {

StorageOptions engine_options(const TemporaryDirectory& directory) {
  StorageOptions options;
  options.data_dir = directory / "data";
  options.threads = 1;  // the worst case for the others
  return options;
}

void require_failure(const EngineHarness::Answer& answer, const std::string& text) {
  REQUIRE(!answer.ok());
  REQUIRE(answer.error().code.number == 507);
  REQUIRE(answer.error().text == text);
}

SetRequest with_id(std::string_view raw, const std::string& id) {
  SetRequest request = EngineHarness::request(raw);
  request.message_id = id;
  return request;
}

StreamSequence seq_of(const EngineHarness::Answer& answer) {
  INFO((answer.ok() ? "" : answer.error().text));
  REQUIRE(answer.ok());
  return std::get<SetResult>(*answer).seq;
}

}  // namespace

TEST_CASE("no space from any write on: told, undone, others go on, and well again with space") {
  // From the first write of a commit to one in the middle of its pages.
  const std::uint64_t first = GENERATE(1u, 2u, 3u, 5u, 9u);
  TemporaryDirectory directory;
  FaultDisk disk(directory.path(), first);
  EngineHarness h(engine_options(directory));
  const StreamId full = h.open("hub/full");
  const StreamId other = h.open("hub/other");
  REQUIRE(seq_of(h.call(full, with_id("kept", "a"))) == 1);
  h.take_changes();
  disk.fill_at(first, "/full.db");
  SetRequest failing = with_id("", "b");
  std::mt19937 source(7);
  for (int i = 0; i < 50'000; ++i) failing.raw.push_back(static_cast<std::uint8_t>(source()));
  for (int i = 0; i < 3; ++i) {
    require_failure(h.call(full, failing), "storage failed: database or disk is full");
    // Another stream of the same thread.
    REQUIRE(h.set(other, "fine") == i + 1);
  }
  REQUIRE(disk.failures() >= 3);
  // Nobody hears of what was not stored; reading goes on, and a retry that was stored is known.
  for (const StreamChange& change : h.take_changes()) {
    REQUIRE(as_text(change.message.raw) == "fine");
  }
  REQUIRE(h.get_all(full).size() == 1);
  REQUIRE(h.inventory(full).count == 1);
  disk.repair();
  REQUIRE(seq_of(h.call(full, failing)) == 2);
  REQUIRE(seq_of(h.call(full, failing)) == 2);
  REQUIRE(seq_of(h.call(full, with_id("kept", "a"))) == 1);
  REQUIRE(h.get_all(full).size() == 2);
  h.engine->stop();
  disk.lose_power();
  disk.restart();
  REQUIRE(sqlite_tool(directory / "data/hub/full.db", "SELECT count(*) FROM messages;") == "2\n");
}

TEST_CASE("a sync that fails: not acknowledged, also after a power failure nothing is lost") {
  TemporaryDirectory directory;
  FaultDisk disk(directory.path(), 5);
  {
    EngineHarness h(engine_options(directory));
    const StreamId id = h.open("hub/s");
    for (int round = 0; round < 20; ++round) {
      INFO("round " << round);
      const std::string name = std::to_string(round);
      disk.fail_once(FaultDisk::Operation::sync, 1, SQLITE_IOERR_FSYNC);
      require_failure(h.call(id, with_id(name, name)), "storage failed: disk I/O error");
      REQUIRE(h.inventory(id).count == round);
      REQUIRE(seq_of(h.call(id, with_id(name, name))) == round + 1);
    }
    disk.lose_power();
  }
  disk.restart();
  EngineHarness h(engine_options(directory));
  const StreamId id = h.open("hub/s");
  const auto messages = h.get_all(id);
  REQUIRE(messages.size() == 20);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    REQUIRE(as_text(messages[i].raw) == std::to_string(i));
  }
  REQUIRE(seq_of(h.call(id, with_id("7", "7"))) == 8);
}

TEST_CASE("no space for a new stream: its opening says so, the next one works") {
  TemporaryDirectory directory;
  FaultDisk disk(directory.path(), 6);
  EngineHarness h(engine_options(directory));
  const std::uint64_t first = GENERATE(range(1u, 12u));
  disk.fill_at(first);
  const StreamId refused = h.start_open("hub/s");
  const auto error = h.wait_open(refused);
  REQUIRE(disk.failures() > 0);
  REQUIRE(error);
  INFO(error->text);
  REQUIRE(error->code.number == 507);
  REQUIRE(error->text.rfind("storage failed: ", 0) == 0);
  REQUIRE(error->text.find("set aside") == std::string::npos);
  require_failure(h.call(refused, EngineHarness::request("x")), error->text);
  h.engine->close(refused);
  disk.repair();
  const StreamId id = h.open("hub/s");
  REQUIRE(h.set(id, "x") == 1);
}

// ---- disks that lie ----

TEST_CASE("what a lying disk damaged is set aside as it is, and said so", "[crash]") {
  int damaged = 0;
  int sound = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    TemporaryDirectory directory;
    FaultDisk disk(directory.path(), seed);
    StorageOptions options = engine_options(directory);
    const auto write_some = [&] {
      EngineHarness h(options);
      const StreamId id = h.open("hub/s");
      for (int i = 0; i < 20; ++i) h.set(id, std::string(900, 'x'), std::to_string(i % 15));
      h.engine->stop();  // moves the log into the file
    };
    write_some();
    disk.lie_about_syncs(true);
    write_some();
    disk.lose_power();
    disk.restart();
    const std::filesystem::path data = directory / "data/hub";
    const std::string survived = file_content(data / "s.db");
    EngineHarness h(options);
    const StreamId first = h.start_open("hub/s");
    const auto error = h.wait_open(first);
    h.engine->close(first);
    if (!error) {
      ++sound;
      continue;
    }
    ++damaged;
    REQUIRE(error->code.number == 507);
    const std::size_t name = error->text.find("; the file is set aside as 's.db.damaged-");
    INFO(error->text);
    REQUIRE(name != std::string::npos);
    const std::size_t begin = error->text.find('\'', name) + 1;
    const std::string aside = error->text.substr(begin, error->text.find('\'', begin) - begin);
    const bool untouched = file_content(data / aside) == survived;
    REQUIRE(untouched);
    const StreamId next = h.open("hub/s");
    REQUIRE(h.set(next, "anew") == 1);
  }
  UNSCOPED_INFO("damaged " << damaged << ", sound " << sound);
  REQUIRE(damaged > 0);
  REQUIRE(sound > 0);
}
