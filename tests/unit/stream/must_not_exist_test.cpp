// previousSeq = must_not_exist: creating a key without overwriting anybody.

#include <catch2/catch.hpp>

#include "conat/stream/memory_store.hpp"
#include "conat/stream/stream.hpp"

namespace conat {
namespace {

SetRequest creation(const char* key) {
  SetRequest request;
  request.key = key;
  request.raw = {1};
  request.previous_seq = must_not_exist;
  return request;
}

TEST_CASE("a key can be created only once with must_not_exist") {
  MemoryStore store;
  auto stream = Stream::open(store, 1000, false);
  REQUIRE(stream.ok());
  REQUIRE(stream->begin_group().ok());
  CHECK(stream->set(1000, creation("a")).ok());
  const auto again = stream->set(1000, creation("a"));
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code.word == "wrong-last-sequence");
  CHECK(stream->set(1000, creation("b")).ok());
  // Any other previousSeq still needs a message.
  SetRequest request = creation("c");
  request.previous_seq = 0;
  CHECK_FALSE(stream->set(1000, std::move(request)).ok());
  REQUIRE(stream->commit_group().ok());
}

}  // namespace
}  // namespace conat
