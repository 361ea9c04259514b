#include <catch2/catch.hpp>
#include <string>

#include "persist_bench.hpp"

using namespace conat;
using conat::test::PersistBench;

namespace {

const std::string kProject = "project-00000000-0000-4000-8000-000000000000";

std::string headers(const MessageData& data) { return encode_json(data.headers.value()); }

}  // namespace

TEST_CASE("a refused opening is told on the socket and answers every request") {
  PersistBench bench;
  const auto socket = bench.connect(kProject);
  const std::string early = bench.request(socket, "set", {}, Value(1));
  CHECK(bench.take_answers(early).empty());
  bench.open(socket, "hub/foo");
  const std::string expected =
      "{\"error\":\"Error: permission denied: subject 'persist." + kProject +
      ".server.0.c1' does not grant write permission to path='hub/foo' since it is not under "
      "'projects/00000000-0000-4000-8000-000000000000/'\",\"code\":403}";
  const auto written = bench.take_written(socket);
  REQUIRE(written.size() == 1);
  CHECK(encode_json(*written[0].decode()) == "null");
  CHECK(headers(written[0]) == expected);
  CHECK(headers(bench.only_answer(early)) == expected);
  CHECK(headers(bench.ask(socket, "serverId")) == expected);
  // It stays so.
  bench.open(socket, "projects/00000000-0000-4000-8000-000000000000/x");
  CHECK(headers(bench.ask(socket, "keys")) == expected);
  CHECK(bench.opened.empty());
}

TEST_CASE("malformed openings and unknown scopes are refused") {
  PersistBench bench;
  for (const Value& value :
       {Value(), Value(5), Value(Value::Map{{"storage", Value("x")}}),
        Value(Value::Map{{"storage", Value(Value::Map{{"path", Value(7)}})}})}) {
    const auto socket = bench.connect();
    bench.write(socket, value);
    CHECK(bench.take_written(socket).at(0).headers.number("code") == 400u);
  }
  const auto socket = bench.connect("project-short");
  bench.open(socket, "hub/foo");
  CHECK(headers(bench.take_written(socket).at(0)) ==
        R"({"error":"Error: invalid subject","code":403})");
}

TEST_CASE("requests before the stream is open wait, as long as their timeout says") {
  PersistBench bench;
  bench.storage_held = true;
  const auto socket = bench.connect();
  const auto patient = bench.request(socket, "set", {}, Value(1));
  const auto hasty = bench.request(socket, "keys", {{"timeout", Value(1500)}});
  bench.open(socket, "hub/foo");
  bench.advance(1499);
  CHECK(bench.take_answers(hasty).empty());
  bench.advance(1);
  CHECK(bench.only_answer(hasty).headers.number("code") == 408u);
  bench.advance(20'000);
  CHECK(bench.take_answers(patient).empty());
  bench.storage_held = false;
  bench.settle();
  CHECK(bench.only_answer(patient).decode()->find("seq")->integer_or(0) == 1);
  CHECK_FALSE(bench.server.deadline().has_value());

  // 30 s without a timeout of its own, on a socket that never opens.
  const auto silent = bench.connect();
  const auto lost = bench.request(silent, "keys");
  bench.advance(29'999);
  CHECK(bench.take_answers(lost).empty());
  bench.advance(1);
  CHECK(bench.only_answer(lost).headers.number("code") == 408u);
}

TEST_CASE("a storage that cannot open fails every socket that waits for it") {
  PersistBench bench;
  bench.storage.refuse_open = Error(ErrorKind::storage_failed, "disk full");
  bench.storage_held = true;
  const auto one = bench.connect_and_open("hub/foo");
  const auto two = bench.connect_and_open("hub/foo");
  CHECK(bench.opened.size() == 1);
  const auto waiting = bench.request(two, "keys");
  bench.storage_held = false;
  bench.settle();
  const std::string expected = R"({"error":"Error: disk full","code":507})";
  CHECK(headers(bench.take_written(one).at(0)) == expected);
  CHECK(headers(bench.take_written(two).at(0)) == expected);
  CHECK(headers(bench.only_answer(waiting)) == expected);
  CHECK(bench.closed == std::vector<StreamId>{bench.opened[0].stream});
  bench.close(one);
  CHECK(bench.closed.size() == 1);
  // Another socket tries anew.
  bench.storage.refuse_open.reset();
  const auto three = bench.connect_and_open("hub/foo");
  CHECK(bench.set(three, Value(1)) == 1);
}

TEST_CASE("sockets of one path share the storage of the first opener, closed with the last") {
  PersistBench bench;
  const auto one = bench.connect();
  Value::Map storage{{"path", Value("hub/foo")},
                     {"ephemeral", Value(true)},
                     {"sync", Value(true)},
                     {"compression", Value(0)}};
  bench.write(one, Value(Value::Map{{"storage", Value(storage)}}));
  const auto two = bench.connect_and_open("hub/foo");
  REQUIRE(bench.opened.size() == 1);
  CHECK(bench.opened[0].ephemeral);
  CHECK(bench.opened[0].sync);
  CHECK_FALSE(bench.opened[0].compression);
  bench.set(one, Value(1));
  CHECK(bench.ask_value(two, "inventory").find("count")->integer_or(0) == 1);
  bench.close(one);
  CHECK(bench.closed.empty());
  bench.close(two);
  CHECK(bench.closed == std::vector<StreamId>{bench.opened[0].stream});
  // The next opener's options hold then, and what was ephemeral is gone.
  const auto three = bench.connect_and_open("hub/foo");
  REQUIRE(bench.opened.size() == 2);
  CHECK(bench.opened[1].stream != bench.opened[0].stream);
  CHECK_FALSE(bench.opened[1].ephemeral);
  CHECK(bench.opened[1].compression);
  CHECK(bench.ask_value(three, "inventory").find("count")->integer_or(9) == 0);
}

TEST_CASE("a stream may be closed and opened again while the storage is busy") {
  PersistBench bench;
  bench.storage_held = true;
  const auto one = bench.connect_and_open("hub/foo");
  const auto lost = bench.request(one, "set", {}, Value(1));
  bench.close(one);
  const auto two = bench.connect_and_open("hub/foo");
  const auto asked = bench.request(two, "inventory");
  bench.storage_held = false;
  bench.settle();
  CHECK(bench.take_answers(lost).empty());
  CHECK(bench.only_answer(asked).headers.empty());
  CHECK(bench.closed.size() == 1);
}

TEST_CASE("answers for a socket that has closed are dropped, its writes stay") {
  PersistBench bench;
  const auto one = bench.connect_and_open("hub/foo");
  const auto two = bench.connect_and_open("hub/foo", true);
  bench.storage_held = true;
  const auto lost = bench.request(one, "set", {}, Value(1));
  bench.close(one);
  bench.storage_held = false;
  bench.settle();
  CHECK(bench.take_answers(lost).empty());
  CHECK(bench.take_written(two).size() == 1);
}

TEST_CASE("streams are limited for a scope and in all") {
  PersistServerOptions options;
  options.max_streams_per_scope = 2;
  options.max_streams = 3;
  PersistBench bench(options);
  const auto one = bench.connect_and_open("hub/1");
  bench.connect_and_open("hub/2");
  const auto refused = bench.connect_and_open("hub/3");
  CHECK(bench.take_written(refused).at(0).headers.number("code") == 429u);
  // Sharing one that is open counts nothing.
  const auto sharing = bench.connect_and_open("hub/1");
  CHECK(bench.take_written(sharing).empty());
  const auto project = bench.connect(kProject);
  bench.open(project, "projects/00000000-0000-4000-8000-000000000000/1");
  CHECK(bench.take_written(project).empty());
  const auto too_many = bench.connect(kProject);
  bench.open(too_many, "projects/00000000-0000-4000-8000-000000000000/2");
  CHECK(bench.take_written(too_many).at(0).headers.number("code") == 429u);
  bench.close(one);
  bench.close(sharing);
  const auto again = bench.connect_and_open("hub/3");
  CHECK(bench.take_written(again).empty());
}

TEST_CASE("what expires with time is enforced about every second") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo", true);
  bench.ask(socket, "config", {{"config", Value(Value::Map{{"max_age", Value(500)}})}});
  bench.set(socket, Value(1));
  bench.take_written(socket);
  bench.advance(3000);
  const auto written = bench.take_written(socket);
  REQUIRE(written.size() == 1);
  CHECK(encode_json(*written[0].decode()) == R"([{"op":"delete","seqs":[1]}])");
  CHECK(bench.ask_value(socket, "inventory").find("count")->integer_or(9) == 0);
}
