// A service inside a broker, as its clients see it.
#include "conat/fabric/service_host.hpp"

#include <string>

#include "unit/socket/socket_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

class ServiceNode {
 public:
  explicit ServiceNode(SocketWorld& world, std::vector<ServiceSubject> subjects)
      : world_(world), host_(std::move(subjects), options(), Random(7)) {
    world.world.add_client(host_.client(), [this](ClientEffect& effect) { return next(effect); });
    world.more_timers.push_back(
        {[this] { return host_.deadline(); }, [this](TimeMs now) { host_.on_time(now); }});
    host_.start(world.world.now());
    REQUIRE(world.until([this] { return host_.ready(); }));
  }

  ServiceHost& host() { return host_; }
  std::vector<ServiceCall> calls;
  bool answers = true;  // with name, arguments and subject

 private:
  static ClientOptions options() {
    ClientOptions options;
    options.reconnection_delay_ms = 10;
    options.reconnection_delay_max_ms = 100;
    return options;
  }

  bool next(ClientEffect& effect) {
    ServiceHostEffect from_host;
    while (host_.next(world_.world.now(), from_host)) {
      if (auto* transport = std::get_if<ClientEffect>(&from_host)) {
        effect = std::move(*transport);
        return true;
      }
      calls.push_back(std::move(*std::get_if<ServiceCall>(&from_host)));
      if (answers) answer(calls.back());
    }
    return false;
  }

  void answer(const ServiceCall& call) {
    const TimeMs now = world_.world.now();
    if (call.name == "fail") {
      host_.answer(now, call.id, Error(ErrorCode{}, "it failed"));
    } else if (call.name == "refuse") {
      host_.answer(now, call.id, Error(ErrorCode{429, ""}, "Error: too much"));
    } else {
      host_.answer(now, call.id,
                   Value(Value::Array{Value(call.name), Value(call.arguments),
                                      Value(static_cast<std::int64_t>(call.subject))}));
    }
  }

  SocketWorld& world_;
  ServiceHost host_;
};

struct ServiceWorld {
  void ask(std::string_view subject, Value request) {
    world.publish_raw(0, subject, std::move(request),
                      Value(Value::Map{{"CN-Reply", Value("answers")}}));
    world.run(20);
  }
  // What came last: the value, or "error: …".
  std::string answer() {
    REQUIRE_FALSE(world.logs[0].raw.empty());
    const MessageData data = world.logs[0].raw.back().data;
    const auto error = data.headers.text("error");
    if (!error) return encode_json(*data.decode());
    CHECK(data.decode()->is_null());
    const auto code = data.headers.number("code");
    return "error: " + std::string(*error) + (code ? " " + std::to_string(*code) : "");
  }
  std::size_t answered() { return world.logs[0].raw.size(); }

  SocketWorld world{1};
  ServiceNode node{world, {{"sys.all", "7"}, {"sys.all.7", "7"}}};
};

Value call(std::string_view name, Value::Array arguments = {}) {
  return Value(Value::Array{Value(name), Value(std::move(arguments))});
}

}  // namespace

TEST_CASE("requests come out as calls, and answers go back") {
  ServiceWorld fixture;
  fixture.world.subscribe_raw(0, "answers");
  fixture.ask("sys.all", call("stats"));
  CHECK(fixture.answer() == R"(["stats",[],0])");
  fixture.ask("sys.all.7", call("close", {Value("x"), Value(5)}));
  CHECK(fixture.answer() == R"(["close",["x",5],1])");
  fixture.ask("sys.all.7", Value(Value::Array{Value("bare")}));  // without arguments
  CHECK(fixture.answer() == R"(["bare",[],1])");
  fixture.ask("sys.all", call("fail"));
  CHECK(fixture.answer() == "error: Error: it failed");
  fixture.ask("sys.all", call("refuse"));
  CHECK(fixture.answer() == "error: Error: too much 429");
}

TEST_CASE("what is no call is answered with an error, and no request not at all") {
  ServiceWorld fixture;
  fixture.world.subscribe_raw(0, "answers");
  const std::vector<Value> malformed = {Value(),
                                        Value(5),
                                        Value("stats"),
                                        Value(Value::Array{}),
                                        Value(Value::Array{Value(1)}),
                                        Value(Value::Map{})};
  std::size_t count = 0;
  for (const Value& request : malformed) {
    fixture.ask("sys.all", request);
    CHECK(fixture.answered() == ++count);
    CHECK(fixture.answer() == "error: Error: malformed request 400");
  }
  CHECK(fixture.node.calls.empty());
  fixture.world.publish_raw(0, "sys.all", call("stats"), Value());
  fixture.world.run(20);
  CHECK(fixture.answered() == count);
  CHECK(fixture.node.calls.empty());
}

TEST_CASE("calls that are not answered are bounded, answers may come in any order") {
  ServiceWorld fixture;
  fixture.world.subscribe_raw(0, "answers");
  fixture.node.answers = false;
  for (std::size_t i = 0; i < ServiceHost::max_open_calls; ++i) {
    fixture.world.publish_raw(0, "sys.all", call("wait"),
                              Value(Value::Map{{"CN-Reply", Value("answers")}}));
  }
  fixture.world.run(100);
  REQUIRE(fixture.node.calls.size() == ServiceHost::max_open_calls);
  CHECK(fixture.answered() == 0);
  fixture.ask("sys.all", call("wait"));
  CHECK(fixture.answer() == "error: Error: too many requests 429");
  const TimeMs now = fixture.world.world.now();
  fixture.node.host().answer(now, fixture.node.calls.back().id, Value("last"));
  fixture.node.host().answer(now, fixture.node.calls.back().id, Value("twice"));
  fixture.node.host().answer(now, fixture.node.calls.front().id, Value("first"));
  fixture.world.run(20);
  CHECK(fixture.answered() == 3);
  CHECK(fixture.answer() == R"("first")");
}

TEST_CASE("the service is back after the broker was replaced") {
  ServiceWorld fixture;
  fixture.world.world.restart_broker();
  REQUIRE(fixture.world.until([&] { return fixture.node.host().ready(); }));
  fixture.world.subscribe_raw(0, "answers");
  REQUIRE(fixture.world.until([&] { return fixture.world.world.client(0).signed_in(); }));
  fixture.ask("sys.all.7", call("again"));
  CHECK(fixture.answer() == R"(["again",[],1])");
}
