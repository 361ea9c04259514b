// The native client's connections: losses, restarts of the real conatd, authentication, the end.
#include <csignal>
#include <memory>

#include "cli/coroutines.hpp"
#include "conatd/process.hpp"

using namespace conat::native;
using namespace conat::test;

namespace {

// A conatd that can be stopped and started again on the same port, with the same data, but without
// the arguments of the first start.
class RestartableBroker {
 public:
  explicit RestartableBroker(const Arguments& first_arguments = {})
      : broker_(std::make_unique<RunningBroker>(first_arguments)), port_(broker_->port()) {}
  std::uint16_t port() const { return port_; }
  void stop() {
    Process& process = again_ ? *again_ : broker_->process();
    process.signal(SIGTERM);
    REQUIRE(process.wait().has_value());
  }
  void start() {
    again_ = std::make_unique<Process>(
        Arguments{"--port", std::to_string(port_), "--data", broker_->data().string()});
    REQUIRE(again_->read_line().has_value());
  }

 private:
  std::unique_ptr<RunningBroker> broker_;
  std::uint16_t port_;
  std::unique_ptr<Process> again_;
};

}  // namespace

TEST_CASE("native client: subscriptions, calls and stores live through restarts of the broker") {
  RestartableBroker broker;
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, broker.port());
    std::vector<ClientState> states;
    client.on_state([&states](ClientState state) { states.push_back(state); });
    std::vector<std::string> reasons;
    client.on_connection_error([&reasons](const std::string& why) { reasons.push_back(why); });
    auto subscription = co_await client.subscribe("life.*");
    auto board = co_await client.dkv({"life"});
    REQUIRE(subscription.ok());
    REQUIRE(board.ok());
    auto log = client.stream({"life-log"});
    REQUIRE(log.ok());
    auto updates = log->follow(1);
    REQUIRE(updates.ok());
    const auto answer_1 = co_await log->publish("before");
    REQUIRE(answer_1.ok());
    for (int round = 1; round <= 2; ++round) {
      broker.stop();
      co_await until(loop, [&] { return client.state() == ClientState::disconnected; });
      // Written while there is no broker: a publish waits for it, publish_now does not.
      REQUIRE(board->set("round", round).ok());
      CHECK(client.publish_now("life.lost", round).ok());
      std::optional<bool> published;
      client.publish("life.kept", round, {}, [&published](const Result<PublishResult>& result) {
        published = result.ok() && result->count == 1;
      });
      broker.start();
      const auto message = co_await subscription->next();
      REQUIRE(message.has_value());
      CHECK(message->subject == "life.kept");
      CHECK(*message->data.decode() == Value(round));
      co_await until(loop, [&] { return published.has_value(); });
      CHECK(*published);
      const auto answer_2 = co_await board->save();
      REQUIRE(answer_2.ok());
      const auto answer_3 = co_await log->publish(round);
      REQUIRE(answer_3.ok());
    }
    // Each message of the stream exactly once.
    const Value::Array published = array("before", 1, 2);
    for (const Value& expected : published) {
      const auto update = co_await updates->next();
      REQUIRE(update.has_value());
      CHECK(*decode_payload(update->message.encoding, update->message.raw) == expected);
    }
    CHECK(subscription->buffered() == 0);
    auto fresh = co_await connected(loop, broker.port()).dkv({"life"});
    REQUIRE(fresh.ok());
    CHECK(fresh->get("round") == Value(2));
    CHECK(std::count(states.begin(), states.end(), ClientState::disconnected) == 2);
    CHECK(reasons.size() >= 2);
    client.on_state({});
    client.on_connection_error({});
  });
}

TEST_CASE("native client: before there is a server, it waits for one") {
  RestartableBroker broker;
  broker.stop();
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, broker.port());
    const Status early = co_await client.wait_until_signed_in(Milliseconds(20));
    REQUIRE_FALSE(early.ok());
    CHECK(early.error().code.number == 408);
    auto subscription = client.subscribe_now("life.early");
    REQUIRE(subscription.ok());
    broker.start();
    const auto answer_4 = co_await client.wait_until_signed_in();
    REQUIRE(answer_4.ok());
    const auto answer_5 = co_await client.publish("life.early", 1);
    REQUIRE(answer_5->count == 1);
    const auto answer_6 = co_await subscription->next();
    CHECK(answer_6.has_value());
  });
}

TEST_CASE("native client: a server that refuses the inbox says so at once") {
  RestartableBroker broker(
      {"--system-password", "secret", "--anonymous-user", R"({"account_id":"guest"})"});
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, broker.port());
    const std::string refusal = "Error: permission denied subscribing to '" + client.inbox() +
                                R"(.*' from {"account_id":"guest"})";
    for (int round = 0; round < 2; ++round) {  // before there is a connection, and when it is known
      const Status ready = co_await client.wait_until_ready();
      REQUIRE_FALSE(ready.ok());
      CHECK(ready.error().code.number == 403);
      CHECK(ready.error().text == refusal);
      const auto answer = co_await client.request("account.guest.service", 1);
      REQUIRE_FALSE(answer.ok());
      CHECK(answer.error().code.number == 403);
      CHECK(answer.error().text == refusal);
    }
    CHECK(client.signed_in());
    const auto published = co_await client.publish("account.guest.x", 1);
    CHECK(published.ok());

    // A server that does not refuse it: what was asked meanwhile is answered.
    broker.stop();
    co_await until(loop, [&] { return client.state() == ClientState::disconnected; });
    std::optional<Status> ready;
    client.wait_until_ready(Milliseconds(0), [&](const Status& status) { ready = status; });
    const Status late = co_await client.wait_until_ready(Milliseconds(20));
    REQUIRE_FALSE(late.ok());
    CHECK(late.error().code.number == 408);
    broker.start();
    co_await until(loop, [&] { return ready.has_value(); });
    CHECK(ready->ok());
    const Client other = connected(loop, broker.port());
    ServiceMethods methods;
    methods["double"] = [](Message, Value::Array arguments) -> Awaitable<Result<Value>> {
      co_return Value(arguments.at(0).integer_or(0) * 2);
    };
    const auto service = co_await other.service("account.guest.service", methods);
    REQUIRE(service.ok());
    const auto answer = co_await client.call("account.guest.service", "double", array(21));
    REQUIRE(answer.ok());
    CHECK(*answer == Value(42));
    client.close();
    const Status closed = co_await client.wait_until_ready();
    CHECK(closed.error().text == "closed");
    other.close();
  });
}

TEST_CASE("native client: the authentication function is asked at each connect") {
  RunningBroker broker;
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    int asked = 0;
    ClientSettings settings;
    settings.auth_function = [&asked, &loop]() -> Awaitable<Result<Value>> {
      ++asked;
      co_await asio::post(loop, asio::use_awaitable);
      if (asked == 1) co_return Error(ErrorCode{}, "no token yet");
      if (asked == 2) throw std::runtime_error("the token's server is away");
      co_return object("token", asked);
    };
    const Client client = connected(loop, broker.port(), settings);
    std::vector<std::string> reasons;
    client.on_connection_error([&reasons](const std::string& why) { reasons.push_back(why); });
    const auto answer_7 = co_await client.wait_until_signed_in();
    REQUIRE(answer_7.ok());
    CHECK(asked == 3);
    REQUIRE(reasons.size() == 2);
    CHECK(reasons[0] == "cannot authenticate: no token yet");
    CHECK(reasons[1] == "cannot authenticate: the token's server is away");
    client.disconnect();
    co_await until(loop, [&] { return client.state() == ClientState::disconnected; });
    client.connect();
    const auto answer_8 = co_await client.wait_until_signed_in();
    REQUIRE(answer_8.ok());
    CHECK(asked == 4);
    client.close();
  });
}

TEST_CASE("native client: closing ends everything that waits, with `closed`") {
  RunningBroker broker;
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, broker.port());
    auto subscription = co_await client.subscribe("life.end");
    auto board = co_await client.dkv({"end"});
    auto log = client.stream({"end-log"});
    REQUIRE(board.ok());
    REQUIRE(log.ok());
    auto updates = log->follow();
    auto changes = board->changes();
    int ended = 0;
    const auto closed = [&ended](const Error& error) { ended += error.text == "closed" ? 1 : 100; };
    client.request("life.end", 1, {}, [&](const Result<Message>& reply) {
      closed(reply.ok() ? Error() : reply.error());
    });
    client.wait_for_interest("life.nobody", Milliseconds(60'000),
                             [&](const Result<bool>& r) { closed(r.ok() ? Error() : r.error()); });
    subscription->drain();
    auto open = co_await client.subscribe("life.open");
    open->next([&](const std::optional<Message>& message) { ended += message ? 100 : 1; });
    updates->next([&](const std::optional<StreamUpdate>& update) { ended += update ? 100 : 1; });
    changes.next([&](const std::optional<DkvChange>& change) { ended += change ? 100 : 1; });
    client.close();
    log->inventory([&](const Result<Value>& r) { closed(r.ok() ? Error() : r.error()); });
    client.publish("life.end", 1, {},
                   [&](const Result<PublishResult>& r) { closed(r.ok() ? Error() : r.error()); });
    co_await until(loop, [&] { return ended >= 7; });
    CHECK(ended == 7);
    CHECK(client.state() == ClientState::closed);
    CHECK(open->ended());
    const auto answer_9 = co_await client.subscribe("life.more");
    CHECK_FALSE(answer_9.ok());
    const auto answer_10 = co_await client.dkv({"end"});
    CHECK_FALSE(answer_10.ok());
    CHECK_FALSE(client.stream({"end-log"}).ok());
    CHECK_FALSE(board->set("a", 1).ok());
    const auto answer_11 = co_await client.wait_until_signed_in();
    CHECK(answer_11.error().text == "closed");
    client.close();  // again: nothing
  });
}

TEST_CASE("native client: the last handle closes the connection, and the loop ends") {
  RunningBroker broker;
  Loop loop{1};
  {
    Client client = connected(loop, broker.port());
    const Client copy = client;
    bool published = false;
    client.publish("a", 1, {},
                   [&published](const Result<PublishResult>& result) { published = result.ok(); });
    bool told = false;
    copy.wait_until_signed_in(Milliseconds(0),
                              [&told](const Status& status) { told = status.ok(); });
    while (!told) loop.run_one();
    while (!published) loop.run_one();
  }
  loop.run();  // returns
  SUCCEED();
}

TEST_CASE("native client: a loop that is destroyed takes waiting coroutines along") {
  RunningBroker broker;
  struct Witness {
    explicit Witness(bool& flag) : gone(flag) {}
    ~Witness() { gone = true; }
    bool& gone;
  };
  bool gone = false;
  bool waiting = false;
  {
    Loop loop{1};
    const auto body = [&](Client client) -> Awaitable<void> {
      const Witness witness(gone);
      auto subscription = co_await client.subscribe("life.never");
      waiting = true;
      co_await subscription->next();
    };
    asio::co_spawn(loop, body(connected(loop, broker.port())), [](std::exception_ptr) {});
    while (!waiting) loop.run_one();
    CHECK_FALSE(gone);
  }
  CHECK(gone);
}
