// All ways of authentication together: which one decides.

// clang-format off
#include <utility>
// clang-format on

#include "auth/chain.hpp"

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

constexpr UnixMs now = 1'700'000'000'000;
constexpr ScryptCost cheap{4, 1, 1};

class Gate {
 public:
  explicit Gate(ChainOptions options)
      : work_(boost::asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {
    auto opened = Chain::open(context_, std::move(options));
    if (!opened) {
      stop();
      FAIL(opened.error().text);
    }
    chain_ = *opened;
  }
  ~Gate() {
    boost::asio::post(context_, [chain = chain_] { chain->close(); });
    stop();
  }
  Chain& chain() { return *chain_; }

  std::string enter(const Request& request) {
    const Outcome outcome = outcome_of(request);
    if (outcome.ok()) return encode_json(outcome->user);
    return std::to_string(outcome.error().code.number) + " " + outcome.error().text;
  }
  Outcome outcome_of(const Request& request) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    chain_->authenticate(request, now,
                         [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    REQUIRE(future.wait_for(std::chrono::seconds(240)) == std::future_status::ready);
    return future.get();
  }
  // What the identity rests on that this token, or name and password, gives.
  std::optional<Grant> grant_of(const std::string& token) {
    Request request;
    request.auth.set("token", token);
    const Outcome outcome = outcome_of(request);
    REQUIRE(outcome.ok());
    return outcome->grant;
  }
  std::optional<Grant> grant_of(const std::string& name, const std::string& password) {
    Request request;
    request.auth.set("username", name);
    request.auth.set("password", password);
    const Outcome outcome = outcome_of(request);
    REQUIRE(outcome.ok());
    return outcome->grant;
  }
  std::string with_token(const std::string& token) {
    Request request;
    request.auth.set("token", token);
    return enter(request);
  }
  std::string with_password(const std::string& name, const std::string& password) {
    Request request;
    request.auth.set("username", name);
    request.auth.set("password", password);
    return enter(request);
  }
  std::string with_cookies(std::string cookies) {
    Request request;
    request.headers = {{"Cookie", std::move(cookies)}};
    return enter(request);
  }

 private:
  void stop() {
    work_.reset();
    thread_.join();
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::shared_ptr<Chain> chain_;
};

User user_named(const std::string& name, const std::string& token, const std::string& password) {
  User user;
  user.name = name;
  user.identity.user.set("account_id", name);
  if (!token.empty()) user.tokens.push_back(sha256(as_bytes(token)));
  if (!password.empty()) user.password = PasswordHash::of(password, cheap);
  return user;
}

Authenticated guest() {
  Authenticated anonymous;
  anonymous.user.set("account_id", "guest");
  return anonymous;
}

}  // namespace

TEST_CASE("Nothing configured: nobody gets in, unless there is an anonymous user") {
  Gate closed({});
  CHECK(closed.enter({}) == "401 authentication failed: no credentials");
  CHECK(closed.with_token("t") == "401 authentication failed: unknown token");
  CHECK(closed.with_password("a", "b") == "401 authentication failed: wrong name or password");
  CHECK(closed.with_cookies("sys=x") == "401 authentication failed: no credentials");
  ChainOptions options;
  options.anonymous = guest();
  Gate open(options);
  CHECK(open.enter({}) == R"({"account_id":"guest"})");
  CHECK(open.with_token("t") == "401 authentication failed: unknown token");
}

TEST_CASE("The system account, users by token and password, tokens of issuers") {
  const Signer signer(Algorithm::eddsa);
  const TemporaryDirectory directory;
  directory.write("key.pem", signer.public_pem());
  directory.write("users", R"({"name":"file","token":")" + stored_token("filed") +
                               R"(","user":{"project_id":"file"}})");
  ChainOptions options;
  options.system_password = "geheim";
  options.users_file = directory.path / "users";
  options.users = {user_named("ada", "t1", "p1"), user_named("bob", "t2", "")};
  options.jwt.emplace();
  options.jwt->key_files = {{KeyFileKind::pem, directory.path / "key.pem"}};
  options.token_cookies = {"session"};
  Gate gate(options);
  CHECK(gate.with_cookies("sys=geheim") == R"({"hub_id":"system"})");
  CHECK(gate.with_cookies("sys=g%65h%65im") == R"({"hub_id":"system"})");
  CHECK(gate.with_cookies("sys=geheiM") == "401 authentication failed: wrong system password");
  CHECK(gate.with_cookies("sys=; session=t1") ==
        "401 authentication failed: wrong system password");
  CHECK(gate.with_cookies("session=t1") == R"({"account_id":"ada"})");
  CHECK(gate.with_token("t2") == R"({"account_id":"bob"})");
  CHECK(gate.with_token("filed") == R"({"project_id":"file"})");
  CHECK(gate.with_token("t3") == "401 authentication failed: unknown token");
  CHECK(gate.with_password("ada", "p1") == R"({"account_id":"ada"})");
  const std::string wrong = "401 authentication failed: wrong name or password";
  CHECK(gate.with_password("ada", "p2") == wrong);
  CHECK(gate.with_password("bob", "") == wrong);
  CHECK(gate.with_password("eve", "p1") == wrong);
  CHECK(gate.with_token(signer.token(R"({"hub_id":"h","exp":1700000001})")) == R"({"hub_id":"h"})");
  CHECK(gate.with_token(signer.token(R"({"hub_id":"h","exp":1700000000})")) ==
        "401 authentication failed: token expired");
  // Files that change.
  directory.write("users", "nonsense");
  const auto broken = gate.chain().reload_if_changed();
  REQUIRE(!broken.ok());
  CHECK(broken.error().text == (directory.path / "users").string() + ": line 1: malformed JSON");
  CHECK(gate.with_token("filed") == R"({"project_id":"file"})");
  directory.write("users", R"({"name":"file","token":")" + stored_token("other") +
                               R"(","user":{"project_id":"file"}})");
  const auto changed = gate.chain().reload_if_changed();
  REQUIRE(changed.ok());
  CHECK(*changed);
  CHECK(gate.with_token("filed") == "401 authentication failed: unknown token");
  CHECK(gate.with_token("other") == R"({"project_id":"file"})");
  CHECK(gate.with_token("t2") == R"({"account_id":"bob"})");
  CHECK(!*gate.chain().reload_if_changed());
  const Signer next(Algorithm::eddsa);
  directory.write("key.pem", next.public_pem());
  CHECK(gate.chain().reload().ok());
  CHECK(gate.with_token(next.token(R"({"hub_id":"h","exp":1700000001})")) == R"({"hub_id":"h"})");
}

TEST_CASE("What an identity rests on, and when that is withdrawn") {
  const Signer first(Algorithm::eddsa);
  const Signer second(Algorithm::es256);
  const TemporaryDirectory directory;
  const std::string password = PasswordHash::of("p", cheap).text();
  const auto line = [](const std::string& name, const std::string& secrets,
                       const std::string& more = "") {
    return R"({"name":")" + name + R"(","user":{"account_id":")" + name + R"("},)" + secrets +
           more + "}\n";
  };
  const std::string tokens =
      R"("tokens":[")" + stored_token("t1") + R"(",")" + stored_token("t2") + R"("])";
  const std::string both = R"("password":")" + password + R"(",)" + tokens;
  directory.write("keys.pem", first.public_pem() + second.public_pem());
  directory.write("users",
                  line("ada", both) + line("bob", R"("token":")" + stored_token("b") + '"'));
  ChainOptions options;
  options.system_password = "geheim";
  options.users_file = directory.path / "users";
  options.jwt.emplace();
  options.jwt->key_files = {{KeyFileKind::pem, directory.path / "keys.pem"}};
  options.anonymous = guest();
  Gate gate(options);
  Request nothing;
  Request system;
  system.headers = {{"Cookie", "sys=geheim"}};
  CHECK_FALSE(gate.outcome_of(nothing)->grant);
  CHECK_FALSE(gate.outcome_of(system)->grant);
  const Grant t1 = *gate.grant_of("t1");
  const Grant t2 = *gate.grant_of("t2");
  const Grant by_password = *gate.grant_of("ada", "p");
  const Grant bob = *gate.grant_of("b");
  const std::string claims = R"({"hub_id":"h","exp":1700000001})";
  const Grant by_first = *gate.grant_of(first.token(claims));
  const Grant by_second = *gate.grant_of(second.token(claims));
  const auto held = [&] {
    std::string text;
    for (const Grant* grant : {&t1, &t2, &by_password, &bob, &by_first, &by_second}) {
      text += gate.chain().holds(*grant) ? '+' : '-';
    }
    return text;
  };
  const auto becomes = [&](const std::string& users, const std::string& keys) {
    directory.write("users", users);
    directory.write("keys.pem", keys);
    REQUIRE(gate.chain().reload().ok());
    return held();
  };
  const std::string bobs = line("bob", R"("token":")" + stored_token("b") + '"');
  const std::string keys = first.public_pem() + second.public_pem();
  CHECK(held() == "++++++");
  // The order, comments, and the same keys once more change nothing.
  CHECK(becomes("# ours\n" + bobs + line("ada", both), second.public_pem() + keys) == "++++++");
  CHECK(becomes(line("ada", tokens) + bobs, keys) == "++-+++");
  CHECK(becomes(line("ada", R"("token":")" + stored_token("t2") + '"') + bobs, keys) == "-+-+++");
  CHECK(becomes(line("ada", both), keys) == "+++-++");
  // Another hash of the same password is another password; other rights, another identity.
  const std::string again =
      R"("password":")" + PasswordHash::of("p", cheap).text() + R"(",)" + tokens;
  CHECK(becomes(line("ada", again) + bobs, keys) == "++-+++");
  CHECK(becomes(line("ada", both, R"(,"admin":true)") + bobs, keys) == "---+++");
  CHECK(becomes(line("ada", both, R"(,"projects":["p"])") + bobs, keys) == "---+++");
  // The name of somebody else now.
  CHECK(becomes(R"({"name":"ada","user":{"account_id":"eve"},)" + both + "}\n" + bobs, keys) ==
        "---+++");
  CHECK(becomes(line("ada", both) + bobs, second.public_pem()) == "++++-+");
  CHECK(becomes(line("ada", both) + bobs, keys) == "++++++");
  // What cannot be read withdraws nothing.
  directory.write("users", "nonsense");
  directory.write("keys.pem", "nonsense");
  CHECK_FALSE(gate.chain().reload().ok());
  CHECK(held() == "++++++");
}

TEST_CASE("A service is asked about what nobody else knows") {
  TestService service([](const ServiceRequest& request) {
    if (request.body.find("known") != std::string::npos) {
      return json_answer(R"({"user":{"account_id":"known"}})");
    }
    if (request.body.find("broken") != std::string::npos) return json_answer("", 500);
    if (request.body.find("banned") != std::string::npos) {
      return json_answer(R"({"error":"banned","code":403})");
    }
    return json_answer(R"({"error":"unknown"})");
  });
  ChainOptions options;
  options.users = {user_named("ada", "t1", "p1")};
  options.http.emplace();
  options.http->url = service.url();
  options.http->timeout_ms = 200'000;
  {
    Gate gate(options);
    CHECK(gate.with_token("t1") == R"({"account_id":"ada"})");
    CHECK(gate.with_password("ada", "p2") == "401 authentication failed: wrong name or password");
    CHECK(service.requests().empty());
    CHECK(gate.with_token("known") == R"({"account_id":"known"})");
    CHECK(gate.with_password("known", "x") == R"({"account_id":"known"})");
    CHECK(gate.with_cookies("site=known") == R"({"account_id":"known"})");
    CHECK(gate.enter({}) == "401 unknown");
  }
  options.anonymous = guest();
  Gate gate(options);
  CHECK(gate.enter({}) == R"({"account_id":"guest"})");
  CHECK(gate.with_cookies("site=known") == R"({"account_id":"known"})");
  CHECK(gate.with_cookies("site=banned") == "403 banned");
  CHECK(gate.with_cookies("site=broken") == "503 authentication service answered HTTP 500");
  CHECK(gate.with_token("x") == "401 unknown");
}

TEST_CASE("What is configured wrongly is said at the start") {
  boost::asio::io_context context;
  const auto error = [&](ChainOptions options) {
    const auto chain = Chain::open(context, std::move(options));
    return chain.ok() ? "" : chain.error().text;
  };
  ChainOptions options;
  options.users_file = "/nonexistent/users";
  CHECK(error(options) == "cannot read /nonexistent/users: No such file or directory");
  options = {};
  options.users = {user_named("ada", "t", ""), user_named("ada", "u", "")};
  CHECK(error(options) == "two users with the name ada");
  options = {};
  options.http.emplace();
  options.http->url = "nonsense";
  CHECK(error(options) == "invalid address 'nonsense': it must begin with http:// or https://");
  options = {};
  options.jwt.emplace();
  options.jwt->key_files = {{KeyFileKind::jwks, "/nonexistent/keys"}};
  CHECK(error(options) == "cannot read /nonexistent/keys: No such file or directory");
}

}  // namespace conat::auth
