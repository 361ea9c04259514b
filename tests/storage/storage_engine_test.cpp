#include "storage/storage_engine.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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
  options.durable_disk = false;
  return options;
}

// The names in a directory that start so.
std::vector<std::string> names_like(const std::filesystem::path& directory,
                                    const std::string& start) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(start, 0) == 0) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void overwrite(const std::filesystem::path& file, std::size_t offset, const std::string& bytes) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream << bytes;
  REQUIRE(stream.good());
}

}  // namespace

TEST_CASE("open, set, get, close, open again") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId first = h.open("projects/p/s");
  REQUIRE(h.set(first, "hello", "k") == 1);
  const auto found = h.call(first, StorageGet{std::nullopt, "k"});
  REQUIRE(as_text(std::get<std::optional<StoredMessage>>(*found)->raw) == "hello");
  h.engine->close(first);
  const StreamId second = h.open("projects/p/s");
  REQUIRE(h.get_all(second).size() == 1);
  REQUIRE(h.set(second, "again") == 2);
}

TEST_CASE("closing and opening a path again stays in order, with work queued") {
  TemporaryDirectory directory;
  StorageOptions options = options_for(directory);
  options.group.max_requests = 3;  // so that work is left over when the close arrives
  EngineHarness h(options);
  for (int round = 0; round < 30; ++round) {
    const StreamId id = h.start_open("hub/s");
    std::uint64_t last = 0;
    for (int i = 0; i < 20; ++i) last = h.submit(id, EngineHarness::request("x"));
    h.engine->close(id);
    const StreamId next = h.start_open("hub/s");
    REQUIRE(!h.wait_open(next));
    REQUIRE(std::get<SetResult>(*h.wait(last)).seq == 20 * (round + 1));
    REQUIRE(h.inventory(next).count == 20 * (round + 1));
    h.engine->close(next);
  }
}

TEST_CASE("a path is open once") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId first = h.open("hub/s");
  const auto error = h.wait_open(h.start_open("hub/s"));
  REQUIRE(error->code.number == 500);
  REQUIRE(h.set(first, "x") == 1);
}

TEST_CASE("an ephemeral stream is gone when it is closed, and leaves no file") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId first = h.open("hub/e", {.ephemeral = true});
  h.set(first, "x");
  REQUIRE(h.inventory(first).count == 1);
  h.engine->close(first);
  const StreamId second = h.open("hub/e", {.ephemeral = true});
  REQUIRE(h.inventory(second).count == 0);
  REQUIRE(h.set(second, "x") == 1);
  REQUIRE(std::filesystem::is_empty(directory / "data"));
}

TEST_CASE("closing releases the file at once") {
  TemporaryDirectory directory;
  {
    EngineHarness h(options_for(directory));
    const StreamId id = h.open("hub/s");
    h.set(id, "x");
    REQUIRE(std::filesystem::exists(directory / "data/hub/s.db-wal"));
    h.engine->close(id);
    h.open("hub/s", {.ephemeral = true});  // on the same thread: the close is done
    REQUIRE(names_like(directory / "data/hub", "s.db") == std::vector<std::string>{"s.db"});
    std::size_t open_files = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      const auto target = std::filesystem::read_symlink(entry.path(), ignored);
      if (target.string().find(directory.path().string()) == 0) ++open_files;
    }
    REQUIRE(open_files == 0);
  }
  REQUIRE(sqlite_tool(directory / "data/hub/s.db", "SELECT count(*) FROM messages;") == "1\n");
}

TEST_CASE("what waits is committed as one group, with one result") {
  TemporaryDirectory directory;
  StorageOptions options = options_for(directory);
  options.threads = 1;
  EngineHarness h(options);
  const StreamId id = h.open("hub/s");
  // The thread is busy opening another stream's file while these arrive, or they arrive in a few
  // groups; in any case their results are far fewer than they are.
  const std::size_t before = h.result_count();
  h.start_open("hub/other");
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < 2000; ++i) tokens.push_back(h.submit(id, EngineHarness::request("x")));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    REQUIRE(std::get<SetResult>(*h.wait(tokens[i])).seq == static_cast<StreamSequence>(i + 1));
  }
  REQUIRE(h.result_count() - before < 1000);
  const auto changes = h.take_changes();
  REQUIRE(changes.size() == 2000);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    REQUIRE(changes[i].message.seq == static_cast<StreamSequence>(i + 1));
  }
}

TEST_CASE("commands that come while a group is left over are carried out too") {
  TemporaryDirectory directory;
  StorageOptions options = options_for(directory);
  options.group.max_requests = 7;
  EngineHarness h(options);
  const StreamId id = h.open("hub/s");
  for (int round = 0; round < 100; ++round) {
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 40; ++i) tokens.push_back(h.submit(id, EngineHarness::request("x")));
    for (const std::uint64_t token : tokens) REQUIRE(h.wait(token).ok());
  }
}

TEST_CASE("many threads submit to many streams") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  std::vector<StreamId> streams;
  for (int i = 0; i < 10; ++i) streams.push_back(h.open("hub/s" + std::to_string(i)));
  std::vector<std::thread> writers;
  std::vector<std::vector<std::uint64_t>> tokens(4);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    writers.emplace_back([&, t] {
      for (std::size_t i = 0; i < 500; ++i) {
        tokens[t].push_back(h.submit(streams[i % streams.size()], EngineHarness::request("x")));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (const auto& list : tokens) {
    for (const std::uint64_t token : list) REQUIRE(h.wait(token).ok());
  }
  for (const StreamId id : streams) REQUIRE(h.inventory(id).count == 200);
}

TEST_CASE("stop finishes what is queued and closes the files") {
  TemporaryDirectory directory;
  std::atomic<int> answered{0};
  {
    StorageEngine engine(options_for(directory), [&](StorageResult result) {
      for (const auto& item : result.items) answered += item.answer.ok() ? 1 : 0;
    });
    REQUIRE(engine.prepare().ok());
    engine.open({1, "hub/s", false, false, true});
    for (std::uint64_t i = 0; i < 500; ++i) {
      engine.submit({1, {i, EngineHarness::request("x")}});
    }
    engine.stop();
    REQUIRE(answered == 500);
    engine.open({2, "hub/t", false, false, true});
    engine.submit({1, {9, EngineHarness::request("x")}});
    engine.stop();
  }
  REQUIRE(answered == 500);
  REQUIRE(!std::filesystem::exists(directory / "data/hub/s.db-wal"));
  REQUIRE(sqlite_tool(directory / "data/hub/s.db", "SELECT count(*) FROM messages;") == "500\n");
}

TEST_CASE("the directory must be usable") {
  TemporaryDirectory directory;
  std::ofstream(directory / "data") << "a file";
  StorageEngine engine(options_for(directory), [](StorageResult) {});
  const Status prepared = engine.prepare();
  REQUIRE(prepared.error().code.number == 507);
  REQUIRE(prepared.error().text.find("data") != std::string::npos);
}

TEST_CASE("an impossible path answers its opening and everything after it") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId id = h.start_open("hub/" + std::string(300, 'x'));
  REQUIRE(h.wait_open(id)->code.number == 400);
  REQUIRE(h.call(id, StorageKeys{}).error().code.number == 400);
  REQUIRE(h.call(id, EngineHarness::request("x")).error().code.number == 400);
}

TEST_CASE("a damaged file is set aside, the next opening starts anew, others go on") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId other = h.open("hub/other");
  std::string content;
  SECTION("no database at all") {
    std::filesystem::create_directories(directory / "data/hub");
    content = std::string(5000, 'j');
    std::ofstream(directory / "data/hub/s.db") << content;
  }
  SECTION("a page of the messages") {
    const StreamId id = h.open("hub/s");
    for (int i = 0; i < 300; ++i) h.set(id, std::string(500, 'x'));
    h.engine->close(id);
    h.open("hub/s", {.ephemeral = true});
    for (std::size_t page = 8; page < 40; ++page) {
      overwrite(directory / "data/hub/s.db", page * 4096, std::string(4096, '\xff'));
    }
    content = file_content(directory / "data/hub/s.db");
  }
  SECTION("cut off") {
    const StreamId id = h.open("hub/s");
    for (int i = 0; i < 300; ++i) h.set(id, std::string(500, 'x'));
    h.engine->close(id);
    h.open("hub/s", {.ephemeral = true});
    std::filesystem::resize_file(directory / "data/hub/s.db", 40'000);
    content = file_content(directory / "data/hub/s.db");
  }
  // The stream in memory that waited for the close has to go.
  for (StreamId id = 2; id < 4; ++id) h.engine->close(id);
  const auto error = h.wait_open(h.start_open("hub/s"));
  REQUIRE(error.has_value());
  INFO(error->text);
  REQUIRE(error->code.number == 507);
  const auto aside = names_like(directory / "data/hub", "s.db.damaged-");
  REQUIRE(aside == std::vector<std::string>{"s.db.damaged-1795445889"});
  REQUIRE(error->text.find(aside[0]) != std::string::npos);
  const bool unchanged = file_content(directory / ("data/hub/" + aside[0])) == content;
  REQUIRE(unchanged);
  REQUIRE(h.log().size() == 1);
  REQUIRE(h.set(h.open("hub/s"), "new") == 1);
  REQUIRE(h.set(other, "x") == 1);
}

TEST_CASE("damage found while a stream is open: refused, then set aside on closing") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId id = h.open("hub/s");
  for (int i = 0; i < 3000; ++i) h.submit(id, EngineHarness::request(std::string(900, 'x')));
  REQUIRE(h.set(id, "last") == 3001);
  h.engine->close(id);
  const StreamId again = h.open("hub/s");
  // Behind the back of the open connection, beyond what it has in its cache.
  for (std::size_t page = 20; page < 500; ++page) {
    overwrite(directory / "data/hub/s.db", page * 4096, std::string(4096, '\xff'));
  }
  REQUIRE(h.call(again, StorageGetAll{0, 0, 1u << 30}).error().code.number == 507);
  const auto refused = h.call(again, EngineHarness::request("x"));
  REQUIRE(refused.error().code.number == 507);
  REQUIRE(refused.error().text.find("damaged") != std::string::npos);
  h.engine->close(again);
  REQUIRE(h.set(h.open("hub/s"), "new") == 1);
  REQUIRE(names_like(directory / "data/hub", "s.db.damaged-").size() == 1);
}

TEST_CASE("commands beyond the bound are refused, the others are carried out") {
  TemporaryDirectory directory;
  StorageOptions options = options_for(directory);
  options.max_queued_bytes = 100'000;
  options.threads = 1;
  EngineHarness h(options);
  const StreamId id = h.open("hub/s");
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < 2000; ++i) {
    tokens.push_back(h.submit(id, EngineHarness::request(std::string(20'000, 'x'))));
  }
  std::int64_t stored = 0;
  std::int64_t refused = 0;
  for (const std::uint64_t token : tokens) {
    const auto answer = h.wait(token);
    if (answer.ok()) {
      ++stored;
    } else {
      REQUIRE(answer.error().code.number == 429);
      ++refused;
    }
  }
  REQUIRE(stored > 0);
  REQUIRE(refused > 0);
  REQUIRE(h.inventory(id).count == stored);
  // One that is larger than the bound has its turn when nothing else waits.
  REQUIRE(h.set(id, std::string(200'000, 'x')) == stored + 1);
}

// Runs in a process of its own, because the limit on the size of files holds for all of it.
// Returns 0 when all is well.
int fill_the_disk(const TemporaryDirectory& directory) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{400'000, 10'000'000};
  if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 10;
  EngineHarness h(options_for(directory));
  const StreamId id = h.open("hub/s");
  StreamSequence stored = 0;
  Result<StorageAnswer> answer = StorageAnswer(Nothing{});
  for (; stored < 10'000; ++stored) {
    answer = h.call(id, EngineHarness::request(std::string(900, 'x')));
    if (!answer.ok()) break;
  }
  if (answer.ok()) return 11;
  if (answer.error().code.number != 507) return 12;
  if (answer.error().text.find("storage failed: ") != 0) return 13;
  // What was acknowledged is there, what failed is not, and reading works.
  if (h.inventory(id).count != stored) return 14;
  if (h.get_all(id).size() != static_cast<std::size_t>(stored)) return 15;
  // Other streams go on.
  const StreamId other = h.open("hub/other");
  if (h.set(other, "x") != 1) return 16;
  // With room again, so does this one.
  const rlimit large{10'000'000, 10'000'000};
  if (::setrlimit(RLIMIT_FSIZE, &large) != 0) return 17;
  if (h.set(id, "y") != stored + 1) return 18;
  h.engine->stop();
  return 0;
}

TEST_CASE("a full disk: a clear error, nothing lost, others go on") {
  TemporaryDirectory directory;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int result = 20;
    try {
      result = fill_the_disk(directory);
    } catch (...) {  // a failed REQUIRE must not go on with the other tests here
    }
    ::_exit(result);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
  REQUIRE(sqlite_tool(directory / "data/hub/s.db", "PRAGMA integrity_check;") == "ok\n");
}

TEST_CASE("ttl and age through the engine") {
  TemporaryDirectory directory;
  EngineHarness h(options_for(directory));
  const StreamId id = h.open("hub/s");
  REQUIRE(h.call(id, StorageConfigure{Value(Value::Map{{"max_age", 1000}})}).ok());
  h.set(id, "x");
  h.clock += 1000;
  REQUIRE(h.call(id, StorageEnforce{}).ok());
  REQUIRE(h.inventory(id).count == 0);
  const auto changes = h.take_changes();
  REQUIRE(changes.back().deleted == std::vector<StreamSequence>{1});
}
