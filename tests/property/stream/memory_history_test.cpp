#include <catch2/catch.hpp>

#include "conat/stream/memory_store.hpp"
#include "property/stream/stream_history.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("random histories of a stream in memory agree with the model", "[property]") {
  const std::uint64_t seed = GENERATE(1, 2, 3, 20250101, 0xfeed);
  MemoryStore store;
  run_stream_history({seed, 10'000, [&store]() -> Store& { return store; }});
}
