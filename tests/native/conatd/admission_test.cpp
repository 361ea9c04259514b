// Counting connections and their users.
#include "broker/admission.hpp"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "broker/log.hpp"
#include "conat/wire/codec.hpp"

namespace conat::server {
namespace {

Value user(std::string_view text) { return *decode_json(text); }

using Tickets = std::vector<Admission::Ticket>;

bool admitted(Admission& admission, std::string_view who, Tickets& tickets) {
  Admission::Verdict verdict = admission.admit(user(who));
  if (!verdict.ticket) {
    CHECK(verdict.refusal.find("code")->integer_or(0) == 429);
    return false;
  }
  CHECK(verdict.refusal.is_null());
  tickets.push_back(std::move(*verdict.ticket));
  return true;
}

}  // namespace

TEST_CASE("Users are told apart by their JSON with sorted keys") {
  CHECK(sorted_json(user(R"({"b":1,"a":[{"d":1,"c":2}]})")) == R"({"a":[{"c":2,"d":1}],"b":1})");
  CHECK(sorted_json(Value()) == "null");
  Admission admission(0, 0);
  Tickets tickets;
  CHECK(admitted(admission, R"({"account_id":"x","first":1})", tickets));
  CHECK(admitted(admission, R"({"first":1,"account_id":"x"})", tickets));
  CHECK(admitted(admission, "null", tickets));
  const Admission::Usage usage = admission.usage();
  CHECK(usage.total == 3);
  REQUIRE(usage.per_user.size() == 2);
  CHECK(usage.per_user[0].first == "null");
  CHECK(usage.per_user[1].first == R"({"account_id":"x","first":1})");
  CHECK(usage.per_user[1].second == 2);
}

TEST_CASE("A limit for each user, and one in total") {
  Admission admission(4, 2);
  Tickets tickets;
  CHECK(admitted(admission, R"({"account_id":"a"})", tickets));
  CHECK(admitted(admission, R"({"account_id":"a"})", tickets));
  CHECK_FALSE(admitted(admission, R"({"account_id":"a"})", tickets));
  CHECK(admitted(admission, R"({"account_id":"b"})", tickets));
  CHECK(admitted(admission, R"({"project_id":"a"})", tickets));
  CHECK_FALSE(admitted(admission, "null", tickets));
  CHECK(admission.usage().total == 4);
  tickets.erase(tickets.begin());
  CHECK(admitted(admission, R"({"account_id":"a"})", tickets));
  tickets.clear();
  CHECK(admission.usage().total == 0);
  CHECK(admission.usage().per_user.empty());
}

TEST_CASE("A ticket counts once, wherever it is moved") {
  Admission admission(0, 1);
  Admission::Ticket kept;
  {
    Admission::Verdict verdict = admission.admit(Value());
    REQUIRE(verdict.ticket);
    kept = std::move(*verdict.ticket);
  }
  CHECK(admission.usage().total == 1);
  Admission::Ticket other(std::move(kept));
  CHECK(admission.usage().total == 1);
  other = Admission::Ticket();
  CHECK(admission.usage().total == 0);
  CHECK(admission.admit(Value()).ticket);
}

TEST_CASE("Shards admit and release at the same time") {
  constexpr int rounds = 2000;
  Admission admission(0, 3);
  std::vector<std::thread> threads;
  std::atomic<int> most{0};
  std::atomic<int> now{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        Admission::Verdict verdict = admission.admit(Value());
        if (!verdict.ticket) continue;
        const int count = ++now;
        int seen = most;
        while (count > seen && !most.compare_exchange_weak(seen, count)) continue;
        --now;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(most >= 1);
  CHECK(most <= 3);
  CHECK(admission.usage().total == 0);
  CHECK(admission.usage().per_user.empty());
}

TEST_CASE("Lines that clients cause are limited in each second, and the rest is counted") {
  LogLimit limit(3);
  std::uint64_t left_out = 99;
  for (int i = 0; i < 3; ++i) {
    CHECK(limit.pass(10'000, left_out));
    CHECK(left_out == 0);
  }
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.pass(10'500, left_out));
  CHECK(limit.pass(11'000, left_out));
  CHECK(left_out == 5);
  CHECK(limit.pass(11'001, left_out));
  CHECK(left_out == 0);
}

}  // namespace conat::server
