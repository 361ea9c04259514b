#include "storage/tiers.hpp"

#include <thread>

#include "storage/engine_harness.hpp"
#include "storage/temporary_directory.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

StorageOptions options_for(const TemporaryDirectory& directory) {
  StorageOptions options;
  options.data_dir = directory / "data";
  options.archive_dir = directory / "archive";
  options.backup_dir = directory / "backup";
  options.durable_disk = false;
  options.archive_interval_ms = 3'600'000;
  return options;
}

std::string count_in(const std::filesystem::path& file) {
  return sqlite_tool(file, "PRAGMA integrity_check; SELECT count(*) FROM messages;");
}

// The archive is written between groups; its file appears when it is complete.
void wait_for(const std::filesystem::path& file) {
  for (int i = 0; i < 10'000 && !std::filesystem::exists(file); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(std::filesystem::exists(file));
}

}  // namespace

TEST_CASE("the first change is archived at once, the next ones on closing") {
  TemporaryDirectory directory;
  {
    EngineHarness h(options_for(directory));
    const StreamId id = h.open("hub/a/s");
    h.set(id, "x");
    wait_for(directory / "archive/hub/a/s.db");
    REQUIRE(count_in(directory / "archive/hub/a/s.db") == "ok\n1\n");
    h.set(id, "y");
    REQUIRE(!std::filesystem::exists(directory / "backup/hub/a/s.db"));
  }
  REQUIRE(count_in(directory / "archive/hub/a/s.db") == "ok\n2\n");
  REQUIRE(count_in(directory / "backup/hub/a/s.db") == "ok\n2\n");
}

TEST_CASE("after the interval a changed stream is archived again, without traffic") {
  TemporaryDirectory directory;
  StorageOptions options = options_for(directory);
  options.archive_interval_ms = 100;
  EngineHarness h(options);
  const StreamId id = h.open("hub/s");
  h.set(id, "x");
  wait_for(directory / "archive/hub/s.db");
  h.set(id, "y");
  for (int i = 0; i < 200; ++i) {
    if (count_in(directory / "archive/hub/s.db") == "ok\n2\n") break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(count_in(directory / "archive/hub/s.db") == "ok\n2\n");
}

TEST_CASE("a newer archive is copied in, an older one is not") {
  TemporaryDirectory directory;
  const auto open_and_count = [&] {
    EngineHarness h(options_for(directory));
    const StreamId id = h.open("hub/s");
    return h.inventory(id).count;
  };
  {
    EngineHarness h(options_for(directory));
    const StreamId id = h.open("hub/s");
    h.set(id, "1");
    h.set(id, "2");
  }
  // Nothing local: the archive is all there is.
  std::filesystem::remove_all(directory / "data");
  REQUIRE(open_and_count() == 2);

  // The local file, changed later, stays.
  const auto archive = directory / "archive/hub/s.db";
  const auto local = directory / "data/hub/s.db";
  const auto now = std::filesystem::file_time_type::clock::now();
  sqlite_tool(local, "DELETE FROM messages WHERE seq=1;");
  std::filesystem::last_write_time(archive, now - std::chrono::hours(1));
  REQUIRE(open_and_count() == 1);

  // Equal times: not newer.
  sqlite_tool(archive,
              "DELETE FROM messages; INSERT INTO messages(time,compress,encoding,raw,size)"
              " VALUES(1,0,0,'',0),(1,0,0,'',0),(1,0,0,'',0);");
  std::filesystem::last_write_time(archive, now + std::chrono::hours(1));
  std::filesystem::last_write_time(local, now + std::chrono::hours(1));
  REQUIRE(open_and_count() == 1);

  // Newer: it replaces the file, and a log that belonged to the old one.
  std::ofstream(local.string() + "-wal") << "stale";
  std::ofstream(local.string() + "-shm") << "stale";
  std::filesystem::last_write_time(archive, now + std::chrono::hours(2));
  REQUIRE(open_and_count() == 3);
  REQUIRE(count_in(local) == "ok\n3\n");

  // The log alone can make the local file the newer one.
  {
    EngineHarness h(options_for(directory));
    const StreamId id = h.open("hub/s");
    h.set(id, "4");
    REQUIRE(h.inventory(id).count == 4);
  }
}

TEST_CASE("an archive that is no database is set aside, not used and not overwritten") {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "archive/hub");
  std::ofstream(directory / "archive/hub/s.db") << "junk";
  EngineHarness h(options_for(directory));
  REQUIRE(h.set(h.open("hub/s"), "x") == 1);
  REQUIRE(file_content(directory / "archive/hub/s.db.damaged-1795445889") == "junk");
}

TEST_CASE("a damaged archive does not come back for ever") {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "archive/hub");
  std::ofstream(directory / "archive/hub/s.db")
      << std::string("SQLite format 3\0", 16) + std::string(8176, '\x7f');
  EngineHarness h(options_for(directory));
  REQUIRE(h.wait_open(h.start_open("hub/s"))->code.number == 507);
  REQUIRE(std::filesystem::exists(directory / "archive/hub/s.db.damaged-1795445889"));
  REQUIRE(std::filesystem::exists(directory / "data/hub/s.db.damaged-1795445889"));
  REQUIRE(h.set(h.open("hub/s"), "x") == 1);
}

TEST_CASE("a copy holds what is written while it is made") {
  TemporaryDirectory directory;
  auto store = SqliteStore::open((directory / "s.db").string(), {.durable = false});
  REQUIRE(store.ok());
  const auto add = [&](int count) {
    REQUIRE((*store)->begin().ok());
    for (int i = 0; i < count; ++i) {
      StoredMessage message;
      message.raw = Bytes(500, 'x');
      message.time = 1;
      REQUIRE((*store)->insert(message).ok());
    }
    REQUIRE((*store)->commit().ok());
  };
  add(2000);
  {
    auto copy = OnlineCopy::start(**store, directory.path(), "copy", false);
    REQUIRE(copy.ok());
    int steps = 0;
    while (!*(*copy)->step(10)) {
      add(1);
      ++steps;
    }
    REQUIRE(steps > 10);
    REQUIRE((*copy)->finish(1'000'000'000'000'000'000).ok());
    REQUIRE(count_in(directory / "copy.db") == "ok\n" + std::to_string(2000 + steps) + "\n");
  }
  // One that is given up leaves nothing.
  auto copy = OnlineCopy::start(**store, directory.path(), "other", false);
  REQUIRE(!*(*copy)->step(10));
  copy->reset();
  REQUIRE(!std::filesystem::exists(directory / "other.db"));
  REQUIRE(!std::filesystem::exists(directory / "other.db.tmp"));
}
