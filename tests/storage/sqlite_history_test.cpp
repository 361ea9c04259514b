#include "property/stream/stream_history.hpp"
#include "storage/sqlite_store.hpp"
#include "storage/temporary_directory.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("random histories of a stream in a file agree with the model", "[property]") {
  const std::uint64_t seed = GENERATE(11, 12, 20250102);
  TemporaryDirectory directory;
  std::unique_ptr<storage::SqliteStore> store;
  run_stream_history({seed, 10'000, [&]() -> Store& {
                        store.reset();
                        auto opened = storage::SqliteStore::open((directory / "stream.db").string(),
                                                                 {.durable = false});
                        REQUIRE(opened.ok());
                        store = std::move(*opened);
                        return *store;
                      }});
  store.reset();
  REQUIRE(sqlite_tool(directory / "stream.db", "PRAGMA integrity_check;") == "ok\n");
}
