// Frame by frame, in the text encoding, as recorded from a deployed server (and as the wire
// protocol says where it asks for more).
#include <catch2/catch.hpp>

#include "broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

using Texts = std::vector<std::string>;

const char* const kHub = R"({"hub_id":"hub"})";

// Sends a text frame and returns what came back to the sender.
Texts say(TestClient& client, std::string_view text) {
  client.text(text);
  return client.take_texts();
}

std::string with_placeholder(std::string_view head) {
  return std::string(head) + R"({"_placeholder":true,"num":0}]])";
}

}  // namespace

TEST_CASE("trace: subscribe and unsubscribe", "[broker][trace]") {
  World world;
  const auto client = world.user_client(kHub);
  client->connect();
  CHECK(
      say(*client, R"(420["subscribe",{"subject":"_INBOX.EpLrbkd46P.*","queue":"eLMrGzbIaw"}])") ==
      Texts{R"(430[{"status":"added"}])"});
  CHECK(say(*client, R"(421["subscribe",{"subject":"foo.bar","queue":"0OD97umYjV"}])") ==
        Texts{R"(431[{"status":"added"}])"});
  CHECK(say(*client, R"(422["subscribe",{"subject":"foo.*","queue":"q1"}])") ==
        Texts{R"(432[{"status":"added"}])"});
  CHECK(say(*client, R"(42["subscribe",{"subject":"foo.>","queue":"Y37O2Iqgld"}])").empty());
  CHECK(say(*client, R"(423["subscribe",{"subject":"foo.bar","queue":"zzz"}])") ==
        Texts{R"(433[{"status":"already-added"}])"});
  CHECK(
      say(*client,
          R"(424["subscribe",[{"subject":"x.1","queue":"0"},{"subject":"x.2","queue":"0"},{"subject":"bad..subject","queue":"0"},{"subject":"noqueue"}]])") ==
      Texts{
          R"(434[[{"status":"added"},{"status":"added"},{"error":"Error: invalid subject"},{"error":"Error: queue must be defined"}]])"});
  CHECK(say(*client, R"(425["subscriptions",null])") ==
        Texts{R"(435[["_INBOX.EpLrbkd46P.*","foo.bar","foo.*","foo.>","x.1","x.2"]])"});
  CHECK(say(*client, R"(42["unsubscribe",{"subject":"foo.bar"}])").empty());
  CHECK(say(*client, R"(426["unsubscribe",{"subject":"foo.*"}])") == Texts{"436[null]"});
  CHECK(say(*client, R"(427["unsubscribe",[{"subject":"x.1"},{"subject":"unknown"}]])") ==
        Texts{"437[[null,null]]"});
  CHECK(say(*client, R"(428["subscriptions",null])") ==
        Texts{R"(438[["_INBOX.EpLrbkd46P.*","foo.>","x.2"]])"});
  CHECK(say(*client, R"(429["subscribe",{"subject":"","queue":"0"}])") ==
        Texts{R"(439[{"error":"Error: invalid subject"}])"});
  CHECK(say(*client, R"(4210["subscribe",{"subject":"ok","queue":5}])") ==
        Texts{R"(4310[{"error":"Error: queue must be defined"}])"});
  CHECK(world.broker().counters().subscriptions == 3);
}

TEST_CASE("trace: publish", "[broker][trace]") {
  World world;
  const auto publisher = world.user_client(kHub);
  const auto subscriber = world.user_client(kHub);
  publisher->connect();
  subscriber->connect();
  say(*subscriber, R"(421["subscribe",{"subject":"p.*","queue":"q"}])");
  say(*subscriber, R"(422["subscribe",{"subject":"p.>","queue":"q"}])");
  say(*publisher, R"(421["subscribe",{"subject":"p.x","queue":"q"}])");

  SECTION("nobody") {
    publisher->text(with_placeholder(R"(451-2["publish",["nobody","LSkYDTlMUh",0,1,0,)"));
    CHECK(publisher->take_texts().empty());
    publisher->binary(as_bytes("\1"));
    CHECK(publisher->take_texts() == Texts{R"(432[{"count":0}])"});
  }
  SECTION("several patterns, the publisher itself among the takers; its ack comes last") {
    publisher->text(
        R"(451-4["publish",["p.x","NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"bar","n":1,"o":{"x":[1]}}]])");
    publisher->binary(as_bytes("\xa2hi"));
    const std::string tail =
        R"(",{"subject":"p.x","data":["NXSQY0XZfh",0,1,0,{"_placeholder":true,"num":0},{"foo":"bar","n":1,"o":{"x":[1]}}]}])";
    CHECK(publisher->take_texts() ==
          Texts{"451-[\"p.x" + tail, "bin:a26869", R"(434[{"count":3}])"});
    Texts got = subscriber->take_texts();
    REQUIRE(got.size() == 4);
    if (got[0] != "451-[\"p.*" + tail) std::swap(got[0], got[2]);
    CHECK(got == Texts{"451-[\"p.*" + tail, "bin:a26869", "451-[\"p.>" + tail, "bin:a26869"});
  }
  SECTION("without an ack nothing is answered") {
    publisher->text(with_placeholder(R"(451-["publish",["p.y","d8TqO3YZlG",0,1,0,)"));
    publisher->binary(as_bytes("\1"));
    CHECK(publisher->take_texts().empty());
    CHECK(subscriber->take_texts().size() == 4);
  }
  SECTION("text in place of bytes, and nothing but the subject, are passed on") {
    CHECK(say(*publisher, R"(4210["publish",["p.x2","id1",0,1,1,"\"text\""]])") ==
          Texts{R"(4310[{"count":2}])"});
    Texts got = subscriber->take_texts();
    std::sort(got.begin(), got.end());
    CHECK(got == Texts{R"(42["p.*",{"subject":"p.x2","data":["id1",0,1,1,"\"text\""]}])",
                       R"(42["p.>",{"subject":"p.x2","data":["id1",0,1,1,"\"text\""]}])"});
    CHECK(say(*publisher, R"(4211["publish",["p.x3"]])") == Texts{R"(4311[{"count":2}])"});
    got = subscriber->take_texts();
    std::sort(got.begin(), got.end());
    CHECK(got == Texts{R"(42["p.*",{"subject":"p.x3","data":[]}])",
                       R"(42["p.>",{"subject":"p.x3","data":[]}])"});
  }
  SECTION("invalid subjects") {
    for (const char* subject : {"bad..subject", "p.*", "p.>", "", "a b", "p>", "p.x*"}) {
      CAPTURE(subject);
      publisher->text(
          with_placeholder(std::string(R"(451-8["publish",[")") + subject + R"(","id1",0,1,0,)"));
      publisher->binary(as_bytes("\1"));
      CHECK(publisher->take_texts() == Texts{R"(438[{"error":"Error: invalid subject"}])"});
    }
    CHECK(subscriber->take_texts().empty());
  }
}

TEST_CASE("trace: a tap receives and does not count", "[broker][trace]") {
  World world;
  const auto publisher = world.client();
  const auto tap = world.client();
  publisher->connect();
  tap->connect();
  CHECK(say(*tap, R"(423["subscribe",{"subject":">","queue":"c0QhH6LOo6"}])") ==
        Texts{R"(433[{"status":"added"}])"});
  publisher->text(with_placeholder(R"(451-6["publish",["lonely","qpe3vQKPR2",0,1,0,)"));
  publisher->binary(as_bytes("\1"));
  CHECK(publisher->take_texts() == Texts{R"(436[{"count":0}])"});
  CHECK(
      tap->take_texts() ==
      Texts{
          R"(451-[">",{"subject":"lonely","data":["qpe3vQKPR2",0,1,0,{"_placeholder":true,"num":0}]}])",
          "bin:01"});
  // The recorded server answered true: here a tap is no interest.
  CHECK(say(*publisher, R"(4210["wait-for-interest",{"subject":"zzz","timeout":0}])") ==
        Texts{"4310[false]"});
}

TEST_CASE("trace: wait-for-interest", "[broker][trace]") {
  World world;
  const auto client = world.client();
  const auto other = world.client();
  client->connect();
  other->connect();
  CHECK(say(*client, R"(421["wait-for-interest",{"subject":"nobody","timeout":0}])") ==
        Texts{"431[false]"});
  CHECK(say(*client, R"(426["wait-for-interest",{"subject":"a.*","timeout":0}])") ==
        Texts{R"(436[{"error":"invalid subject"}])"});
  CHECK(say(*client, R"(425["wait-for-interest",{"subject":"soon","timeout":5000}])").empty());
  CHECK(say(*client, R"(422["wait-for-interest",{"subject":"late","timeout":300}])").empty());
  world.advance(1299);
  CHECK(client->take_texts().empty());
  world.advance(1000);
  CHECK(client->take_texts() == Texts{R"(432[{"error":"Error: timeout"}])"});
  CHECK(say(*other, R"(422["subscribe",{"subject":"soon","queue":"fvyXR1gUFP"}])") ==
        Texts{R"(432[{"status":"added"}])"});
  CHECK(client->take_texts() == Texts{"435[true]"});
  CHECK(say(*client, R"(427["wait-for-interest",{"subject":"soon"}])") == Texts{"437[true]"});
  world.advance(20'000);
  CHECK(client->take_texts().empty());
}

TEST_CASE("trace: what a user may not do", "[broker][trace]") {
  World world;
  const auto client = world.user_client(R"({"account_id":"a-1"})");
  client->connect();
  const std::string user = R"({\"account_id\":\"a-1\"})";
  CHECK(say(*client, R"(421["subscribe",{"subject":"secret.x","queue":"BqB5ThtNW7"}])") ==
        Texts{R"(42["permission",{"message":"permission denied subscribing to 'secret.x' from )" +
                  user + R"(","subject":"secret.x","type":"sub"}])",
              R"(431[{"error":"Error: permission denied subscribing to 'secret.x' from )" + user +
                  R"(","code":403}])"});
  client->text(with_placeholder(R"(451-2["publish",["secret.y","npHwYhfN2b",0,1,0,)"));
  client->binary(as_bytes("\1"));
  CHECK(client->take_texts() ==
        Texts{R"(42["permission",{"message":"permission denied publishing to 'secret.y' from )" +
                  user + R"(","subject":"secret.y","type":"pub"}])",
              R"(432[{"error":"Error: permission denied publishing to 'secret.y' from )" + user +
                  R"(","code":403}])"});
  client->text(with_placeholder(R"(451-["publish",["secret.z","E9U4ubC5cE",0,1,0,)"));
  client->binary(as_bytes("\1"));
  CHECK(client->take_texts() ==
        Texts{R"(42["permission",{"message":"permission denied publishing to 'secret.z' from )" +
              user + R"(","subject":"secret.z","type":"pub"}])"});
  CHECK(say(*client, R"(423["wait-for-interest",{"subject":"secret.w","timeout":100}])") ==
        Texts{R"(433[{"error":"permission denied waiting for interest in 'secret.w' from )" + user +
              R"(","code":403}])"});
  CHECK(
      say(*client,
          R"(424["subscribe",[{"subject":"public.ok","queue":"0"},{"subject":"secret.q","queue":"0"}]])") ==
      Texts{
          R"(42["permission",{"message":"permission denied subscribing to 'secret.q' from )" +
              user + R"(","subject":"secret.q","type":"sub"}])",
          R"(434[[{"status":"added"},{"error":"Error: permission denied subscribing to 'secret.q' from )" +
              user + R"(","code":403}]])"});
}

TEST_CASE("trace: the limit of subscriptions", "[broker][trace]") {
  BrokerOptions options;
  options.max_subscriptions_per_client = 3;
  options.max_subscriptions_per_hub = 4;
  World world(options);
  const auto client = world.client();
  client->connect();
  for (const char* subject : {"_INBOX.Py1S1pCoHc.*", "a", "b"}) client->subscribe(subject, "q");
  client->take_texts();
  CHECK(
      say(*client, R"(423["subscribe",{"subject":"c","queue":"mTL9nTflyd"}])") ==
      Texts{
          R"(433[{"error":"Error: there is a limit of at most 3 subscriptions and you currently have 3 subscriptions -- subscription to 'c' denied","code":429}])"});
  CHECK(say(*client, R"(424["subscribe",{"subject":"a","queue":"mTL9nTflyd"}])") ==
        Texts{R"(434[{"status":"already-added"}])"});
  CHECK(say(*client, R"(42["unsubscribe",{"subject":"c"}])").empty());
  CHECK(say(*client, R"(42["unsubscribe",{"subject":"a"}])").empty());
  CHECK(say(*client, R"(425["subscribe",{"subject":"c","queue":"mTL9nTflyd"}])") ==
        Texts{R"(435[{"status":"added"}])"});
  const auto hub = world.user_client(kHub);
  hub->connect();
  for (const char* subject : {"1", "2", "3", "4"}) {
    CHECK(hub->subscribe(subject, "q") == json(R"({"status":"added"})"));
  }
  CHECK(hub->subscribe("5", "q").find("code")->integer_or(0) == 429);
}

TEST_CASE("trace: a user that could not be authenticated", "[broker][trace]") {
  World world;
  const auto client = world.user_client(R"({"error":"Error: bad password"})");
  client->take_texts();
  client->text("40");
  const Texts greeting = client->take_texts();
  REQUIRE(greeting.size() == 2);
  CHECK(greeting[0].substr(0, 10) == R"(40{"sid":")");
  CHECK(greeting[1] ==
        R"(42["info",{"max_payload":8000000,"id":"0","user":{"error":"Error: bad password"}}])");
  CHECK(client->publish("x").find("code")->integer_or(0) == 403);
  client->take_texts();
  world.advance(24);
  CHECK(client->open);
  world.advance(2);
  CHECK_FALSE(client->open);
  CHECK(client->take_texts() == Texts{"41"});
  CHECK(client->flushed);
  CHECK(client->close_code == WebSocketCloseCode::no_status);
}

TEST_CASE("trace: cluster, stats and events that nobody knows", "[broker][trace]") {
  BrokerOptions options;
  options.address = "http://localhost:37023";
  World world(options);
  const auto client = world.client();
  client->connect();
  CHECK(say(*client, R"(421["cluster"])") == Texts{R"(431[["http://localhost:37023"]])"});
  CHECK(say(*client, R"(42["stats",{"recv0":{"messages":3,"bytes":7}}])").empty());
  CHECK(world.broker().counters().malformed_events == 0);
  CHECK(say(*client, R"(4217["bogus",1])").empty());
  CHECK(client->open);
  client->text(with_placeholder(R"(451-0["publish",["x","id",0,1,0,)"));
  client->binary(as_bytes("\1"));
  CHECK(client->take_texts() == Texts{R"(430[{"count":0}])"});
}

TEST_CASE("trace: Socket.IO's disconnect keeps the transport", "[broker][trace]") {
  World world;
  const auto client = world.client();
  client->connect();
  client->subscribe("a", "q");
  client->take_texts();
  CHECK(say(*client, R"(420["wait-for-interest",{"subject":"b"}])").empty());
  CHECK(say(*client, "41").empty());
  CHECK(client->open);
  CHECK(world.broker().counters().subscriptions == 0);
  const auto other = world.client();
  other->connect();
  CHECK(other->publish("a") == json(R"({"count":0})"));
  other->subscribe("b", "q");
  CHECK(client->take_texts().empty());
  const Texts again = say(*client, "40");
  REQUIRE(again.size() == 2);
  CHECK(again[1] == R"(420["info",{"max_payload":8000000,"id":"0","user":null}])");
  CHECK(say(*client, R"(421["subscriptions",null])") == Texts{"431[[]]"});
}

TEST_CASE("trace: a frame beyond max_payload", "[broker][trace]") {
  BrokerOptions options;
  options.max_payload_bytes = 100'000;
  World world(options);
  const auto client = world.client();
  client->connect();
  client->text(with_placeholder(R"(451-4["publish",["x","id",0,1,0,)"));
  client->binary(Bytes(100'000));
  CHECK(client->take_texts() == Texts{R"(434[{"count":0}])"});
  client->text(with_placeholder(R"(451-["publish",["x","id",0,1,0,)"));
  client->binary(Bytes(100'001));
  CHECK_FALSE(client->open);
  CHECK(client->close_code == WebSocketCloseCode::message_too_big);
  CHECK(client->close_reason == "message-too-big");
}
