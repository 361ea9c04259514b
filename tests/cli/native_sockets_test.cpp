// The native client's sockets over the real conatd.
#include <csignal>
#include <memory>

#include "cli/coroutines.hpp"
#include "conatd/process.hpp"

using namespace conat::native;
using namespace conat::test;

namespace {

// One broker serves the tests that do not restart it; each uses subjects of its own.
std::uint16_t port() {
  static RunningBroker broker;
  return broker.port();
}

Value decoded(const MessageData& data) {
  const Result<Value> value = data.decode();
  REQUIRE(value.ok());
  return *value;
}

void spawn(Loop& loop, Awaitable<void> work) {
  asio::co_spawn(loop, std::move(work), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

// Writes everything back, with its headers, until the socket closes.
Awaitable<void> echo(Socket socket) {
  while (auto data = co_await socket.next()) {
    const Status written = socket.write(std::move(*data));
    REQUIRE(written.ok());
  }
}

// Answers every request with its number plus one.
Awaitable<void> count(Client client, Socket socket) {
  while (auto request = co_await socket.next_request()) {
    const Value next(decoded(request->data).integer_or(0) + 1);
    co_await client.respond(*request, next);
  }
}

// Answers every request with 0, 1, 2 and the mark of the end.
Awaitable<void> answer_thrice(Client client, Socket socket) {
  while (auto request = co_await socket.next_request()) {
    for (int i = 0; i < 3; ++i) REQUIRE(client.respond_now(*request, i).ok());
    REQUIRE(client.respond_now(*request, Value()).ok());
  }
}

// Takes connections until the server closes.
Awaitable<void> serve(Loop& loop, SocketServer server,
                      std::function<Awaitable<void>(Socket)> talk) {
  while (auto socket = co_await server.next()) spawn(loop, talk(*std::move(socket)));
}

template <class T>
T good(Result<T> result) {
  if (!result.ok()) FAIL(result.error().text);
  return std::move(*result);
}

}  // namespace

TEST_CASE("native sockets: data both ways, in order, with headers") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port());
    const Client two = connected(loop, port());
    const SocketServer server = good(one.socket().listen("sock.echo"));
    spawn(loop, serve(loop, server, echo));
    const Socket socket = good(two.socket().connect("sock.echo"));
    CHECK(socket.state() == SocketState::connecting);
    CHECK(socket.id().size() == 10);
    CHECK(socket.subject() == "sock.echo");
    SocketWriteSettings settings;
    settings.headers = object("n", 0);
    REQUIRE(socket.write("early", settings).ok());
    CHECK(socket.unsent() == 1);
    const Status ready = co_await socket.wait_until_ready();
    REQUIRE(ready.ok());
    CHECK(socket.state() == SocketState::ready);
    CHECK(socket.unsent() == 0);
    for (int i = 1; i < 500; ++i) {
      settings.headers = object("n", i);
      settings.encoding = i % 2 == 0 ? PayloadEncoding::msgpack : PayloadEncoding::json;
      REQUIRE(socket.write(i, settings).ok());
    }
    for (int i = 0; i < 500; ++i) {
      const auto data = co_await socket.next();
      REQUIRE(data.has_value());
      CHECK(decoded(*data) == (i == 0 ? Value("early") : Value(i)));
      CHECK(data->headers.value() == object("n", i));
    }
    const Status drained = co_await socket.wait_until_drained();
    CHECK(drained.ok());
    CHECK(socket.unacknowledged() == 0);
    CHECK(socket.last_alive() > 0);

    const auto others = server.sockets();
    REQUIRE(others.size() == 1);
    CHECK(others[0].id() == socket.id());
    CHECK(others[0].state() == SocketState::ready);
    CHECK(server.id() == one.id());
    CHECK(others[0].subject() == "sock.echo.server." + one.id() + "." + socket.id());
    socket.close();
    CHECK(socket.state() == SocketState::closed);
    co_await until(loop, [&] { return others[0].state() == SocketState::closed; });
    CHECK(server.sockets().empty());
    const Status late = socket.write(1);
    REQUIRE_FALSE(late.ok());
    CHECK(late.error().code.word == "EPIPE");
    CHECK(late.error().text == "closed");
    const auto nothing = co_await socket.next();
    CHECK_FALSE(nothing.has_value());
    server.close();
  });
}

TEST_CASE("native sockets: requests in both directions, to one and to all") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port());
    const Client two = connected(loop, port());
    const SocketServer server = good(one.socket().listen("sock.ask"));
    spawn(loop, serve(loop, server, [one](Socket socket) { return count(one, socket); }));
    const Socket first = good(two.socket().connect("sock.ask"));
    const Socket second = good(two.socket().connect("sock.ask"));
    spawn(loop, count(two, first));
    spawn(loop, count(two, second));
    // Before it is ready: it waits.
    const auto answer = co_await first.request(41);
    REQUIRE(answer.ok());
    CHECK(decoded(answer->data) == Value(42));
    const Status ready = co_await second.wait_until_ready();
    REQUIRE(ready.ok());
    co_await until(loop, [&] { return server.sockets().size() == 2; });
    const auto all = co_await server.request_all(7);
    REQUIRE(all.size() == 2);
    for (const auto& each : all) {
      REQUIRE(each.ok());
      CHECK(decoded(each->data) == Value(8));
    }
    const auto any = co_await server.request_any(8);
    REQUIRE(any.ok());
    CHECK(decoded(any->data) == Value(9));
    REQUIRE(server.write("to all").ok());
    for (const Socket& socket : {first, second}) {
      const auto data = co_await socket.next();
      REQUIRE(data.has_value());
      CHECK(decoded(*data) == Value("to all"));
    }
    const SocketServer silent = good(one.socket().listen("sock.silent"));
    const Socket unheard = good(two.socket().connect("sock.silent"));
    RequestSettings settings;
    settings.timeout = Milliseconds(80);
    const auto none = co_await unheard.request(1, settings);
    REQUIRE_FALSE(none.ok());
    CHECK(none.error().code.number == 408);
    const SocketServer empty = good(one.socket().listen("sock.empty"));
    const auto nobody = co_await empty.request_any(1);
    REQUIRE_FALSE(nobody.ok());
    CHECK(nobody.error().code.number == 503);
    // What is under way ends with the socket.
    std::optional<Result<Message>> broken;
    unheard.request(2, {}, [&broken](Result<Message> reply) { broken = std::move(reply); });
    unheard.close();
    co_await until(loop, [&] { return broken.has_value(); });
    REQUIRE_FALSE(broken->ok());
    CHECK(broken->error().code.word == "EPIPE");
    for (const SocketServer& each : {server, silent}) each.close();
  });
}

TEST_CASE("native sockets: many answers to one request") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port());
    const Client two = connected(loop, port());
    const SocketServer server = good(one.socket().listen("sock.many"));
    spawn(loop, serve(loop, server, [one](Socket socket) { return answer_thrice(one, socket); }));
    const Socket socket = good(two.socket().connect("sock.many"));
    Subscription answers = good(socket.request_many("go"));
    for (int i = 0; i < 3; ++i) {
      const auto answer = co_await answers.next();
      REQUIRE(answer.has_value());
      CHECK(decoded(answer->data) == Value(i));
    }
    const auto end = co_await answers.next();
    CHECK_FALSE(end.has_value());
    CHECK_FALSE(answers.error().has_value());
    const auto others = server.sockets();
    REQUIRE(others.size() == 1);
    CHECK_FALSE(others[0].request_many("go").ok());  // not on this side
    CHECK_FALSE(others[0].channel("x").ok());
    server.close();
  });
}

TEST_CASE("native sockets: nothing is lost or doubled when connections break") {
  RunningBroker broker;
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, broker.port());
    const Client two = connected(loop, broker.port());
    const SocketServer server = good(one.socket().listen("sock.break"));
    spawn(loop, serve(loop, server, echo));
    const Socket socket = good(two.socket().connect("sock.break"));
    std::vector<SocketState> states;
    socket.on_state([&states](SocketState state) { states.push_back(state); });
    const Status ready = co_await socket.wait_until_ready();
    REQUIRE(ready.ok());
    constexpr int kCount = 300;
    const auto break_something = [&](int i) {
      if (i == 50) socket.disconnect();
      if (i == 100) two.disconnect();  // the client of this side
      if (i == 150) two.connect();
      if (i == 200) one.disconnect();  // that of the other
      if (i == 250) one.connect();
    };
    asio::steady_timer pause(loop);
    for (int i = 0; i < kCount; ++i) {
      REQUIRE(socket.write(i).ok());
      // The first loss is over before the second one.
      if (i == 99) co_await until(loop, [&] { return socket.state() == SocketState::ready; });
      break_something(i);
      if (i % 25 != 0) continue;
      pause.expires_after(Milliseconds(10));
      co_await pause.async_wait(asio::use_awaitable);
    }
    for (int i = 0; i < kCount; ++i) {
      const auto data = co_await socket.next();
      REQUIRE(data.has_value());
      REQUIRE(decoded(*data) == Value(i));
    }
    const Status drained = co_await socket.wait_until_drained();
    CHECK(drained.ok());
    CHECK(std::count(states.begin(), states.end(), SocketState::disconnected) >= 2);
    CHECK(states.back() == SocketState::ready);
    CHECK(server.sockets().size() == 1);  // the same one all the time
    const auto nothing_more = co_await socket.next_within(Milliseconds(100));
    CHECK_FALSE(nothing_more.has_value());
    server.close();
    co_await until(loop, [&] { return socket.state() == SocketState::closed; });
    CHECK(states.back() == SocketState::closed);
  });
}

TEST_CASE("native sockets: they live through a restart of the broker, and begin before it") {
  auto broker = std::make_unique<RunningBroker>();
  const std::uint16_t port = broker->port();
  const auto stop = [](Process& process) {
    process.signal(SIGTERM);
    REQUIRE(process.wait().has_value());
  };
  stop(broker->process());
  std::optional<Process> again;
  const auto start = [&] {
    again.emplace(Arguments{"--port", std::to_string(port), "--data", broker->data().string()});
    REQUIRE(again->read_line().has_value());
  };
  run_coroutine([&](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port);
    const Client two = connected(loop, port);
    const SocketServer server = good(one.socket().listen("sock.early"));
    spawn(loop, serve(loop, server, echo));
    const Socket socket = good(two.socket().connect("sock.early"));
    const Status late = co_await socket.wait_until_ready(Milliseconds(20));
    REQUIRE_FALSE(late.ok());
    CHECK(late.error().code.number == 408);
    REQUIRE(socket.write("before there is a broker").ok());
    start();
    const auto first = co_await socket.next();
    REQUIRE(first.has_value());
    CHECK(decoded(*first) == Value("before there is a broker"));
    stop(*again);
    co_await until(loop, [&] { return socket.state() == SocketState::disconnected; });
    REQUIRE(socket.write("while there is none").ok());
    start();
    const auto second = co_await socket.next();
    REQUIRE(second.has_value());
    CHECK(decoded(*second) == Value("while there is none"));
    server.close();
  });
}

TEST_CASE("native sockets: the end, of either side") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port());
    const Client two = connected(loop, port());
    const SocketServer server = good(one.socket().listen("sock.end"));
    const auto second = one.socket().listen("sock.end");
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().text ==
          "there can be at most one socket server per client listening on a subject "
          "(subject='sock.end')");

    // The server's side ends it: what was written before arrives.
    Socket socket = good(two.socket().connect("sock.end"));
    auto accepted = co_await server.next();
    REQUIRE(accepted.has_value());
    for (int i = 0; i < 3; ++i) REQUIRE(accepted->write(i).ok());
    const Status drained = co_await accepted->wait_until_drained();
    REQUIRE(drained.ok());
    const Status ended = co_await accepted->end();
    CHECK(ended.ok());
    CHECK(accepted->state() == SocketState::closed);
    for (int i = 0; i < 3; ++i) {
      const auto data = co_await socket.next();
      REQUIRE(data.has_value());
      CHECK(decoded(*data) == Value(i));
    }
    const auto nothing = co_await socket.next();
    CHECK_FALSE(nothing.has_value());
    CHECK(socket.state() == SocketState::closed);
    CHECK_FALSE(socket.error().has_value());
    const Status gone = co_await socket.wait_until_ready();
    CHECK(gone.error().code.word == "EPIPE");

    // The last handle of a side goes: that closes it.
    socket = good(two.socket().connect("sock.end"));
    {
      const auto other = co_await server.next();
      REQUIRE(other.has_value());
      const Socket copy = *other;
      CHECK(copy.id() == socket.id());
    }
    const auto after = co_await socket.next();
    CHECK_FALSE(after.has_value());

    // The server ends with all its sockets, those that nobody has taken included.
    socket = good(two.socket().connect("sock.end"));
    co_await until(loop, [&] { return server.sockets().size() == 1; });
    const Status over = co_await server.end();
    CHECK(over.ok());
    CHECK(server.state() == SocketState::closed);
    const auto last = co_await socket.next();
    CHECK_FALSE(last.has_value());
    const auto connection = co_await server.next();
    CHECK_FALSE(connection.has_value());
    CHECK_FALSE(server.write(1).ok());
    CHECK(one.socket().listen("sock.end").ok());  // again

    // The client closes: everything with it.
    const SocketServer open = good(one.socket().listen("sock.open"));
    const Socket waiting = good(two.socket().connect("sock.open"));
    const Status ready = co_await waiting.wait_until_ready();
    REQUIRE(ready.ok());
    two.close();
    const auto closed = co_await waiting.next();
    CHECK_FALSE(closed.has_value());
    CHECK(waiting.state() == SocketState::closed);
    CHECK_FALSE(two.socket().connect("sock.open").ok());
    co_await until(loop, [&] { return open.sockets().empty(); });
    one.close();
    co_await until(loop, [&] { return open.state() == SocketState::closed; });
  });
}

TEST_CASE("native sockets: channels, and servers that are chosen") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client one = connected(loop, port());
    const Client other = connected(loop, port());
    const Client two = connected(loop, port());
    ListenSettings named;
    named.id = "first";
    const SocketServer first = good(one.socket().listen("sock.chosen", named));
    named.id = "second";
    const SocketServer second = good(other.socket().listen("sock.chosen", named));
    CHECK(first.id() == "first");
    const Status listening = co_await first.wait_until_ready();
    REQUIRE(listening.ok());
    CHECK(first.state() == SocketState::ready);
    std::vector<std::string> asked;
    ConnectSettings settings;
    settings.load_balancer = [&](std::string subject) -> Awaitable<Result<std::string>> {
      asked.push_back(subject);
      co_await asio::post(loop, asio::use_awaitable);
      if (asked.size() == 1) throw std::runtime_error("not yet");
      co_return std::string(asked.size() == 2 ? "first" : "second");
    };
    const Socket to_first = good(two.socket().connect("sock.chosen", settings));
    const auto at_first = co_await first.next();
    REQUIRE(at_first.has_value());
    CHECK(at_first->id() == to_first.id());
    CHECK(asked == std::vector<std::string>{"sock.chosen", "sock.chosen"});
    const Socket to_second = good(two.socket().connect("sock.chosen", settings));
    const auto at_second = co_await second.next();
    REQUIRE(at_second.has_value());
    CHECK(at_second->id() == to_second.id());

    settings.load_balancer = {};
    const SocketServer side = good(first.channel("side"));
    CHECK(side.subject() == "sock.chosen.side");
    const Socket plain = good(two.socket().connect("sock.chosen", settings));
    const Socket to_side = good(plain.channel("side"));
    REQUIRE(to_side.write("over here").ok());
    const auto at_side = co_await side.next();
    REQUIRE(at_side.has_value());
    const auto heard = co_await at_side->next();
    REQUIRE(heard.has_value());
    CHECK(decoded(*heard) == Value("over here"));
  });
}

TEST_CASE("native sockets: bounds, and what is refused") {
  run_coroutine([](Loop& loop) -> Awaitable<void> {
    const Client client = connected(loop, port());
    ConnectSettings small;
    small.max_queue = 3;
    const Socket unread = good(client.socket().connect("sock.nobody", small));
    for (int i = 0; i < 3; ++i) REQUIRE(unread.write(i).ok());
    const Status full = unread.write(3);
    REQUIRE_FALSE(full.ok());
    CHECK(full.error().code.word == "ENOBUFS");
    CHECK(full.error().text == "WRITE FAILED: socket buffer size 3 exceeded");
    unread.close();

    // Who does not read loses the socket, not a message in between.
    const SocketServer server = good(client.socket().listen("sock.slow"));
    ConnectSettings impatient;
    impatient.max_buffered = 5;
    const Socket slow = good(client.socket().connect("sock.slow", impatient));
    const auto fast = co_await server.next();
    REQUIRE(fast.has_value());
    for (int i = 0; i < 6; ++i) REQUIRE(fast->write(i).ok());
    co_await until(loop, [&] { return slow.state() == SocketState::closed; });
    REQUIRE(slow.error().has_value());
    CHECK(slow.error()->code.word == "ENOBUFS");
    for (int i = 0; i < 5; ++i) {
      const auto data = co_await slow.next();
      REQUIRE(data.has_value());
      CHECK(decoded(*data) == Value(i));
    }
    const auto nothing = co_await slow.next();
    CHECK_FALSE(nothing.has_value());
    co_await until(loop, [&] { return fast->state() == SocketState::closed; });

    CHECK_FALSE(client.socket().connect("sock.*").ok());
    CHECK_FALSE(client.socket().listen("a..b").ok());
    impatient.keep_alive = Milliseconds(0);
    const auto wrong = client.socket().connect("sock.slow", impatient);
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().text == "keep_alive must be positive");
  });
}

TEST_CASE("native sockets: a server that the broker refuses") {
  RunningBroker broker(
      {"--system-password", "secret", "--anonymous-user", R"({"account_id":"guest"})"});
  run_coroutine([&broker](Loop& loop) -> Awaitable<void> {
    ClientSettings settings;
    settings.inbox_prefix = "_INBOX.account-guest";
    const Client client = connected(loop, broker.port(), settings);
    const SocketServer server = good(client.socket().listen("account.other.chat"));
    const auto none = co_await server.next();
    CHECK_FALSE(none.has_value());
    CHECK(server.state() == SocketState::closed);
    REQUIRE(server.error().has_value());
    CHECK(server.error()->code.number == 403);
    const Status refused = co_await server.wait_until_ready();
    CHECK(refused.error().code.number == 403);
    // Where it may, it works.
    const SocketServer own = good(client.socket().listen("account.guest.chat"));
    const Socket socket = good(client.socket().connect("account.guest.chat"));
    const auto accepted = co_await own.next();
    REQUIRE(accepted.has_value());
    REQUIRE(accepted->write(1).ok());
    const auto data = co_await socket.next();
    CHECK(data.has_value());
  });
}
