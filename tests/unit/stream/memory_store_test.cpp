#include "conat/stream/memory_store.hpp"

#include <catch2/catch.hpp>

using namespace conat;

namespace {

StoredMessage message(std::optional<std::string> key, UnixMs time, std::int64_t ttl = 0) {
  StoredMessage message;
  message.key = std::move(key);
  message.time = time;
  message.ttl_ms = ttl;
  message.size = 1;
  return message;
}

}  // namespace

TEST_CASE("a store in memory refuses writes outside of a group") {
  MemoryStore store;
  REQUIRE(!store.insert(message({}, 1)).ok());
  REQUIRE(!store.erase(1).ok());
  REQUIRE(!store.erase_through(1).ok());
  REQUIRE(!store.write_config("a", "b").ok());
  REQUIRE(!store.forget_message_ids(1).ok());
  REQUIRE(!store.commit().ok());
  REQUIRE(store.begin().ok());
  REQUIRE(!store.begin().ok());
  store.rollback();
  store.rollback();
  REQUIRE(store.begin().ok());
}

TEST_CASE("rollback restores keys, indexes, ids and configuration") {
  MemoryStore store;
  REQUIRE(store.begin().ok());
  StoredMessage first = message("k", 10, 5);
  first.message_id = "one";
  REQUIRE(store.insert(first).ok());
  REQUIRE(store.insert(message({}, 20)).ok());
  REQUIRE(store.write_config("a", "1").ok());
  REQUIRE(store.commit().ok());

  REQUIRE(store.begin().ok());
  REQUIRE(store.erase(1).ok());
  StoredMessage again = message("k", 30, 1);
  again.message_id = "two";
  REQUIRE(*store.insert(again) == 3);
  REQUIRE(store.find_key("k").value()->seq == 3);
  REQUIRE(store.write_config("a", "2").ok());
  REQUIRE(store.write_config("b", "3").ok());
  REQUIRE(store.forget_message_ids(3).ok());
  REQUIRE(store.erase_through(3).ok());
  store.rollback();

  REQUIRE(store.find_key("k").value()->seq == 1);
  REQUIRE(*store.oldest_time().value() == 10);
  REQUIRE(*store.next_expiry().value() == 15);
  REQUIRE(store.totals()->count == 2);
  REQUIRE(store.totals()->last_seq == 2);
  REQUIRE(store.message_ids(0)->size() == 1);
  REQUIRE(store.message_id(1).value()->message_id == "one");
  REQUIRE(store.read_config()->size() == 1);
  REQUIRE(store.read_config()->at(0).second == "1");
  REQUIRE(store.begin().ok());
  REQUIRE(!store.insert(message("k", 1)).ok());
  REQUIRE(*store.insert(message("l", 1)) == 3);
}
