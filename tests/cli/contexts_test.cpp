// Saved servers: which one is used, which credentials go where, and what the file looks like.
#include "cli/contexts.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "cli/files.hpp"
#include "conatd/process.hpp"

using namespace conat;
using namespace conat::cli;
using conat::test::TemporaryDirectory;

namespace {

// Points XDG_CONFIG_HOME at a directory of its own.
class Home {
 public:
  Home() { REQUIRE(::setenv("XDG_CONFIG_HOME", directory_.path().c_str(), 1) == 0); }
  ~Home() { ::unsetenv("XDG_CONFIG_HOME"); }
  std::string file() const { return (directory_.path() / "conat" / "contexts.json").string(); }

  void save(const std::string& name, Context context, bool use) const {
    auto contexts = ContextFile::load(file());
    REQUIRE(contexts.ok());
    contexts->set(name, std::move(context));
    if (use) REQUIRE(contexts->use(name));
    REQUIRE(contexts->save().ok());
  }

 private:
  TemporaryDirectory directory_;
};

Context work() {
  Context context;
  context.server = "https://work.example";
  context.token = "secret";
  context.cookie = "a=b";
  context.system_password = "pw";
  context.inbox_prefix = "_INBOX.account-work";
  return context;
}

}  // namespace

TEST_CASE("contexts are saved for their owner alone, and read back") {
  const Home home;
  CHECK(*ContextFile::default_path() == home.file());
  home.save("work", work(), true);
  struct stat info {};
  REQUIRE(::stat(home.file().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto contexts = ContextFile::load(home.file());
  REQUIRE(contexts.ok());
  CHECK(contexts->current() == "work");
  REQUIRE(contexts->find("work") != nullptr);
  CHECK(contexts->find("work")->token == "secret");
  CHECK(contexts->find("work")->cookie_header() == "a=b; sys=pw");
  CHECK(contexts->find("work")->inbox_prefix == "_INBOX.account-work");
  CHECK(contexts->find("work")->auth_object().find("token")->text_or("") == "secret");
  CHECK_FALSE(contexts->use("other"));
  CHECK_FALSE(contexts->remove("other"));
  CHECK(contexts->remove("work"));
  CHECK(contexts->current().empty());
}

TEST_CASE("a context's credentials go to its own server only") {
  const Home home;
  CHECK(resolve_context({}, "")->server == "http://127.0.0.1:8080");
  home.save("work", work(), true);
  const auto current = resolve_context({}, "");
  REQUIRE(current.ok());
  CHECK(current->server == "https://work.example");
  CHECK(current->token == "secret");
  CHECK(current->inbox_prefix == "_INBOX.account-work");

  Context elsewhere;
  elsewhere.server = "https://other.example";
  for (const char* name : {"", "work"}) {
    const auto other = resolve_context(elsewhere, name);
    REQUIRE(other.ok());
    CHECK(other->server == "https://other.example");
    CHECK_FALSE(other->has_credentials());
  }
  Context same;
  same.server = "https://work.example/";
  CHECK(resolve_context(same, "")->token == "secret");

  // Given credentials replace all of the context's.
  Context given;
  given.token = "mine";
  const auto mixed = resolve_context(given, "");
  REQUIRE(mixed.ok());
  CHECK(mixed->server == "https://work.example");
  CHECK(mixed->token == "mine");
  CHECK(mixed->cookie_header().empty());
  CHECK(mixed->inbox_prefix.empty());  // it was the other one's
  given.inbox_prefix = "_INBOX.account-me";
  CHECK(resolve_context(given, "")->inbox_prefix == "_INBOX.account-me");

  const auto missing = resolve_context({}, "nothing");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().text == "there is no context 'nothing'");
}

TEST_CASE("a damaged file of contexts is told, and not overwritten") {
  const Home home;
  home.save("work", work(), true);
  std::ofstream(home.file()) << "{\"contexts\": 5";
  const auto broken = resolve_context({}, "");
  REQUIRE_FALSE(broken.ok());
  CHECK(broken.error().text.find("is damaged") != std::string::npos);
  CHECK(*read_file(home.file(), 1000) == "{\"contexts\": 5");
}
