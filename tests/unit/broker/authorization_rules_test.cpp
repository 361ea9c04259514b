#include "conat/broker/authorization_rules.hpp"

#include <catch2/catch.hpp>

#include "conat/broker/authorization.hpp"
#include "conat/wire/codec.hpp"

using namespace conat;

namespace {

AuthorizationRule rule(bool allow, std::string pattern) {
  AuthorizationRule made;
  made.allow = allow;
  made.pattern = std::move(pattern);
  return made;
}
AuthorizationRule allow(std::string pattern) { return rule(true, std::move(pattern)); }
AuthorizationRule deny(std::string pattern) { return rule(false, std::move(pattern)); }

Authorization of(std::string_view user, const std::vector<AuthorizationRule>& rules,
                 Rights rights = {}) {
  for (const AuthorizationRule& each : rules) REQUIRE(check_rule(each).ok());
  return Authorization(*decode_json(user), std::move(rights), rules);
}

const char* const kAccount = R"({"account_id":"a1"})";
const char* const kProject = R"({"project_id":"p1"})";
const char* const kHub = R"({"hub_id":"h1"})";

}  // namespace

TEST_CASE("a rule's pattern is checked", "[rules]") {
  for (const char* good : {"x", "x.*.>", ">", "{account_id}", "a-{project_id}.x", "{hub_id}.>",
                           "x.{account_id}.y.{account_id}"}) {
    CAPTURE(good);
    CHECK(check_rule(allow(good)).ok());
  }
  for (const char* bad : {"", ".", "x..y", "x.>.y", "x y", "{account}", "{account_id", "x}",
                          "{account_id}.{project_id}", "{}"}) {
    CAPTURE(bad);
    const Status status = check_rule(allow(bad));
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().text.find("'" + std::string(bad) + "'") == 0);
  }
}

TEST_CASE("allowing what the name does not", "[rules]") {
  const Authorization who = of(kAccount, {allow("chat.*.room"), allow("files.{account_id}.>")});
  CHECK(who.may_publish("chat.x.room"));
  CHECK_FALSE(who.may_publish("chat.x"));
  CHECK_FALSE(who.may_publish("chat.x.room.y"));
  CHECK(who.may_subscribe("chat.*.room"));
  CHECK(who.may_subscribe("chat.x.room"));
  CHECK_FALSE(who.may_subscribe("chat.*.*"));
  CHECK_FALSE(who.may_subscribe("chat.>"));
  CHECK(who.may_publish("files.a1.x.y"));
  CHECK_FALSE(who.may_publish("files.a2.x.y"));
  CHECK(who.may_subscribe("files.a1.>"));
  CHECK(who.may_subscribe("files.a1.*.x"));
  CHECK_FALSE(who.may_subscribe("files.*.x"));
  CHECK_FALSE(who.may_subscribe("files.>"));
  // What the name allows stays.
  CHECK(who.may_publish("account.a1.x"));
  CHECK(who.may_subscribe("public.>"));
  CHECK_FALSE(who.may_subscribe("account.a2.x"));
}

TEST_CASE("denials win", "[rules]") {
  const Authorization who =
      of(kAccount, {deny("account.{account_id}.secret.>"), allow("account.a1.secret.open"),
                    allow("x.>"), deny("x.*.y"), deny("public.closed")});
  CHECK(who.may_publish("account.a1.x"));
  CHECK(who.may_publish("account.a1.secret"));
  CHECK_FALSE(who.may_publish("account.a1.secret.open"));
  CHECK_FALSE(who.may_subscribe("account.a1.secret.open"));
  // A pattern that could match anything denied is denied.
  CHECK_FALSE(who.may_subscribe("account.a1.>"));
  CHECK_FALSE(who.may_subscribe("account.a1.*.x"));
  CHECK_FALSE(who.may_subscribe("account.a1.*.*"));
  CHECK(who.may_subscribe("account.a1.*"));
  CHECK(who.may_subscribe("account.a1.other.>"));
  CHECK(who.may_subscribe("x.a.b"));
  CHECK_FALSE(who.may_subscribe("x.a.y"));
  CHECK_FALSE(who.may_subscribe("x.*.*"));
  CHECK_FALSE(who.may_subscribe("x.>"));
  CHECK_FALSE(who.may_publish("x.a.y"));
  CHECK(who.may_publish("x.a.y.z"));
  CHECK_FALSE(who.may_subscribe("public.>"));
  CHECK_FALSE(who.may_subscribe("public.*"));
  CHECK(who.may_subscribe("public.open"));
}

TEST_CASE("one direction only", "[rules]") {
  AuthorizationRule hear = allow("news.>");
  hear.publish = false;
  AuthorizationRule mute = deny("_INBOX.>");
  mute.subscribe = false;
  const Authorization who = of(kAccount, {hear, mute});
  CHECK(who.may_subscribe("news.>"));
  CHECK_FALSE(who.may_publish("news.x"));
  CHECK_FALSE(who.may_publish("_INBOX.account-a2.x"));
  CHECK(who.may_subscribe("_INBOX.account-a1.x"));
}

TEST_CASE("whom a rule is for", "[rules]") {
  AuthorizationRule accounts_only = allow("a.x");
  accounts_only.projects = false;
  AuthorizationRule projects_only = allow("p.x");
  projects_only.accounts = false;
  AuthorizationRule not_hubs = deny("h.x");
  AuthorizationRule hubs = deny("h.y");
  hubs.hubs = true;
  const std::vector<AuthorizationRule> rules = {accounts_only,
                                                projects_only,
                                                not_hubs,
                                                hubs,
                                                allow("own.{account_id}"),
                                                allow("own-{project_id}.x"),
                                                deny("not.{hub_id}")};
  const Authorization account = of(kAccount, rules);
  const Authorization project = of(kProject, rules);
  const Authorization hub = of(kHub, rules);
  CHECK(account.may_publish("a.x"));
  CHECK_FALSE(account.may_publish("p.x"));
  CHECK_FALSE(project.may_publish("a.x"));
  CHECK(project.may_publish("p.x"));
  CHECK(hub.may_publish("h.x"));
  CHECK_FALSE(hub.may_publish("h.y"));
  CHECK_FALSE(hub.may_subscribe(">"));
  CHECK(hub.may_subscribe("h.x"));
  CHECK(account.may_publish("own.a1"));
  CHECK_FALSE(account.may_publish("own.p1"));
  CHECK_FALSE(project.may_publish("own.p1"));
  CHECK(project.may_publish("own-p1.x"));
  CHECK_FALSE(hub.may_publish("not.h1"));
  CHECK(hub.may_publish("not.h2"));
}

TEST_CASE("rules give nothing to nobody, and take nothing without authentication", "[rules]") {
  const std::vector<AuthorizationRule> all = {allow(">")};
  for (const char* user :
       {R"({"error":"no"})", "{}", R"({"account_id":"a","hub_id":"h"})", R"({"account_id":"*"})"}) {
    CAPTURE(user);
    CHECK_FALSE(of(user, all).may_publish("x"));
    CHECK_FALSE(of(user, all).may_subscribe("x"));
  }
  CHECK(of("null", {deny(">")}).may_publish("x"));
  CHECK_FALSE(Authorization().may_publish("x"));
}
