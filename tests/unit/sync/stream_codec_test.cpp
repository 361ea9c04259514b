#include "conat/sync/stream_codec.hpp"

#include <catch2/catch.hpp>

namespace conat {
namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes made;
  for (const int value : values) made.push_back(static_cast<std::uint8_t>(value));
  return made;
}

Bytes hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Bytes made;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    made.push_back(static_cast<std::uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
  }
  return made;
}

MessageData data(Bytes raw) { return {PayloadEncoding::msgpack, std::move(raw), {}}; }

TEST_CASE("setMany is encoded as a deployed client does") {
  const Bytes x = bytes({1});
  StreamSet item;
  item.key = "x";
  item.raw = x;
  const MessageData request = encode_set_many({item});
  // [{"key":"x","messageData":{"encoding":0,"raw":01}}]
  CHECK(request.raw ==
        hex("9182a36b6579a178ab6d6573736167654461746182a8656e636f64696e6700a3726177c40101"));
  CHECK(request.headers.value() == Value(Value::Map{{"cmd", "setMany"}}));
}

TEST_CASE("setMany carries what an item has besides") {
  const Bytes raw = bytes({0xc0});
  StreamSet item;
  item.key = "";
  item.raw = raw;
  item.headers = Headers(Value(Value::Map{{"CN-Tombstone", true}}));
  item.ttl_ms = 86'400'000;
  item.previous_seq = must_not_exist;
  item.message_id = "id";
  const auto decoded = decode_msgpack(encode_set_many({item}).raw);
  REQUIRE(decoded.ok());
  const Value& encoded = (*decoded->if_array())[0];
  CHECK(*encoded.find("key") == Value(""));
  CHECK(*encoded.find("ttl") == Value(86'400'000));
  CHECK(*encoded.find("previousSeq") == Value(must_not_exist));
  CHECK(*encoded.find("msgID") == Value("id"));
  CHECK(*encoded.find("messageData")->find("headers")->find("CN-Tombstone") == Value(true));
}

TEST_CASE("commands are headers") {
  Value arguments;
  arguments.set("start_seq", Value(3));
  const MessageData request = encode_command("getAll", arguments);
  CHECK(is_null_payload(request));
  CHECK(request.headers.value() == Value(Value::Map{{"start_seq", 3}, {"cmd", "getAll"}}));
  CHECK(encode_command("keys", Value()).headers.value() == Value(Value::Map{{"cmd", "keys"}}));
}

TEST_CASE("recorded changes are understood") {
  // A set with headers, then deletes, from the recorded traces.
  const auto set = parse_updates(data(hex(
      "9186a373657105a474696d65cf000001a208ea1ab4a36b6579a26366a8656e636f64696e6700a3726177c403a263"
      "66a76865616465727381a16801")));
  REQUIRE(set.ok());
  REQUIRE(set->size() == 1);
  const StreamUpdate& update = set->front();
  CHECK_FALSE(update.is_delete);
  CHECK(update.message.seq == 5);
  CHECK(update.message.time == 1'795'445'889'716);
  CHECK(update.message.key == "cf");
  CHECK(update.message.raw == hex("a26366"));
  CHECK(update.message.headers.value() == Value(Value::Map{{"h", 1}}));

  const auto deletes = parse_updates(
      data(hex("9282a26f70a664656c657465a47365717392046382a26f70a664656c657465a4736571739105")));
  REQUIRE(deletes.ok());
  REQUIRE(deletes->size() == 2);
  CHECK((*deletes)[0].is_delete);
  CHECK((*deletes)[0].deleted == std::vector<StreamSequence>{4, 99});

  const auto with_id = parse_messages(data(hex(
      "9185a373657101a474696d65cf000001a208ea27b2a8656e636f64696e6700a3726177c402a161a56d73674944aa"
      "6876686d364e52785378")));
  REQUIRE(with_id.ok());
  CHECK(with_id->front().message_id == "hvhm6NRxSx");
  CHECK_FALSE(with_id->front().key);
}

TEST_CASE("times may be floating point") {
  Value::Map fields{{"seq", 2.0}, {"time", 1.5e12}, {"encoding", 1}, {"raw", bytes({'1'})}};
  const auto parsed = parse_messages(data(encode_msgpack(Value(Value::Array{Value(fields)}))));
  REQUIRE(parsed.ok());
  CHECK(parsed->front().seq == 2);
  CHECK(parsed->front().time == 1'500'000'000'000);
  CHECK(parsed->front().encoding == PayloadEncoding::json);
}

TEST_CASE("malformed messages are errors") {
  const auto parse = [](const Value& value) {
    return parse_updates(data(encode_msgpack(value))).ok();
  };
  CHECK(parse(Value(Value::Array{})));
  CHECK_FALSE(parse(Value("text")));
  CHECK_FALSE(parse(Value(Value::Array{1})));
  CHECK_FALSE(parse(Value(Value::Array{Value(Value::Map{{"seq", 1}})})));
  CHECK_FALSE(parse(Value(Value::Array{Value(Value::Map{{"seq", -1}, {"raw", bytes({1})}})})));
  CHECK_FALSE(parse(Value(Value::Array{Value(Value::Map{{"seq", 1}, {"raw", "text"}})})));
  CHECK_FALSE(parse_updates(data(hex("91"))).ok());
  CHECK_FALSE(parse_updates(data({})).ok());
  CHECK_FALSE(parse_updates(data(hex("9000"))).ok());
  Value::Map deletion{{"op", "delete"}, {"seqs", Value(Value::Array{1})}};
  CHECK_FALSE(parse_messages(data(encode_msgpack(Value(Value::Array{Value(deletion)})))).ok());
}

TEST_CASE("a truncated message never reads beyond its end") {
  const Bytes whole = hex(
      "9186a373657105a474696d65cf000001a208ea1ab4a36b6579a26366a8656e636f64696e6700a3726177c403a263"
      "66a76865616465727381a16801");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(
        parse_updates(data(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))))
            .ok());
  }
}

TEST_CASE("answers that are errors") {
  MessageData answer = MessageData::of(
      Value(), Headers(Value(Value::Map{{"error", "no"}, {"code", "wrong-last-sequence"}})));
  REQUIRE(answer_error(answer));
  CHECK(answer_error(answer)->code.word == "wrong-last-sequence");
  CHECK(answer_error(answer)->text == "no");
  answer.headers = Headers(Value(Value::Map{{"error", "no"}, {"code", 403}}));
  CHECK(answer_error(answer)->code.number == 403);
  // A message that has such a header of its own is none.
  answer.raw = encode_msgpack(Value(1));
  CHECK_FALSE(answer_error(answer));
  CHECK_FALSE(answer_error(MessageData::of(Value())));
}

TEST_CASE("the answer to setMany") {
  const auto results = parse_set_many_answer(data(
      hex("9382a474696d65cf000001a208ea1a8fa37365710382a56572726f72ba4572726f723a2077726f6e67206c61"
          "73742073657175656e6365a4636f6465b377726f6e672d6c6173742d73657175656e636582a474696d65cf00"
          "0001a208ea1a90a373657104")));
  REQUIRE(results.ok());
  REQUIRE(results->size() == 3);
  CHECK((*results)[0]->seq == 3);
  CHECK((*results)[0]->time == 1'795'445'889'679);
  CHECK((*results)[1].error().code.word == "wrong-last-sequence");
  CHECK((*results)[2]->seq == 4);
  CHECK_FALSE(parse_set_many_answer(data(encode_msgpack(Value("?")))).ok());
  CHECK_FALSE(parse_set_many_answer(data(encode_msgpack(Value(Value::Array{1})))).ok());
}

}  // namespace
}  // namespace conat
