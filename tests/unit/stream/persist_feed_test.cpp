#include <catch2/catch.hpp>
#include <string>

#include "persist_bench.hpp"

using namespace conat;
using conat::test::PersistBench;

namespace {

std::size_t changes_in(const std::vector<MessageData>& messages) {
  std::size_t count = 0;
  for (const MessageData& message : messages) count += message.decode()->if_array()->size();
  return count;
}

}  // namespace

TEST_CASE("the first change goes out at once and before its answer, the next are collected") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  const MessageData created = bench.ask(socket, "changefeed");
  CHECK(encode_json(*created.decode()) == "\"created\"");
  CHECK(encode_json(*bench.ask(socket, "changefeed").decode()) == "\"created\"");
  bench.order.clear();
  const std::string time = std::to_string(bench.unix_now());
  bench.set(socket, Value("cf"),
            {{"key", Value("cf")}, {"headers", Value(Value::Map{{"h", Value(1)}})}});
  CHECK(bench.order == std::vector<std::string>{"write", "answer"});
  auto written = bench.take_written(socket);
  REQUIRE(written.size() == 1);
  CHECK(encode_json(*written[0].decode()) ==
        "[{\"seq\":1,\"time\":" + time +
            R"(,"key":"cf","encoding":0,"raw":{"type":"Buffer","data":[162,99,102]},)"
            R"("headers":{"h":1}}])");
  CHECK(encode_json(written[0].headers.value()) == R"({"seq":0})");

  bench.advance(10);
  bench.set(socket, Value(2), {{"msgID", Value("m")}});
  bench.ask(socket, "delete", {{"seq", Value(1)}});
  CHECK(bench.take_written(socket).empty());
  bench.advance(19);
  CHECK(bench.take_written(socket).empty());
  bench.advance(1);
  written = bench.take_written(socket);
  REQUIRE(written.size() == 1);
  const Value::Array batch = *written[0].decode()->if_array();
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].find("msgID")->text_or("") == "m");
  CHECK(encode_json(batch[1]) == R"({"op":"delete","seqs":[1]})");
  CHECK(written[0].headers.number("seq") == 1u);

  bench.advance(30);
  bench.set(socket, Value(3));
  CHECK(bench.take_written(socket).size() == 1);
}

TEST_CASE("deletes that a set causes come before it, and every feed gets everything") {
  PersistBench bench;
  const auto writer = bench.connect_and_open("hub/foo");
  const auto reader = bench.connect_and_open("hub/foo", true);
  const auto other = bench.connect_and_open("hub/foo", true);
  bench.ask(writer, "config", {{"config", Value(Value::Map{{"max_msgs", Value(1)}})}});
  bench.set(writer, Value(1));
  bench.advance(100);
  bench.set(writer, Value(2));
  const auto first = bench.take_written(reader);
  const auto second = bench.take_written(other);
  REQUIRE(first.size() == 2);
  CHECK(encode_json(first[1].decode()->if_array()->at(0)) == R"({"op":"delete","seqs":[1]})");
  CHECK(first[1].decode()->if_array()->at(1).find("seq")->integer_or(0) == 2);
  REQUIRE(second.size() == 2);
  CHECK(second[1].raw == first[1].raw);
  CHECK(bench.take_written(writer).empty());
}

TEST_CASE("a batch that grows large leaves before its time") {
  PersistBench bench;
  const auto writer = bench.connect_and_open("hub/foo");
  const auto reader = bench.connect_and_open("hub/foo", true);
  bench.set(writer, Value(0));
  CHECK(bench.take_written(reader).size() == 1);
  const Value megabytes(Bytes(8'000'000, 1));
  bench.set(writer, megabytes);
  bench.set(writer, megabytes);
  CHECK(bench.take_written(reader).empty());
  bench.set(writer, megabytes);
  const auto written = bench.take_written(reader);
  CHECK(changes_in(written) == 3);
  for (const MessageData& message : written) CHECK(message.raw.size() < 20'100'000);
  CHECK(written.back().headers.number("seq") == written.size());
}

TEST_CASE("a feed asked for while sets are under way misses none that its reader cannot read") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  bench.storage_held = true;
  bench.request(socket, "set", {}, Value(1));
  bench.ask(socket, "changefeed");
  const auto all = bench.request(socket, "getAll");
  bench.request(socket, "set", {}, Value(2));
  bench.storage_held = false;
  bench.settle();
  bench.advance(100);
  // 1 is in both, 2 in the feed at least.
  CHECK(bench.take_answers(all).size() == 2);
  CHECK(changes_in(bench.take_written(socket)) == 2);
}
