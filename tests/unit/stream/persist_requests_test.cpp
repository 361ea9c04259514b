#include <catch2/catch.hpp>
#include <string>

#include "persist_bench.hpp"

using namespace conat;
using conat::test::PersistBench;

namespace {

// JSON keeps the order of fields, so it shows what is on the wire.
std::string json(const MessageData& data) { return encode_json(*data.decode()); }
std::string headers(const MessageData& data) { return encode_json(data.headers.value()); }

}  // namespace

TEST_CASE("set answers time and seq, and get gives the message back") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  const std::string time = std::to_string(bench.unix_now());
  const MessageData answer = bench.ask(
      socket, "set", {{"headers", Value(Value::Map{{"foo", Value("bar")}})}}, Value("hi"));
  CHECK(json(answer) == "{\"time\":" + time + ",\"seq\":1}");
  CHECK(answer.headers.empty());

  const MessageData message = bench.ask(socket, "get", {{"seq", Value(1)}});
  CHECK(json(message) == "\"hi\"");
  CHECK(headers(message) == "{\"foo\":\"bar\",\"seq\":1,\"time\":" + time + "}");

  bench.set(socket, Value(5), {{"key", Value("k1")}});
  const MessageData keyed = bench.ask(socket, "get", {{"key", Value("k1")}});
  CHECK(headers(keyed) == "{\"seq\":2,\"time\":" + time + ",\"key\":\"k1\"}");

  const MessageData nothing = bench.ask(socket, "get", {{"key", Value("nope")}});
  CHECK(json(nothing) == "null");
  CHECK(nothing.headers.empty());
}

TEST_CASE("errors are null with the headers error and code") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  bench.set(socket, Value(1), {{"key", Value("k")}});
  const MessageData wrong =
      bench.ask(socket, "set", {{"key", Value("k")}, {"previousSeq", Value(77)}}, Value(2));
  CHECK(json(wrong) == "null");
  CHECK(headers(wrong) == R"({"error":"Error: wrong last sequence","code":"wrong-last-sequence"})");
  CHECK(headers(bench.ask(socket, "bogus")) == R"({"error":"unknown command bogus","code":404})");
  CHECK(headers(bench.ask(socket, "sqlite", {{"statement", Value("select 1")}})) ==
        R"({"error":"Error: sqlite command not currently supported"})");
  CHECK(bench.ask(socket, "set", {{"key", Value(5)}}, Value(2)).headers.number("code") == 400u);
  // An absent key or previousSeq may be spelled null.
  bench.set(socket, Value(3), {{"key", Value()}, {"previousSeq", Value()}, {"ttl", Value()}});
}

TEST_CASE("setMany answers each item on its own") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  bench.set(socket, Value(0), {{"key", Value("k1")}});
  const std::string time = std::to_string(bench.unix_now());
  const auto data = [](int value) {
    return Value(Value::Map{{"encoding", Value(0)}, {"raw", Value(encode_msgpack(Value(value)))}});
  };
  Value::Array items;
  items.emplace_back(Value::Map{{"key", Value("a")}, {"messageData", data(1)}});
  items.emplace_back(
      Value::Map{{"key", Value("k1")}, {"previousSeq", Value(99)}, {"messageData", data(2)}});
  items.emplace_back(Value("no object"));
  items.emplace_back(Value::Map{{"messageData", data(4)}, {"msgID", Value("m")}});
  const MessageData answer = bench.ask(socket, "setMany", {}, Value(items));
  CHECK(json(answer) ==
        "[{\"time\":" + time + ",\"seq\":2}," +
            R"({"error":"Error: wrong last sequence","code":"wrong-last-sequence"},)" +
            R"({"error":"Error: an item of setMany must be an object","code":400},)" +
            "{\"time\":" + time + ",\"seq\":3}]");
  CHECK(json(bench.ask(socket, "get", {{"seq", Value(3)}})) == "4");
  CHECK(bench.ask(socket, "setMany", {}, Value("no array")).headers.number("code") == 400u);
}

TEST_CASE("keys, inventory, config, delete and serverId") {
  PersistServerOptions options;
  options.server_id = "7";
  PersistBench bench(options);
  const auto socket = bench.connect_and_open("hub/foo");
  bench.set(socket, Value(1), {{"key", Value("b")}});
  bench.set(socket, Value(2), {{"key", Value("a")}});
  bench.set(socket, Value(3));
  CHECK(json(bench.ask(socket, "inventory")) == R"({"bytes":5,"count":3,"limits":{},"seq":3})");
  CHECK(bench.ask_value(socket, "keys").if_array()->size() == 2);
  CHECK(json(bench.ask(socket, "serverId")) == "\"7\"");

  Value::Map partial{{"max_msgs", Value(100)}, {"allow_msg_ttl", Value(true)}};
  CHECK(json(bench.ask(socket, "config", {{"config", Value(partial)}})) ==
        R"({"max_msgs":100,"max_age":0,"max_bytes":-1,"max_msg_size":-1,)"
        R"("max_bytes_per_second":-1,"max_msgs_per_second":-1,"discard_policy":"old",)"
        R"("allow_msg_ttl":true,"desc":null})");
  CHECK(bench.ask_value(socket, "config").find("max_msgs")->integer_or(0) == 100);

  CHECK(json(bench.ask(socket, "delete")) == R"({"seqs":[]})");
  Value::Array wanted{Value(3), Value(99)};
  CHECK(json(bench.ask(socket, "delete", {{"seqs", Value(wanted)}})) == R"({"seqs":[3,99]})");
  CHECK(json(bench.ask(socket, "delete", {{"seq", Value(1)}, {"all", Value(false)}})) ==
        R"({"seqs":[1]})");
  CHECK(json(bench.ask(socket, "delete", {{"all", Value(true)}, {"seq", Value(99)}})) ==
        R"({"seqs":[2]})");
}

TEST_CASE("getAll answers arrays with a counting header, then null") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  const std::string time = std::to_string(bench.unix_now());
  bench.set(socket, Value(1),
            {{"key", Value("k")}, {"headers", Value(Value::Map{{"h", Value(1)}})}});
  bench.set(socket, Value(2), {{"msgID", Value("m")}});
  bench.set(socket, Value(3));
  const auto all = bench.take_answers(bench.request(socket, "getAll"));
  REQUIRE(all.size() == 2);
  CHECK(headers(all[0]) == R"({"seq":0})");
  const Value::Array messages = *all[0].decode()->if_array();
  const Value& first = messages[0];
  CHECK(encode_json(first) == "{\"seq\":1,\"time\":" + time +
                                  R"(,"key":"k","encoding":0,"raw":{"type":"Buffer","data":[1]},)"
                                  R"("headers":{"h":1}})");
  CHECK(messages[1].find("msgID") == nullptr);
  CHECK(json(all[1]) == "null");
  CHECK(headers(all[1]) == R"({"seq":1})");

  const auto part = bench.take_answers(
      bench.request(socket, "getAll", {{"start_seq", Value(2)}, {"end_seq", Value(2)}}));
  REQUIRE(part.size() == 2);
  CHECK(part[0].decode()->if_array()->size() == 1);

  const auto none = bench.take_answers(bench.request(socket, "getAll", {{"start_seq", Value(9)}}));
  REQUIRE(none.size() == 1);
  CHECK(headers(none[0]) == R"({"seq":0})");
}

TEST_CASE("getAll holds one batch at a time and stops when nobody listens") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/big");
  const Value megabytes(Bytes(9'000'000, 7));
  for (int i = 0; i < 7; ++i) bench.set(socket, megabytes);

  bench.flow_held = true;
  const std::string reply = bench.request(socket, "getAll");
  auto answers = bench.take_answers(reply);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].raw.size() <= 20'000'000);
  std::size_t messages = answers[0].decode()->if_array()->size();
  for (std::uint64_t number = 1; messages < 7; ++number) {
    REQUIRE(bench.flows.size() == number);
    bench.server.on_responded(bench.now, bench.flows.back(), true);
    bench.settle();
    answers = bench.take_answers(reply);
    REQUIRE(answers.size() >= 1);
    CHECK(answers[0].headers.number("seq") == number);
    messages += answers[0].decode()->if_array()->size();
  }
  REQUIRE(messages == 7);
  REQUIRE(answers.size() == 2);
  CHECK(json(answers[1]) == "null");

  bench.flows.clear();
  bench.flow_held = false;
  bench.flow_delivered = false;
  answers = bench.take_answers(bench.request(socket, "getAll"));
  REQUIRE(answers.size() == 2);
  CHECK(headers(answers[1]) == R"({"error":"Error: connection lost","code":503})");
  CHECK(bench.flows.size() == 1);
  // The socket has room again for what it could not get rid of.
  CHECK(bench.ask_value(socket, "inventory").find("count")->integer_or(0) == 7);
}

TEST_CASE("batches of getAll grow for a fast reader and shrink for a slow one") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/many");
  const Value kilobytes(Bytes(100'000, 7));
  for (int i = 0; i < 600; ++i) bench.set(socket, kilobytes);
  bench.flow_held = true;
  const std::string reply = bench.request(socket, "getAll");
  const auto next_batch = [&](TimeMs takes) {
    const auto answers = bench.take_answers(reply);
    REQUIRE(answers.size() == 1);
    bench.now += takes;
    bench.server.on_responded(bench.now, bench.flows.back(), true);
    bench.settle();
    return answers[0].raw.size();
  };
  const std::size_t first = next_batch(10);
  CHECK(first > 1'500'000);
  CHECK(first < 2'500'000);
  CHECK(next_batch(10) > 3'500'000);
  CHECK(next_batch(2000) < 4'500'000);
  CHECK(next_batch(10'000) > 3'500'000);
  CHECK(next_batch(10'000) < 1'500'000);
  CHECK(next_batch(10) < 500'000);
  CHECK(next_batch(10) < 900'000);
}

TEST_CASE("requests of one socket take effect in order, in one group") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  bench.storage_held = true;
  const auto set = bench.request(socket, "set", {{"key", Value("k")}}, Value(1));
  const auto get = bench.request(socket, "get", {{"key", Value("k")}});
  const auto erase = bench.request(socket, "delete", {{"all", Value(true)}});
  const auto again = bench.request(socket, "get", {{"key", Value("k")}});
  bench.storage_held = false;
  bench.settle();
  CHECK(bench.only_answer(set).decode()->find("seq")->integer_or(0) == 1);
  CHECK(json(bench.only_answer(get)) == "1");
  CHECK(json(bench.only_answer(erase)) == R"({"seqs":[1]})");
  CHECK(json(bench.only_answer(again)) == "null");
}

TEST_CASE("a socket with too many unanswered requests is refused more") {
  PersistBench bench;
  const auto socket = bench.connect_and_open("hub/foo");
  bench.storage_held = true;
  for (std::size_t i = 0; i < limits::persist_max_pending_requests; ++i) {
    bench.request(socket, "keys");
  }
  CHECK(bench.ask(socket, "keys").headers.number("code") == 429u);
  bench.storage_held = false;
  bench.settle();
  CHECK(bench.ask(socket, "keys").headers.empty());
}
