#include "conat/broker/authorization.hpp"

#include <catch2/catch.hpp>

#include "conat/subject/subject.hpp"
#include "conat/wire/codec.hpp"

using namespace conat;

namespace {

Authorization of(std::string_view user, Rights rights = {}) {
  return Authorization(*decode_json(user), std::move(rights));
}

const char* const kAccount = R"({"account_id":"11111111-aaaa-4000-8000-000000000001"})";
const char* const kProject = R"({"project_id":"22222222-bbbb-4000-8000-000000000002"})";
const std::string kAccountId = "11111111-aaaa-4000-8000-000000000001";
const std::string kProjectId = "22222222-bbbb-4000-8000-000000000002";

void check_publish(const Authorization& who, const std::string& subject, bool allowed) {
  CAPTURE(subject);
  CHECK(who.may_publish(subject) == allowed);
}

void check_subscribe(const Authorization& who, const std::string& pattern, bool allowed) {
  CAPTURE(pattern);
  CHECK(who.may_subscribe(pattern) == allowed);
}

}  // namespace

TEST_CASE("everything and nothing", "[authorization]") {
  for (const char* user : {"null", R"({"hub_id":"hub"})"}) {
    CHECK(of(user).may_publish("anything.at.all"));
    CHECK(of(user).may_subscribe(">"));
  }
  Rights everything;
  everything.everything = true;
  CHECK(of(kAccount, everything).may_subscribe(">"));
  CHECK(of(R"({"hub_id":"hub"})").is_hub());
  CHECK_FALSE(of("null").is_hub());
  for (const char* user :
       {R"({"error":"no"})", R"({"error":"no","hub_id":"hub"})", "{}", "5", "[]",
        R"({"hub_id":"hub","account_id":"a"})", R"({"account_id":5})", R"({"account_id":""})",
        R"({"account_id":"a.b"})", R"({"account_id":"*"})", R"({"account_id":">"})",
        R"({"account_id":"a b"})", R"({"somebody":"x"})"}) {
    CAPTURE(user);
    check_publish(of(user), "_INBOX.x", false);
    check_publish(of(user), "account.*.x", false);
    check_subscribe(of(user), "public.x", false);
    check_subscribe(of(user), "account.*.x", false);
    check_subscribe(of(user), ">", false);
  }
  Rights misused = everything;
  CHECK_FALSE(of(R"({"error":"no"})", misused).may_publish("x"));
}

TEST_CASE("the hub's services", "[authorization]") {
  const Authorization account = of(kAccount);
  const Authorization project = of(kProject);
  check_publish(account, "hub.account." + kAccountId + ".api", true);
  check_publish(account, "hub.account." + kAccountId, false);
  check_publish(account, "hub.account.other.api", false);
  check_publish(account, "hub.project." + kAccountId + ".api", false);
  check_publish(project, "hub.project." + kProjectId + ".api", true);
  check_publish(project, "hub.account." + kProjectId + ".api", false);
  check_subscribe(account, "hub.account." + kAccountId + ".api", false);
  check_subscribe(account, "hub.account." + kAccountId + ".>", false);
}

TEST_CASE("inboxes", "[authorization]") {
  const Authorization account = of(kAccount);
  const Authorization project = of(kProject);
  for (const Authorization& who : {account, project}) {
    check_publish(who, "_INBOX.anybody.x", true);
    check_publish(who, "_INBOX.x", true);
    check_publish(who, "_INBOX", false);
    check_subscribe(who, "_INBOX.x.*", false);
    check_subscribe(who, "_INBOX.*", false);
    check_subscribe(who, "_INBOX.>", false);
    check_subscribe(who, "_INBOX", false);
    check_subscribe(who, "*.x", false);
  }
  check_subscribe(account, "_INBOX.account-" + kAccountId + ".x.*", true);
  check_subscribe(account, "_INBOX.account-" + kAccountId + ".>", true);
  check_subscribe(account, "_INBOX.account-" + kAccountId, true);
  check_subscribe(account, "_INBOX.account-other.x", false);
  check_subscribe(account, "_INBOX.account-" + kAccountId + "x.y", false);
  check_subscribe(account, "_INBOX.project-" + kAccountId + ".x", false);
  check_subscribe(project, "_INBOX.project-" + kProjectId + ".x.*", true);
  check_subscribe(project, "_INBOX.account-" + kProjectId + ".x", false);
}

TEST_CASE("public subjects are for listening", "[authorization]") {
  const Authorization account = of(kAccount);
  check_subscribe(account, "public.x", true);
  check_subscribe(account, "public.>", true);
  check_subscribe(account, "public.*", true);
  check_subscribe(account, "public", false);
  check_subscribe(account, "*.x", false);
  check_publish(account, "public.x", false);
}

TEST_CASE("a user's own places", "[authorization]") {
  for (const auto& [who, kind, id] :
       {std::tuple{of(kAccount), std::string("account"), kAccountId},
        std::tuple{of(kProject), std::string("project"), kProjectId}}) {
    const std::string own = kind + "." + id;
    const std::string second = kind + "-" + id;
    check_publish(who, own + ".x.y", true);
    check_publish(who, own, false);
    check_publish(who, kind + ".other.x", false);
    check_publish(who, "services." + second + ".x", true);
    check_publish(who, "services." + second, true);
    check_publish(who, second, false);
    check_publish(who, "a.b." + second, false);
    check_subscribe(who, own + ".>", true);
    check_subscribe(who, own + ".*.x", true);
    check_subscribe(who, kind + ".*.x", false);
    check_subscribe(who, kind + ".>", false);
    check_subscribe(who, "*." + id + ".x", false);
    check_subscribe(who, "services." + second + ".>", true);
    check_subscribe(who, "*." + second + ".>", true);
    check_subscribe(who, "services.*.x", false);
    check_subscribe(who, "services.>", false);
    check_subscribe(who, ">", false);
    check_subscribe(who, "*", false);
    check_subscribe(who, "*.*", false);
    check_subscribe(who, "anything", false);
  }
  check_publish(of(kProject), "account." + kProjectId + ".x", false);
  check_publish(of(kAccount), "project." + kAccountId + ".x", false);
}

TEST_CASE("what rights add for accounts, and only for them", "[authorization]") {
  Rights rights;
  rights.is_admin = true;
  rights.projects = {"other-project", kProjectId, "*", "bad.id", ""};
  const Authorization account = of(kAccount, rights);
  check_publish(account, "sys.conat.x", true);
  check_subscribe(account, "sys.>", true);
  check_publish(account, "sys", false);
  check_publish(account, "project." + kProjectId + ".x", true);
  check_subscribe(account, "project." + kProjectId + ".>", true);
  check_publish(account, "project." + kProjectId, false);
  check_publish(account, "project.unknown.x", false);
  check_subscribe(account, "project.*.x", false);
  check_subscribe(account, "project.*", false);
  check_publish(account, "services.project-" + kProjectId + ".x", true);
  check_subscribe(account, "services.project-" + kProjectId + ".>", true);
  check_subscribe(account, "services.project-*.>", false);
  // A project's inbox is for the project alone.
  check_subscribe(account, "_INBOX.project-" + kProjectId + ".>", false);
  check_subscribe(account, "*.project-" + kProjectId + ".>", false);
  const Authorization project = of(R"({"project_id":"p"})", rights);
  check_publish(project, "sys.x", false);
  check_publish(project, "project." + kProjectId + ".x", false);
}

TEST_CASE("a pattern is allowed only if each subject that it can match is", "[authorization]") {
  Rights rights;
  rights.projects = {"p2"};
  const Authorization who = of(R"({"account_id":"a"})", rights);
  // Subjects that nobody but others may listen to.
  const char* const kForbidden[] = {
      "_INBOX.b.x", "_INBOX.project-p2.x", "hub.account.a.x", "account.b.x",
      "sys.x",      "project.p3.x",        "x.account-b.y",   "x",
      "x.y.z",      "_INBOX.account-ab",   "project.p2"};
  const char* const kTokens[] = {"_INBOX", "account-a", "a", "account", "project", "project-p2",
                                 "p2",     "public",    "*", ">",       "x",       "sys"};
  std::size_t allowed = 0;
  for (const char* first : kTokens) {
    for (const char* second : kTokens) {
      for (const char* third : kTokens) {
        if (std::string_view(first) == ">" || std::string_view(second) == ">") continue;
        const std::string pattern = std::string(first) + "." + second + "." + third;
        if (!who.may_subscribe(pattern)) continue;
        ++allowed;
        for (const char* subject : kForbidden) {
          CAPTURE(pattern, subject);
          CHECK_FALSE(pattern_matches(pattern, subject));
        }
      }
    }
  }
  CHECK(allowed > 20);
}
