// Stored passwords and tokens, the users file, and the thread that checks passwords.
#include "auth/users.hpp"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "auth/encoding.hpp"
#include "auth/password_checker.hpp"
#include "conat/wire/codec.hpp"
#include "native/auth/temporary_directory.hpp"

namespace conat::auth {
namespace {

// As cheap as it gets: what is tested is not its strength.
constexpr ScryptCost cheap{4, 1, 1};

template <class T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "" : result.error().text;
}

std::string hash_text(std::string_view password) {
  return PasswordHash::of(password, cheap).text();
}

// Collects verdicts from the checker's threads.
class Verdicts {
 public:
  PasswordChecker::Done collect() {
    return [this](PasswordVerdict verdict) {
      const std::lock_guard lock(mutex_);
      verdicts_.push_back(verdict);
      changed_.notify_all();
    };
  }
  std::vector<PasswordVerdict> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(240),
                                        [&] { return verdicts_.size() >= count; });
    REQUIRE(came);
    return verdicts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PasswordVerdict> verdicts_;
};

}  // namespace

TEST_CASE("scrypt: RFC 7914, section 12, in the form of a file") {
  // scrypt("password", "NaCl", N=1024, r=8, p=16), 64 bytes. The salt is 4 bytes: too short for
  // files, so this is the third vector, "pleaseletmein" with "SodiumChloride".
  const auto hash = decode_hex(
      "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a"
      "9af9"
      "e61e85dc0d651e40dfcf017b45575887");
  REQUIRE(hash);
  const std::string text = "$scrypt$ln=14,r=8,p=1$" + encode_base64(as_bytes("SodiumChloride")) +
                           "$" + encode_base64(*hash);
  const auto stored = PasswordHash::parse(text);
  REQUIRE(error_of(stored) == "");
  CHECK(stored->text() == text);
  CHECK(stored->matches("pleaseletmein"));
  CHECK(!stored->matches("pleaseletmeiN"));
  CHECK(!stored->matches(""));
}

TEST_CASE("Hashes of passwords") {
  const PasswordHash hash = PasswordHash::of("geheim", cheap);
  CHECK(hash.matches("geheim"));
  CHECK(!hash.matches("Geheim"));
  CHECK(!hash.matches(std::string(5000, 'x')));
  CHECK(hash.text() != PasswordHash::of("geheim", cheap).text());  // salted
  CHECK(hash.text().substr(0, 22) == "$scrypt$ln=4,r=1,p=1$" + hash.text().substr(21, 1));
  const auto again = PasswordHash::parse(hash.text());
  REQUIRE(again.ok());
  CHECK(again->matches("geheim"));
  CHECK(ScryptCost{}.log_n == 15);
  CHECK(!PasswordHash::unmatched(cheap).matches(""));
  const std::string tail = hash.text().substr(hash.text().find('$', 9));
  for (const std::string& text :
       {std::string(), std::string("geheim"), "$scrypt$" + tail, "$scrypt$ln=4,r=1$" + tail,
        "$scrypt$ln=4,r=1,p=1,x=1" + tail, "$scrypt$ln=0,r=1,p=1" + tail,
        "$scrypt$r=1,ln=4,p=1" + tail, "$scrypt$ln=+4,r=1,p=1" + tail,
        "$scrypt$ln=40,r=8,p=1" + tail, "$scrypt$ln=20,r=8,p=1" + tail,
        "$scrypt$ln=4,r=999999,p=1" + tail, "$scrypt$ln=4,r=1,p=999" + tail,
        "$scrypt$ln=04,r=1,p=1" + tail, hash.text() + "=", hash.text() + "$x", hash.text() + "!",
        std::string("$scrypt$ln=4,r=1,p=1$AA$AA"), std::string("$2b$10$abc")}) {
    INFO(text);
    CHECK(error_of(PasswordHash::parse(text)) != "");
  }
}

TEST_CASE("Stored tokens") {
  CHECK(stored_token("abc") ==
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto digest = parse_stored_token(stored_token("abc"));
  REQUIRE(digest.ok());
  CHECK(*digest == sha256(as_bytes("abc")));
  for (const char* text :
       {"", "abc", "sha256:", "sha256:00",
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}) {
    CHECK(!parse_stored_token(text).ok());
  }
}

TEST_CASE("A users file") {
  const std::string text =
      "# our users\r\n\n"
      R"({"name":"ada","password":")" +
      hash_text("p1") + R"(","user":{"account_id":"a1"},"admin":true,"projects":["p1"]})" + "\n" +
      R"(  {"name":"build","tokens":[")" + stored_token("t1") + "\",\"" + stored_token("t2") +
      R"("],"user":{"project_id":"p2"}})" + "\r\n" + R"({"name":"hub","token":")" +
      stored_token("t3") + R"(","user":{"hub_id":"h"}})";
  const TemporaryDirectory directory;
  directory.write("users", text);
  const auto users = Users::load(directory.path / "users");
  REQUIRE(error_of(users) == "");
  CHECK(users->size() == 3);
  CHECK(users->has_passwords());
  const User* ada = users->with_name("ada");
  REQUIRE(ada != nullptr);
  CHECK(ada->identity.user == *decode_json(R"({"account_id":"a1"})"));
  CHECK(ada->identity.rights.is_admin);
  CHECK(ada->identity.rights.projects == std::vector<std::string>{"p1"});
  CHECK(!ada->identity.expires_at);
  REQUIRE(ada->password);
  CHECK(ada->password->matches("p1"));
  CHECK(users->with_name("Ada") == nullptr);
  const User* build = users->with_name("build");
  CHECK(users->with_token("t1") == build);
  CHECK(users->with_token("t2") == build);
  REQUIRE(users->with_token("t3") != nullptr);
  CHECK(users->with_token("t3")->name == "hub");
  CHECK(users->with_token("t4") == nullptr);
  CHECK(users->with_token("") == nullptr);
  CHECK(users->with_token(stored_token("t1")) == nullptr);  // what is stored is no token
  CHECK(users->decoy().cost() == cheap);
  CHECK(error_of(Users::load(directory.path / "absent")).find("No such file") != std::string::npos);
}

TEST_CASE("Errors in a users file name the line") {
  const std::string good =
      R"({"name":"ada","token":")" + stored_token("t") + R"(","user":{"account_id":"a"}})" + "\n";
  const auto error = [&](const std::string& line) {
    return error_of(Users::parse("#\n" + good + "\n" + line + "\n"));
  };
  CHECK(error("") == "");
  CHECK(error("{") == "line 4: malformed JSON");
  CHECK(error("[]") == "line 4: a user is a JSON object");
  CHECK(error("{}") == "line 4: name is missing");
  CHECK(error(R"({"name":"b","projets":[]})") == "line 4: unknown member 'projets'");
  CHECK(error(R"({"name":"a:b"})") ==
        "line 4: a name is no longer than 256 bytes and holds no colon");
  CHECK(error(R"({"name":"b"})") == "line 4: user must be {account_id}, {project_id} or {hub_id}");
  CHECK(error(R"({"name":"b","user":{"account_id":"a","x":1}})") ==
        "line 4: user must be {account_id}, {project_id} or {hub_id}");
  CHECK(error(R"({"name":"b","user":{"account_id":"a.b"}})") == "line 4: user: invalid account_id");
  const std::string b = R"({"name":"b","user":{"account_id":"b"})";
  CHECK(error(b + "}") == "line 4: neither a password nor a token");
  CHECK(error(b + R"(,"token":"clear text"})") ==
        "line 4: a stored token has the form sha256:<64 hexadecimal digits in lower case>");
  CHECK(error(b + R"(,"tokens":{}})") == "line 4: tokens must be an array");
  CHECK(error(b + R"(,"password":"clear text"})") ==
        "line 4: a password hash begins with $scrypt$");
  CHECK(error(b + R"(,"token":")" + stored_token("t") + "\"}") ==
        "line 4: the same token for ada and b");
  CHECK(error(b + R"(,"admin":1,"token":")" + stored_token("u") + "\"}") ==
        "line 4: admin must be true or false");
  CHECK(error(good) == "line 4: two users with the name ada");
}

TEST_CASE("Passwords are checked elsewhere, and those that were right are remembered") {
  PasswordChecker checker;
  const PasswordHash hash = PasswordHash::of("p", cheap);
  const PasswordHash changed = PasswordHash::of("q", cheap);
  Verdicts verdicts;
  checker.check("p", hash, verdicts.collect());
  CHECK(verdicts.wait_for(1).back() == PasswordVerdict::right);
  checker.check("x", hash, verdicts.collect());
  CHECK(verdicts.wait_for(2).back() == PasswordVerdict::wrong);
  CHECK(checker.worked() == 2);
  bool at_once = false;
  checker.check("p", hash,
                [&](PasswordVerdict verdict) { at_once = verdict == PasswordVerdict::right; });
  CHECK(at_once);
  CHECK(checker.worked() == 2);
  // Only what was right, and only for that hash.
  checker.check("x", hash, verdicts.collect());
  CHECK(verdicts.wait_for(3).back() == PasswordVerdict::wrong);
  checker.check("p", changed, verdicts.collect());
  CHECK(verdicts.wait_for(4).back() == PasswordVerdict::wrong);
  CHECK(checker.worked() == 4);
}

TEST_CASE("Too many passwords at a time: the rest is told to try again") {
  PasswordChecker::Options options;
  options.max_waiting = 3;
  options.remember_ms = 0;
  std::mutex gate;
  Verdicts verdicts;
  PasswordChecker checker(options);
  const PasswordHash hash = PasswordHash::of("p", cheap);
  std::unique_lock closed(gate);
  // The first one holds the only thread until the gate opens.
  Verdicts first;
  checker.check("p", hash, [&, tell = first.collect()](PasswordVerdict verdict) {
    tell(verdict);
    const std::lock_guard wait(gate);
  });
  CHECK(first.wait_for(1).back() == PasswordVerdict::right);
  int busy = 0;
  for (int i = 0; i < 5; ++i) {
    checker.check("p", hash, [&, tell = verdicts.collect()](PasswordVerdict verdict) {
      if (verdict == PasswordVerdict::busy) ++busy;
      tell(verdict);
    });
  }
  CHECK(verdicts.wait_for(2).size() == 2);
  CHECK(busy == 2);
  closed.unlock();
  CHECK(verdicts.wait_for(5).size() == 5);
  CHECK(busy == 2);
  CHECK(checker.worked() == 4);
}

TEST_CASE("What is remembered goes after its time, and the oldest when there is too much") {
  ExpiringCache<int> cache(3, 100);
  const auto key = [](int i) { return sha256(as_bytes(std::to_string(i))); };
  for (int i = 0; i < 4; ++i) cache.put(i, key(i), i);
  CHECK(cache.size() == 3);
  CHECK(cache.find(10, key(0)) == nullptr);
  REQUIRE(cache.find(10, key(1)) != nullptr);
  CHECK(*cache.find(10, key(1)) == 1);
  CHECK(cache.find(101, key(1)) == nullptr);
  CHECK(cache.find(101, key(2)) != nullptr);
  cache.put(101, key(2), 7);  // lives anew
  REQUIRE(cache.find(150, key(2)) != nullptr);
  CHECK(*cache.find(150, key(2)) == 7);
  CHECK(cache.find(201, key(2)) == nullptr);
  CHECK(cache.size() == 0);
  ExpiringCache<int> none(3, 0);
  none.put(0, key(1), 1);
  CHECK(none.find(0, key(1)) == nullptr);
}

}  // namespace conat::auth
