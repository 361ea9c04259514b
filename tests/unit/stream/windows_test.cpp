#include <catch2/catch.hpp>
#include <string>

#include "conat/base/limits.hpp"
#include "conat/stream/message_id_window.hpp"
#include "conat/stream/rate_window.hpp"

using namespace conat;

TEST_CASE("the rate window holds one second") {
  RateWindow window;
  window.add(1000, 5);
  window.add(1000, 5);
  window.add(1500, 7);
  REQUIRE(window.messages() == 3);
  REQUIRE(window.bytes() == 17);
  window.advance(2000);
  REQUIRE(window.messages() == 1);
  window.advance(2500);
  REQUIRE(window.messages() == 0);
  REQUIRE(window.bytes() == 0);
}

TEST_CASE("additions to the rate window can be undone") {
  RateWindow window;
  window.add(1000, 5);
  window.mark();
  window.add(1000, 3);
  window.add(1900, 4);
  window.add(2100, 6);  // 1000 has left the window meanwhile
  window.undo();
  REQUIRE(window.messages() == 0);
  REQUIRE(window.bytes() == 0);
  window.mark();
  window.add(2100, 6);
  window.mark();
  window.undo();
  REQUIRE(window.bytes() == 6);
}

TEST_CASE("message ids: find, forget, undo") {
  MessageIdWindow window(1u << 20, false);
  window.add("a", 1, 1000);
  window.add("b", 2, 2000);
  REQUIRE(window.find("a") == 1);
  REQUIRE(!window.find("c"));
  // What a group added is not forgotten within it.
  REQUIRE(!window.due(1'000'000));
  window.mark();
  REQUIRE(!window.due(1000 + limits::message_id_ttl_ms - 1));
  REQUIRE(window.advance(1000 + limits::message_id_ttl_ms, 10) == 1);
  REQUIRE(!window.find("a"));
  REQUIRE(window.forgotten_through() == 1);
  window.add("c", 3, 3000);
  window.undo();
  REQUIRE(!window.find("c"));
  REQUIRE(window.find("b") == 2);
}

TEST_CASE("an id that is used again belongs to its later message") {
  MessageIdWindow window(1u << 20, false);
  window.add("a", 1, 1000);
  window.add("a", 2, 200'000);
  window.mark();
  REQUIRE(window.find("a") == 2);
  REQUIRE(window.advance(200'000, 10) == 1);
  REQUIRE(window.find("a") == 2);
}

TEST_CASE("message ids are bounded in bytes") {
  MessageIdWindow window(10'000, true);
  for (int i = 1; i <= 1000; ++i) window.add(std::string(100, 'x') + std::to_string(i), i, 1000);
  window.mark();
  while (window.advance(1000, 64) > 0) continue;
  REQUIRE(!window.find(std::string(100, 'x') + "1"));
  REQUIRE(window.find(std::string(100, 'x') + "1000") == 1000);
  REQUIRE(window.forgotten_through() > 900);
  REQUIRE(window.forgotten_through() < 1000);
}
