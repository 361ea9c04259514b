// The authentication service: asked over real sockets, answering well, slowly, wrongly, and not at
// all.

// clang-format off
#include <utility>
// clang-format on

#include "auth/http_callback.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <future>

#include "conat/wire/codec.hpp"
#include "native/auth/signer.hpp"
#include "native/auth/temporary_directory.hpp"
#include "native/auth/test_service.hpp"

namespace conat::auth {
namespace {

const std::string ada = R"({"user":{"account_id":"ada"}})";

// A context with its thread, and the callback on it.
class Asker {
 public:
  explicit Asker(HttpCallbackOptions options)
      : work_(boost::asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {
    auto opened = HttpCallback::open(context_, std::move(options));
    if (!opened) {
      stop();
      FAIL(opened.error().text);
    }
    callback_ = *opened;
  }
  ~Asker() {
    boost::asio::post(context_, [callback = callback_] { callback->close(); });
    stop();
  }

  std::future<Outcome> start(const Request& request) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    callback_->ask(request, [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future();
  }
  Outcome ask(const Request& request) { return wait(start(request)); }
  Outcome ask(const std::string& token) {
    Request request;
    request.auth.set("token", token);
    return ask(request);
  }
  static Outcome wait(std::future<Outcome> future) {
    REQUIRE(future.wait_for(std::chrono::seconds(240)) == std::future_status::ready);
    return future.get();
  }
  HttpCallback& callback() { return *callback_; }

 private:
  void stop() {
    work_.reset();
    thread_.join();
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::shared_ptr<HttpCallback> callback_;
};

HttpCallbackOptions options_for(const std::string& url) {
  HttpCallbackOptions options;
  options.url = url;
  options.timeout_ms = 200'000;  // the machine may be busy
  return options;
}

std::string text_of(const Outcome& outcome) {
  if (outcome.ok()) return encode_json(outcome->user);
  const ErrorCode& code = outcome.error().code;
  return (code.word.empty() ? std::to_string(code.number) : code.word) + " " + outcome.error().text;
}

// What one answer with these bytes leads to.
std::string after(std::string bytes, bool close = true) {
  TestService service([&](const ServiceRequest&) { return ServiceAnswer{bytes, close}; });
  Asker asker(options_for(service.url()));
  return text_of(asker.ask("t"));
}

std::string after_json(std::string body, unsigned status = 200) {
  return after(json_answer(std::move(body), status).bytes, false);
}

}  // namespace

TEST_CASE("The service is given the handshake and answers the user") {
  TestService service([](const ServiceRequest&) {
    return json_answer(
        R"({"user":{"account_id":"ada"},"admin":true,"projects":["p"],"expires":4000000000000})");
  });
  HttpCallbackOptions options = options_for(service.url("/who?x=1"));
  options.headers = {{"Authorization", "Bearer ours"}};
  Asker asker(options);
  Request request;
  request.address = "192.0.2.7";
  request.headers = {{"Host", "h"},
                     {"Cookie", "a=1; b=\"2\"; a=3"},
                     {"X-Two", "one"},
                     {"x-two", "two"},
                     {"Connection", "Upgrade"},
                     {"Upgrade", "websocket"},
                     {"Sec-WebSocket-Key", "random"}};
  request.auth.set("token", "t\"1");
  const Outcome outcome = asker.ask(request);
  REQUIRE(text_of(outcome) == R"({"account_id":"ada"})");
  CHECK(outcome->rights.is_admin);
  CHECK(outcome->rights.projects == std::vector<std::string>{"p"});
  CHECK(outcome->expires_at == 4'000'000'000'000);
  const auto requests = service.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].head.substr(0, 25) == "POST /who?x=1 HTTP/1.1\r\nH");
  CHECK(requests[0].head.find("Authorization: Bearer ours\r\n") != std::string::npos);
  CHECK(requests[0].head.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(requests[0].body ==
        R"({"address":"192.0.2.7","headers":{"host":"h","cookie":"a=1; b=\"2\"; a=3",)"
        R"("x-two":"one, two"},"cookies":{"a":"1","b":"2"},"auth":{"token":"t\"1"}})");
}

TEST_CASE("Answers that are remembered, for as long as they hold") {
  std::atomic<int> number{0};
  TestService service([&](const ServiceRequest& request) {
    if (request.body.find("refuse") != std::string::npos) return json_answer(R"({"error":"no"})");
    if (request.body.find("soon") != std::string::npos) {
      const auto unix_now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
      return json_answer(R"({"user":{"account_id":"a"},"expires":)" +
                         std::to_string(unix_now + 300) + "}");
    }
    if (request.body.find("fail") != std::string::npos) return json_answer("", 500);
    return json_answer(R"({"user":{"account_id":"n)" + std::to_string(++number) + R"("}})");
  });
  Asker asker(options_for(service.url()));
  CHECK(text_of(asker.ask("one")) == R"({"account_id":"n1"})");
  CHECK(text_of(asker.ask("one")) == R"({"account_id":"n1"})");
  CHECK(text_of(asker.ask("two")) == R"({"account_id":"n2"})");
  CHECK(text_of(asker.ask("refuse")) == "401 no");
  CHECK(text_of(asker.ask("refuse")) == "401 no");
  CHECK(service.requests().size() == 3);
  // Failures are not.
  CHECK(!asker.ask("fail").ok());
  CHECK(!asker.ask("fail").ok());
  CHECK(service.requests().size() == 5);
  // What has expired is asked for again.
  const Outcome soon = asker.ask("soon");
  REQUIRE(soon.ok());
  std::this_thread::sleep_until(
      std::chrono::system_clock::time_point(std::chrono::milliseconds(*soon->expires_at + 1)));
  CHECK(asker.ask("soon").ok());
  CHECK(service.requests().size() == 7);
  CHECK(service.connections() == 1);  // all over one connection
  const HttpCallbackCounters counters = asker.callback().counters();
  CHECK(counters.asked == 9);
  CHECK(counters.sent == 7);
  CHECK(counters.cached == 2);
  CHECK(counters.failed_for(HttpCallbackFailure::answer) == 2);
  // Without a time to live nothing is.
  HttpCallbackOptions forgetful = options_for(service.url());
  forgetful.cache_ttl_ms = 0;
  Asker other(forgetful);
  CHECK(other.ask("one").ok());
  CHECK(other.ask("one").ok());
  CHECK(service.requests().size() == 9);
}

TEST_CASE("The same question is on its way only once; connections and the queue are bounded") {
  std::mutex gate;
  std::unique_lock closed(gate);
  TestService service([&](const ServiceRequest&) {
    const std::lock_guard wait(gate);
    return json_answer(ada);
  });
  HttpCallbackOptions options = options_for(service.url());
  options.max_connections = 3;
  options.max_waiting = 30;
  Asker asker(options);
  std::vector<std::future<Outcome>> same, different;
  for (int i = 0; i < 10; ++i) {
    Request request;
    request.address = "same";
    same.push_back(asker.start(request));
    request.address = std::to_string(i);
    different.push_back(asker.start(request));
  }
  for (int i = 0; i < 10; ++i) {
    Request request;
    request.address = "x" + std::to_string(i);
    different.push_back(asker.start(request));
  }
  Request beyond;
  beyond.address = "beyond";
  CHECK(text_of(asker.ask(beyond)) ==
        "503 authentication service is busy: too many sign-ins at the same time");
  closed.unlock();
  for (auto& future : same) CHECK(Asker::wait(std::move(future)).ok());
  for (auto& future : different) CHECK(Asker::wait(std::move(future)).ok());
  CHECK(service.requests().size() == 21);
  CHECK(service.most_at_once() <= 3);
  CHECK(service.connections() <= 3);
  CHECK(asker.ask(beyond).ok());
}

TEST_CASE("A service that does not answer in time") {
  std::promise<void> end;
  auto ended = end.get_future().share();
  {
    TestService service([&](const ServiceRequest& request) {
      if (request.body.find("slow") != std::string::npos) ended.wait();
      return json_answer(ada);
    });
    HttpCallbackOptions options = options_for(service.url());
    options.timeout_ms = 200;
    options.max_connections = 1;
    Asker asker(options);
    const auto before = std::chrono::steady_clock::now();
    CHECK(text_of(asker.ask("slow")) == "503 authentication service did not answer in 200 ms");
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(200));
    // Waiting counts, too: the second one never gets the connection in time.
    Request one, two;
    one.address = "slow 1";
    two.address = "2";
    auto first = asker.start(one);
    auto second = asker.start(two);
    CHECK(text_of(Asker::wait(std::move(first))) ==
          "503 authentication service did not answer in 200 ms");
    (void)Asker::wait(std::move(second));
    end.set_value();
  }
}

TEST_CASE("A service that is not there, or goes away") {
  std::string url;
  {
    TestService gone([](const ServiceRequest&) { return json_answer(ada); });
    url = gone.url();
  }
  Asker asker(options_for(url));
  CHECK(text_of(asker.ask("t")).find("503 authentication service failed: cannot connect: ") == 0);
  CHECK(after("") ==
        "503 authentication service failed: the connection was closed without an answer");
  CHECK(after("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user\"") ==
        "503 authentication service failed: the connection was closed without an answer");
}

TEST_CASE("A kept connection that the service has closed meanwhile is not noticed by anybody") {
  TestService service([](const ServiceRequest&) { return json_answer(ada); });
  HttpCallbackOptions options = options_for(service.url());
  options.cache_ttl_ms = 0;
  Asker asker(options);
  for (std::size_t i = 1; i <= 5; ++i) {
    CHECK(text_of(asker.ask("t")) == R"({"account_id":"ada"})");
    CHECK(service.connections() == i);
    service.close_connections();
  }
  // One that says so is not kept.
  CHECK(after("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ada) == R"({"account_id":"ada"})");
  CHECK(after("HTTP/1.0 200 OK\r\n\r\n" + ada) == R"({"account_id":"ada"})");
}

TEST_CASE("Answers that are none, or too much") {
  const std::string malformed = "503 authentication service's answer is malformed: ";
  CHECK(after_json("") == malformed + "no JSON object");
  CHECK(after_json("[]") == malformed + "no JSON object");
  CHECK(after_json("{\"user\":") == malformed + "no JSON object");
  CHECK(after_json("{}") == malformed + "neither user nor error");
  CHECK(after_json(R"({"user":"ada"})") == malformed + "neither user nor error");
  CHECK(after_json(R"({"user":{}})") == malformed + "user: none of account_id, project_id, hub_id");
  CHECK(after_json(R"({"user":{"account_id":"*"}})") == malformed + "user: invalid account_id");
  CHECK(after_json(R"({"user":{"hub_id":"h","account_id":"a"}})") ==
        malformed + "user: more than one of account, project and hub");
  CHECK(after_json(R"({"user":{"account_id":"a"},"admin":"yes"})") ==
        malformed + "admin must be true or false");
  CHECK(after_json(R"({"user":{"account_id":"a"},"expires":1700000000})") ==
        malformed + "expires must be in ms since 1970");
  CHECK(after_json(R"({"user":{"account_id":"a"},"expires":"never"})") ==
        malformed + "expires must be in ms since 1970");
  CHECK(after_json(R"({"user":{"account_id":"a"},"expires":1700000000000})") ==
        "401 authentication failed: expired");
  CHECK(after_json(R"({"user":{"account_id":"a"},"expires":null,"error":null})") ==
        R"({"account_id":"a"})");
  CHECK(after_json(R"({"error":"closed today","code":423})") == "423 closed today");
  CHECK(after_json(R"({"error":"no","code":"NO"})") == "NO no");
  CHECK(after_json(R"({"error":"","user":{"account_id":"a"}})").substr(0, 3) == "401");
  CHECK(after_json(R"({"error":"not yours"})", 403) == "401 not yours");
  CHECK(after_json("<html>", 403) == "403 authentication failed");
  CHECK(after_json(ada, 401) == "401 authentication failed");
  CHECK(after_json(ada, 500) == "503 authentication service answered HTTP 500");
  CHECK(after_json(ada, 201) == "503 authentication service answered HTTP 201");
  CHECK(after("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") ==
        "503 authentication service answered HTTP 302");
  const std::string large = "503 authentication service failed: the answer is too large";
  CHECK(after("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n") == large);
  CHECK(after("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, ' ')) == large);
  CHECK(after("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n") == large);
  CHECK(after("SSH-2.0-server\r\n").find("503 authentication service failed: no answer: ") == 0);
  CHECK(after("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")
            .find("503 authentication service failed: no answer: ") == 0);
}

TEST_CASE("Over TLS: the service's certificate is checked, its name included") {
  const Signer key(Algorithm::es256);
  const Signer other(Algorithm::es256);
  const TemporaryDirectory directory;
  const std::string certificate = key.certificate_pem();
  directory.write("ca.pem", certificate);
  directory.write("other.pem", other.certificate_pem());
  TestService service([](const ServiceRequest&) { return json_answer(ada); }, certificate,
                      key.private_pem());
  HttpCallbackOptions options = options_for(service.url());
  options.ca_file = directory.path / "ca.pem";
  options.cache_ttl_ms = 0;
  Asker asker(options);
  CHECK(text_of(asker.ask("t")) == R"({"account_id":"ada"})");
  CHECK(text_of(asker.ask("t")) == R"({"account_id":"ada"})");
  CHECK(service.connections() == 1);
  options.ca_file = directory.path / "other.pem";
  Asker distrusting(options);
  CHECK(text_of(distrusting.ask("t")).find("503 authentication service failed: TLS: ") == 0);
  options.ca_file.clear();
  Asker by_system_list(options);
  CHECK(text_of(by_system_list.ask("t")).find("503 authentication service failed: TLS: ") == 0);
  options.ca_file = directory.path / "ca.pem";
  options.url = service.url("/", "localhost");  // the certificate is for 127.0.0.1
  Asker elsewhere(options);
  CHECK(text_of(elsewhere.ask("t")).find("503 authentication service failed: TLS: ") == 0);
  CHECK(service.requests().size() == 2);
  boost::asio::io_context context;
  options.ca_file = directory.path / "absent.pem";
  const auto absent = HttpCallback::open(context, options);
  REQUIRE(!absent.ok());
  CHECK(absent.error().text.find("cannot use the certificates of ") == 0);
}

TEST_CASE("Ending while questions are on their way") {
  std::promise<void> end;
  auto ended = end.get_future().share();
  TestService service([&](const ServiceRequest&) {
    ended.wait();
    return json_answer(ada);
  });
  std::future<Outcome> open;
  {
    Asker asker(options_for(service.url()));
    Request request;
    open = asker.start(request);
    while (service.requests().empty()) std::this_thread::yield();
  }
  CHECK(text_of(Asker::wait(std::move(open))) == "503 authentication service is not available");
  end.set_value();
}

TEST_CASE("Addresses of services") {
  const auto address = parse_http_address("https://auth.example.com/check?x=1");
  REQUIRE(address.ok());
  CHECK(address->tls);
  CHECK(address->host == "auth.example.com");
  CHECK(address->port == 443);
  CHECK(address->target == "/check?x=1");
  CHECK(address->authority == "auth.example.com");
  const auto v6 = parse_http_address("http://[::1]:8080?x");
  REQUIRE(v6.ok());
  CHECK(v6->host == "::1");
  CHECK(v6->port == 8080);
  CHECK(v6->target == "/?x");
  CHECK(v6->authority == "[::1]:8080");
  CHECK(parse_http_address("HTTP://h").ok());
  for (const char* url : {"", "h", "ftp://h", "http://", "http:///x", "http://:80",
                          "http://h:", "http://h:0", "http://h:70000", "http://h:x", "http://u:p@h",
                          "http://h/#f", "http://h /", "http://[::1", "http://h\r\nX: y"}) {
    INFO(url);
    CHECK(!parse_http_address(url).ok());
  }
}

}  // namespace conat::auth
