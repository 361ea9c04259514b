#include <catch2/catch.hpp>
#include <string>

#include "conat/stream/persist_server.hpp"

using namespace conat;

namespace {

const std::string kId = "00000000-0000-4000-8000-000000000000";

std::string refusal(std::string_view scope, std::string_view path, std::string_view subject = {}) {
  const Status status = check_storage_path(scope, path, subject);
  if (status) return "";
  CHECK(status.error().code.number == 403);
  return status.error().text;
}

}  // namespace

TEST_CASE("a scope may write below its own directory only") {
  CHECK(refusal("hub", "hub/foo").empty());
  CHECK(refusal("hub", "projects/" + kId + "/x").empty());
  CHECK(refusal("project-" + kId, "projects/" + kId + "/a/b").empty());
  CHECK(refusal("account-" + kId, "accounts/" + kId + "/\xC3\xA4 \xE2\x82\xAC").empty());
  CHECK(refusal("project-" + kId, "hub/foo", "persist.project-" + kId + ".server.0.t4eni4YEQv") ==
        "permission denied: subject 'persist.project-" + kId +
            ".server.0.t4eni4YEQv' does not grant write permission to path='hub/foo' since it is "
            "not under 'projects/" +
            kId + "/'");
  CHECK_FALSE(refusal("project-" + kId, "accounts/" + kId + "/x").empty());
  CHECK_FALSE(refusal("account-" + kId, "accounts/" + kId).empty());
  CHECK_FALSE(refusal("account-" + kId, "accounts/" + kId + "x/y").empty());
}

TEST_CASE("a storage path must be normalized and of bounded length") {
  CHECK(refusal("hub", "hub/../foo") == "permission denied: path 'hub/../foo' is not normalized");
  for (const char* path : {"", "a//b", "./a", "a/.", "a/..", "..", ".", "a/./b"}) {
    INFO(path);
    CHECK(refusal("hub", path).find("is not normalized") != std::string::npos);
  }
  CHECK_FALSE(refusal("hub", "/a").empty());
  CHECK_FALSE(refusal("hub", "a/").empty());
  CHECK(refusal("hub", "a/...").empty());
  CHECK(refusal("hub", "a/.b").empty());
  CHECK(refusal("hub", std::string(4000, 'a')).empty());
  CHECK_FALSE(refusal("hub", std::string(4001, 'a')).empty());
}

TEST_CASE("only hub, accounts and projects with ids of 36 characters are scopes") {
  for (const std::string& scope :
       {std::string("project-short"), "project-" + kId + "0", "projekt-" + kId, std::string(""),
        "account_" + kId, "project-" + kId.substr(1) + "/", "hub-" + kId}) {
    INFO(scope);
    CHECK(refusal(scope, "hub/foo") == "invalid subject");
  }
}

TEST_CASE("the server of a scope is the hash of its UTF-16 units in 32 bits") {
  // h = 31 * h + unit: "hub" is 104*961 + 117*31 + 98 = 103669.
  CHECK(persist_server_index("hub", 1000) == 669);
  CHECK(persist_server_index("", 7) == 0);
  CHECK(persist_server_index("hub", 1) == 0);
  // U+20AC is one unit of 8364, U+1F600 is two: 55357 * 31 + 56832 = 1772899.
  CHECK(persist_server_index("\xE2\x82\xAC", 10'000) == 8364);
  CHECK(persist_server_index("\xF0\x9F\x98\x80", 10'000'000) == 1'772'899);
  // "polygenelubricants" hashes to the smallest 32-bit number, whose magnitude is 2^31.
  CHECK(persist_server_index("polygenelubricants", 3'000'000'000u) == 2'147'483'648u);
}
