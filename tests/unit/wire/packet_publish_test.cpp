#include <catch2/catch.hpp>

#include "conat/wire/packet.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;

namespace {

constexpr PacketEncoding kText = PacketEncoding::text;
constexpr PacketEncoding kMsgpack = PacketEncoding::msgpack;

// A publish as it arrives at the broker.
class Publish : public OnePacket {
 public:
  Publish(PacketEncoding encoding, WireMessages messages)
      : OnePacket(encoding, std::move(messages)), result_(parse_publish(view(), scratch_)) {}
  bool ok() const { return result_.ok(); }
  const PublishView& operator*() const {
    REQUIRE(result_.ok());
    return *result_;
  }
  const PublishView* operator->() const { return &**this; }
  const Error& error() const { return result_.error(); }
  Shown delivered(PacketEncoding encoding, std::string_view pattern) const {
    const Result<SharedBytes> framed =
        frame_delivery(encoding, pattern, (**this).subject, (**this).tail);
    if (!framed) return {"error"};
    return shown(unframe(*framed));
  }

 private:
  Bytes scratch_;
  Result<PublishView> result_;
};

Publish text_publish(std::string_view message, std::vector<const char*> attachments = {}) {
  WireMessages messages = {text(message)};
  for (const char* attachment : attachments) messages.push_back(binary(attachment));
  return Publish(kText, std::move(messages));
}

Publish msgpack_event(const Value::Array& arguments) {
  return Publish(kMsgpack, encode_event(kMsgpack, "publish", arguments, std::nullopt));
}

Publish msgpack_publish(Value::Array message) {
  Value::Array arguments;
  arguments.push_back(std::move(message));
  return msgpack_event(arguments);
}

std::string error_text(std::string_view message) { return text_publish(message).error().text; }

}  // namespace

TEST_CASE("a recorded publish becomes the recorded deliveries", "[publish]") {
  const Publish publish = text_publish(
      R"(451-["publish",["p.x","Y3eSYlSkPS",0,1,0,{"_placeholder":true,"num":0}]])", {"a26869"});
  CHECK(publish->subject == "p.x");
  CHECK(publish->tail.count == 5);
  CHECK(publish->tail.head.id == "Y3eSYlSkPS");
  CHECK(publish->tail.head.sequence == 0);
  CHECK(publish->tail.head.done);
  CHECK(
      publish.delivered(kText, "p.*") ==
      Shown{
          R"(451-["p.*",{"subject":"p.x","data":["Y3eSYlSkPS",0,1,0,{"_placeholder":true,"num":0}]}])",
          "b:a26869"});
  const Publish with_headers = text_publish(
      R"(451-4["publish",["p.x","NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"bar","n":1,"o":{"x":[1]}}]])",
      {"a26869"});
  CHECK(with_headers->tail.count == 6);
  CHECK(
      with_headers.delivered(kText, "p.>") ==
      Shown{
          R"(451-["p.>",{"subject":"p.x","data":["NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"bar","n":1,"o":{"x":[1]}}]}])",
          "b:a26869"});
}

TEST_CASE("text in place of bytes and short arrays are passed on as they are", "[publish]") {
  const Publish text = text_publish(R"(4210["publish",["p.x2","id1",0,1,1,"\"text\""]])");
  CHECK(text.delivered(kText, "p.*") ==
        Shown{R"(42["p.*",{"subject":"p.x2","data":["id1",0,1,1,"\"text\""]}])"});
  const Result<TailFields> fields = parse_tail(text->tail);
  REQUIRE(fields.ok());
  CHECK(as_text(fields->raw) == "\"text\"");
  CHECK(fields->payload_encoding == 1);
  const Publish only_subject = text_publish(R"(4211["publish",["p.x3"]])");
  CHECK(only_subject->tail.count == 0);
  CHECK(only_subject->tail.head.id.empty());
  CHECK(only_subject->tail.head.done);
  CHECK(only_subject.delivered(kText, "p.*") == Shown{R"(42["p.*",{"subject":"p.x3","data":[]}])"});
  CHECK(only_subject.delivered(kMsgpack, "p.*").size() == 1);
  CHECK(parse_tail(only_subject->tail)->raw.empty());
}

TEST_CASE("a recorded chunk tells its place", "[publish]") {
  const Publish chunk = text_publish(
      R"(451-2["publish",["big","oc2DzfwvWp",1,0,0,{"_placeholder":true,"num":0}]])", {"00"});
  CHECK(chunk->tail.head.id == "oc2DzfwvWp");
  CHECK(chunk->tail.head.sequence == 1);
  CHECK_FALSE(chunk->tail.head.done);
}

TEST_CASE("a MessagePack publish is spliced into the delivery", "[publish]") {
  const Bytes headers = unhex("81a161c0");
  const PublishChunk chunk{"p.x",          "0123456789", 2, false, PayloadEncoding::json,
                           as_bytes("{}"), headers};
  const WireMessages sent = encode_publish(kMsgpack, chunk, 5);
  CHECK(shown(sent) == Shown{"b:84a47479706502a46461746192a77075626c69736897a3702e78"
                             "aa303132333435363738390200"
                             "01c4027b7d81a161c0a36e7370a12fa2696405"});
  const Publish publish(kMsgpack, sent);
  CHECK(publish->subject == "p.x");
  CHECK(publish->tail.count == 6);
  CHECK(publish->tail.head.id == "0123456789");
  CHECK(publish->tail.head.sequence == 2);
  CHECK_FALSE(publish->tail.head.done);
  CHECK(publish.delivered(kMsgpack, "p.*") ==
        Shown{"b:83a47479706502a46461746192a3702e2a82a77375626a656374a3702e78a46461746196"
              "aa30313233343536373839020001c4027b7d81a161c0a36e7370a12f"});
}

TEST_CASE("deliveries are converted between the encodings", "[publish]") {
  const Publish from_text = text_publish(
      R"(451-4["publish",["p.x","NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"b\u0061r","n":1.5,"o":{"x":[-1]}}]])",
      {"a26869"});
  const Publish from_msgpack = msgpack_publish(Value::Array{
      "p.x", "NXSQY0XZfh", 0, 1, 0, unhex("a26869"),
      Value::Map{{"foo", "bar"}, {"n", 1.5}, {"o", Value::Map{{"x", Value::Array{-1}}}}}});
  CHECK(from_text.delivered(kMsgpack, "p.x") == from_msgpack.delivered(kMsgpack, "p.x"));
  CHECK(
      from_msgpack.delivered(kText, "p.x") ==
      Shown{
          R"(451-["p.x",{"subject":"p.x","data":["NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"bar","n":1.5,"o":{"x":[-1]}}]}])",
          "b:a26869"});
  const Publish odd = msgpack_publish(Value::Array{
      "s", nullptr, -1, true, Value::Map{{"b", Bytes{1}}}, Value::Array{Bytes{2}, Bytes{}}});
  CHECK(
      odd.delivered(kText, "s") ==
      Shown{
          R"(453-["s",{"subject":"s","data":[null,-1,true,{"b":{"_placeholder":true,"num":0}},[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]]}])",
          "b:01", "b:02", "b:"});
  const Publish odd_text = text_publish(
      R"(452-["publish",["s",null,-1,true,{"b":{"_placeholder":true,"num":0}},[{"_placeholder":true,"num":1},18446744073709551615]]])",
      {"01", "02"});
  const Publish same = msgpack_publish(
      Value::Array{"s", nullptr, -1, true, Value::Map{{"b", Bytes{1}}},
                   Value::Array{Bytes{2}, std::numeric_limits<std::uint64_t>::max()}});
  CHECK(odd_text.delivered(kMsgpack, "s") == same.delivered(kMsgpack, "s"));
}

TEST_CASE("attachments of every size stand where their placeholders were", "[publish]") {
  for (const std::size_t size : {0, 255, 256, 4096, 4097, 65'535, 65'536, 200'000}) {
    INFO(size);
    const Bytes large(size, 'l');
    const Bytes small(3, 's');
    const Publish from_text(
        kText,
        {text(
             R"(453-["publish",["s",{"_placeholder":true,"num":2},"between",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"in":{"_placeholder":true,"num":2}}]])"),
         {true, small},
         {true, large},
         {true, large}});
    const Publish from_msgpack = msgpack_publish(
        Value::Array{"s", large, "between", small, large, Value::Map{{"in", large}}});
    CHECK(from_text.delivered(kMsgpack, "p") == from_msgpack.delivered(kMsgpack, "p"));
  }
}

TEST_CASE("what socket.io-msgpack-parser has of its own reaches text clients", "[publish]") {
  // Uint8Array, undefined and Date, as socket.io-msgpack-parser 3.0.2 from npm writes them.
  const Publish publish(
      kMsgpack, {binary("83a47479706502a46461746192a77075626c69736897a3702e78aa30313233343536373839"
                        "000100c7030001020384a161d40000a164d70000000000000003e8a162c7010009a16c91"
                        "d40000a36e7370a12f")});
  CHECK(
      publish.delivered(kText, "p.x") ==
      Shown{
          R"(452-["p.x",{"subject":"p.x","data":["0123456789",0,1,0,{"_placeholder":true,"num":0},)"
          R"({"d":"1970-01-01T00:00:01.000Z","b":{"_placeholder":true,"num":1},"l":[null]}]}])",
          "b:010203", "b:09"});
  const Result<TailFields> fields = parse_tail(publish->tail);
  REQUIRE(fields.ok());
  CHECK(hex(fields->raw) == "010203");
  CHECK(*decode_msgpack(fields->headers) ==
        Value(Value::Map{{"d", Value::Date{1000}}, {"b", Bytes{9}}, {"l", Value::Array{nullptr}}}));
  const Publish no_headers(
      kMsgpack, {binary("85a47479706502a46461746192a77075626c69736897a3702e78aa30313233343536373839"
                        "000100c403010203d40000a76f7074696f6e73d40000a26964d40000a36e7370a12f")});
  CHECK_FALSE(no_headers.view().ack_id.has_value());
  CHECK(parse_tail(no_headers->tail)->headers.empty());
  CHECK(hex(parse_tail(no_headers->tail)->raw) == "010203");
}

TEST_CASE("positions behind the headers are cut off", "[publish]") {
  const Publish text = text_publish(
      R"(452-["publish",["s","id",0,1,0,{"_placeholder":true,"num":0},{"h":1},[["p","q"]],{"_placeholder":true,"num":1}]])",
      {"01", "02"});
  CHECK(text->tail.count == 6);
  CHECK(
      text.delivered(kText, "s") ==
      Shown{
          R"(451-["s",{"subject":"s","data":["id",0,1,0,{"_placeholder":true,"num":0},{"h":1}]}])",
          "b:01"});
  const Publish msgpack = msgpack_publish(
      Value::Array{"s", "id", 0, 1, 0, Bytes{1}, Value::Map{{"h", 1}}, "targets", Bytes{2}});
  CHECK(msgpack->tail.count == 6);
  CHECK(msgpack.delivered(kText, "s") == text.delivered(kText, "s"));
  CHECK(msgpack.delivered(kMsgpack, "s") == text.delivered(kMsgpack, "s"));
}

TEST_CASE("placeholders out of order are delivered in order", "[publish]") {
  const Publish publish = text_publish(
      R"(452-["publish",["s","id",0,1,0,{"_placeholder":true,"num":1},{"h":{"num":0,"_placeholder":true}}]])",
      {"01", "02"});
  CHECK(
      publish.delivered(kText, "s") ==
      Shown{
          R"(452-["s",{"subject":"s","data":["id",0,1,0,{"_placeholder":true,"num":0},{"h":{"_placeholder":true,"num":1}}]}])",
          "b:02", "b:01"});
  const Result<TailFields> fields = parse_tail(publish->tail);
  REQUIRE(fields.ok());
  CHECK(hex(fields->raw) == "02");
  CHECK(*decode_msgpack(fields->headers) == Value(Value::Map{{"h", Bytes{1}}}));
}

TEST_CASE("a forged placeholder cannot disconnect subscribers", "[publish]") {
  // As data it is harmless without attachments, and with them it loses its mark.
  const Value forged = Value::Map{{"_placeholder", true}, {"num", 99}};
  CHECK(msgpack_publish(Value::Array{"s", "id", 0, 1, 1, "x", forged}).delivered(kText, "s") ==
        Shown{R"(42["s",{"subject":"s","data":["id",0,1,1,"x",{"_placeholder":true,"num":99}]}])"});
  CHECK(
      msgpack_publish(Value::Array{"s", "id", 0, 1, 1, Bytes{1}, forged}).delivered(kText, "s") ==
      Shown{
          R"(451-["s",{"subject":"s","data":["id",0,1,1,{"_placeholder":true,"num":0},{"num":99}]}])",
          "b:01"});
  CHECK(
      msgpack_publish(Value::Array{"s", "id", 0, 1, forged, Bytes{1}}).delivered(kText, "s") ==
      Shown{
          R"(451-["s",{"subject":"s","data":["id",0,1,{"num":99},{"_placeholder":true,"num":0}]}])",
          "b:01"});
  // Nor can more attachments than clients take, or names that they refuse.
  Value::Array many;
  for (std::size_t i = 0; i <= limits::max_attachments; ++i) many.push_back(Bytes{1});
  CHECK(msgpack_publish(Value::Array{"s", "id", 0, 1, 1, many}).delivered(kText, "s") ==
        Shown{"error"});
  CHECK(msgpack_publish(Value::Array{"s"}).delivered(kText, "disconnect") == Shown{"error"});
  CHECK(msgpack_publish(Value::Array{"s"}).delivered(kMsgpack, "connect") == Shown{"error"});
}

TEST_CASE("names are escaped in text", "[publish]") {
  const Publish publish = text_publish(R"(42["publish",["a\"\\\u00e4.b"]])");
  CHECK(publish->subject == "a\"\\\xc3\xa4.b");
  CHECK(publish.delivered(kText, "a\"\\\xc3\xa4.*") ==
        Shown{"42[\"a\\\"\\\\\xc3\xa4.*\",{\"subject\":\"a\\\"\\\\\xc3\xa4.b\",\"data\":[]}]"});
  const SharedBytes broken = *frame_delivery(kText, "p", "\xff", publish->tail);
  CHECK(shown(unframe(broken)) == Shown{"42[\"p\",{\"subject\":\"\xef\xbf\xbd\",\"data\":[]}]"});
}

TEST_CASE("a publish that is none is refused with a text", "[publish]") {
  for (const char* bad :
       {R"(42["publish"])", R"(42["publish",null])", R"(42["publish",5])", R"(42["publish","s"])",
        R"(42["publish",{}])", R"(42["publish",["s"],1])"}) {
    INFO(bad);
    CHECK(error_text(bad) == "Error: malformed request");
  }
  for (const char* bad : {R"(42["publish",[]])", R"(42["publish",[null]])",
                          R"(42["publish",[5,"id"]])", R"(42["publish",[["s"]]])"}) {
    INFO(bad);
    CHECK(error_text(bad) == "Error: invalid subject");
  }
  CHECK(msgpack_event({}).error().text == "Error: malformed request");
  CHECK(msgpack_event({5}).error().text == "Error: malformed request");
  CHECK(msgpack_event({Value::Array{"s"}, 1}).error().text == "Error: malformed request");
  CHECK(msgpack_publish(Value::Array{}).error().text == "Error: invalid subject");
  CHECK(msgpack_publish(Value::Array{nullptr}).error().text == "Error: invalid subject");
}

TEST_CASE("fields nest up to the limit, so that deliveries can be read", "[publish]") {
  const auto message = [](std::size_t depth) {
    return R"(42["publish",["s","id",0,1,1,"x",)" + std::string(depth, '[') +
           std::string(depth, ']') + "]]";
  };
  const Publish deepest = text_publish(message(limits::max_value_depth));
  REQUIRE(deepest.ok());
  for (const PacketEncoding encoding : {kText, kMsgpack}) {
    const OnePacket delivery(encoding, unframe(*frame_delivery(encoding, "p", "s", deepest->tail)));
    REQUIRE(delivery.step() == PacketReader::Step::packet);
    Bytes scratch;
    const Result<PublishView> view = parse_delivery(delivery.view(), scratch);
    REQUIRE(view.ok());
    const Result<TailFields> fields = parse_tail(view->tail);
    REQUIRE(fields.ok());
    CHECK(decode_msgpack(fields->headers).ok());
    CHECK(decode_arguments(delivery.view()).ok());
  }
  CHECK(error_text(message(limits::max_value_depth + 1)) == "Error: malformed request");
}

TEST_CASE("a tail's done and sequence are read as JavaScript would", "[publish]") {
  const auto head = [](std::string_view tail) {
    const Publish publish = text_publish("42[\"publish\",[\"s\"," + std::string(tail) + "]]");
    return std::tuple(std::string(publish->tail.head.id), publish->tail.head.sequence,
                      publish->tail.head.done);
  };
  using Head = std::tuple<std::string, std::uint64_t, bool>;
  CHECK(head(R"("a",5,0)") == Head("a", 5, false));
  CHECK(head(R"("a" , 5 , true )") == Head("a", 5, true));
  CHECK(head(R"("a",5,null)") == Head("a", 5, false));
  CHECK(head(R"("a",5,"")") == Head("a", 5, false));
  CHECK(head(R"("a",5,0.0)") == Head("a", 5, false));
  CHECK(head(R"("a",5,-1)") == Head("a", 5, true));
  CHECK(head(R"("a",5,[])") == Head("a", 5, true));
  CHECK(head(R"(7,-5)") == Head("", 0, true));
  CHECK(head(R"(null,"x")") == Head("", 0, true));
  const auto done = [](const Value& value) {
    return msgpack_publish(Value::Array{"s", "a", 5, value})->tail.head.done;
  };
  CHECK(done(1));
  CHECK(done(true));
  CHECK(done(0.5));
  CHECK(done("x"));
  CHECK(done(Value::Array{}));
  CHECK(done(-1));
  CHECK_FALSE(done(0));
  CHECK_FALSE(done(0.0));
  CHECK_FALSE(done(-0.0));
  CHECK_FALSE(done(false));
  CHECK_FALSE(done(nullptr));
  CHECK_FALSE(done(""));
}

TEST_CASE("a recorded delivery is taken apart", "[delivery]") {
  const OnePacket packet(
      kText,
      {text(
           R"(451-["big",{"subject":"big","data":["oc2DzfwvWp",2,1,0,{"_placeholder":true,"num":0},{"h":1}]}])"),
       binary("0102")});
  Bytes scratch;
  const Result<PublishView> delivery = parse_delivery(packet.view(), scratch);
  REQUIRE(delivery.ok());
  CHECK(packet.view().name == "big");
  CHECK(delivery->subject == "big");
  const Result<TailFields> fields = parse_tail(delivery->tail);
  REQUIRE(fields.ok());
  CHECK(fields->id == "oc2DzfwvWp");
  CHECK(fields->sequence == 2);
  CHECK(fields->done);
  CHECK(fields->payload_encoding == 0);
  CHECK(hex(fields->raw) == "0102");
  CHECK(hex(fields->headers) == "81a16801");
}

TEST_CASE("deliveries are read in any order of keys and both encodings", "[delivery]") {
  const Value::Array tail = {"id", 3, 0, 1, Bytes{1, 2}, Value::Map{{"b", Bytes{9}}}};
  for (const PacketEncoding encoding : {kText, kMsgpack}) {
    for (const Value::Map& argument :
         {Value::Map{{"subject", "s"}, {"data", tail}},
          Value::Map{
              {"extra", Value::Array{1}}, {"data", tail}, {"subject", "s"}, {"z", nullptr}}}) {
      const OnePacket packet(encoding, encode_event(encoding, "p", {argument}, std::nullopt));
      Bytes scratch;
      const Result<PublishView> delivery = parse_delivery(packet.view(), scratch);
      REQUIRE(delivery.ok());
      CHECK(delivery->subject == "s");
      const Result<TailFields> fields = parse_tail(delivery->tail);
      REQUIRE(fields.ok());
      CHECK(fields->id == "id");
      CHECK(fields->sequence == 3);
      CHECK_FALSE(fields->done);
      CHECK(fields->payload_encoding == 1);
      CHECK(hex(fields->raw) == "0102");
      CHECK(*decode_msgpack(fields->headers) == Value(Value::Map{{"b", Bytes{9}}}));
    }
  }
}

TEST_CASE("deliveries that are none are refused", "[delivery]") {
  const auto parses = [](PacketEncoding encoding, const Value::Array& arguments) {
    const OnePacket packet(encoding, encode_event(encoding, "p", arguments, std::nullopt));
    Bytes scratch;
    return parse_delivery(packet.view(), scratch).ok();
  };
  for (const PacketEncoding encoding : {kText, kMsgpack}) {
    CHECK(parses(encoding, {Value::Map{{"subject", "s"}, {"data", Value::Array{}}}}));
    CHECK_FALSE(parses(encoding, {}));
    CHECK_FALSE(parses(encoding, {5}));
    CHECK_FALSE(parses(encoding, {Value::Array{"s"}}));
    CHECK_FALSE(parses(encoding, {Value::Map{}}));
    CHECK_FALSE(parses(encoding, {Value::Map{{"subject", "s"}}}));
    CHECK_FALSE(parses(encoding, {Value::Map{{"data", Value::Array{}}}}));
    CHECK_FALSE(parses(encoding, {Value::Map{{"subject", 5}, {"data", Value::Array{}}}}));
    CHECK_FALSE(parses(encoding, {Value::Map{{"subject", "s"}, {"data", "x"}}}));
    CHECK_FALSE(parses(encoding, {Value::Map{{"subject", "s"}, {"data", Value::Array{}}}, 1}));
  }
}

TEST_CASE("fields of other kinds are bounded", "[delivery]") {
  const auto fields = [](PacketEncoding encoding, const Value::Array& tail) {
    const Value argument = Value::Map{{"subject", "s"}, {"data", tail}};
    const OnePacket packet(encoding, encode_event(encoding, "p", {argument}, std::nullopt));
    Bytes scratch;
    const Result<PublishView> delivery = parse_delivery(packet.view(), scratch);
    REQUIRE(delivery.ok());
    const Result<TailFields> result = parse_tail(delivery->tail);
    if (!result) return std::string("error");
    return std::to_string(result->payload_encoding) + ":" + std::string(as_text(result->raw)) +
           ":" + hex(result->headers);
  };
  for (const PacketEncoding encoding : {kText, kMsgpack}) {
    CHECK(fields(encoding, {"id", 0, 1, 7, "raw", 0}) == "7:raw:");
    CHECK(fields(encoding, {"id", 0, 1, 300, nullptr, false}) == "255::");
    CHECK(fields(encoding, {"id", 0, 1, "x", "a\nb", "h"}) == "255:a\nb:a168");
    CHECK(fields(encoding, {"id", 0, 1, 0, 5}) == "error");
    CHECK(fields(encoding, {"id", 0, 1, 0, Value::Array{}}) == "error");
    CHECK(fields(encoding, {"id", 0, 1, 0, "", Value::Map{}}) == "0::80");
  }
}
