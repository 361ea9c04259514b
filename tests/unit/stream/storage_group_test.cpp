#include "conat/stream/storage_group.hpp"

#include "unit/stream/stream_fixture.hpp"

using namespace conat;
using namespace conat::test;

namespace {

struct Group {
  explicit Group(StreamFixture& fixture) : f(fixture) {}
  void add(StorageCommand command) { requests.push_back({next_token++, std::move(command)}); }
  StorageResult run(const StorageGroupLimits& limits = {}) {
    StorageResult result = run_storage_group(*f.stream, 7, f.now, requests, consumed, limits);
    REQUIRE(result.items.size() == consumed);
    return result;
  }
  StreamFixture& f;
  std::vector<StorageRequest> requests;
  std::uint64_t next_token = 100;
  std::size_t consumed = 0;
};

}  // namespace

TEST_CASE("a group answers every command, in order") {
  StreamFixture f;
  Group group(f);
  group.add(f.request("a", "k"));
  group.add(StorageGet{std::nullopt, "k"});
  group.add(StorageSetMany{{f.request("b"), f.request("c", "k")}});
  group.add(StorageGet{2, std::nullopt});
  group.add(StorageGet{1, std::nullopt});
  group.add(StorageKeys{});
  group.add(StorageInventory{});
  group.add(StorageGetAll{0, 0, 1000});
  group.add(DeleteRequest{.seq = 2});
  group.add(StorageConfigure{Value(Value::Map{{"max_msgs", 9}})});
  group.add(StorageConfigure{Value()});
  group.add(StorageEnforce{});
  const StorageResult result = group.run();
  REQUIRE(result.stream == 7);
  REQUIRE(group.consumed == 12);
  REQUIRE(result.items[0].token == 100);
  REQUIRE(std::get<SetResult>(*result.items[0].answer).seq == 1);
  REQUIRE(std::get<std::optional<StoredMessage>>(*result.items[1].answer)->seq == 1);
  const auto& many = std::get<std::vector<Result<SetResult>>>(*result.items[2].answer);
  REQUIRE(many.size() == 2);
  REQUIRE(many[1]->seq == 3);
  REQUIRE(std::get<std::optional<StoredMessage>>(*result.items[3].answer)->seq == 2);
  REQUIRE(!std::get<std::optional<StoredMessage>>(*result.items[4].answer).has_value());
  REQUIRE(std::get<Texts>(*result.items[5].answer) == Texts{"k"});
  REQUIRE(std::get<StorageInventoryResult>(*result.items[6].answer).inventory.count == 2);
  REQUIRE(std::get<StorageRange>(*result.items[7].answer).messages.size() == 2);
  REQUIRE(std::get<Seqs>(*result.items[8].answer) == Seqs{2});
  REQUIRE(std::get<Value>(*result.items[9].answer).find("max_msgs")->integer_or(0) == 9);
  REQUIRE(std::get<Value>(*result.items[10].answer).find("max_msgs")->integer_or(0) == 9);
  REQUIRE(std::holds_alternative<Nothing>(*result.items[11].answer));
  REQUIRE(result.changes.size() == 4);
}

TEST_CASE("reading and asking need no transaction") {
  StreamFixture f;
  Group group(f);
  f.store.fail_after(0);  // would fail a commit
  group.add(StorageKeys{});
  group.add(StorageConfigure{Value(Value::Map{})});
  group.add(StorageEnforce{});
  const StorageResult result = group.run();
  for (const auto& item : result.items) REQUIRE(item.answer.ok());
  REQUIRE(f.store.armed());
}

TEST_CASE("each item of setMany stands for itself") {
  StreamFixture f;
  f.configure("max_msg_size", 3);
  Group group(f);
  group.add(StorageSetMany{{f.request("a"), f.request("long"), f.request("b")}});
  const StorageResult result = group.run();
  const auto& many = std::get<std::vector<Result<SetResult>>>(*result.items[0].answer);
  REQUIRE(many[0]->seq == 1);
  REQUIRE(many[1].error().code.word == "reject");
  REQUIRE(many[2]->seq == 2);
}

TEST_CASE("a failed commit turns writes into the error and repeats reads") {
  StreamFixture f;
  f.put("old", "k");
  Group group(f);
  group.add(StorageGet{std::nullopt, "k"});
  group.add(f.request("new", "k"));
  group.add(StorageGet{std::nullopt, "k"});
  group.add(StorageSetMany{{f.request("x")}});
  group.add(StorageInventory{});
  f.store.fail_after(3);  // erase, insert, insert, commit
  const StorageResult result = group.run();
  REQUIRE(std::get<std::optional<StoredMessage>>(*result.items[0].answer)->seq == 1);
  REQUIRE(result.items[1].answer.error().code.number == 507);
  const auto& read = std::get<std::optional<StoredMessage>>(*result.items[2].answer);
  REQUIRE(as_text(read->raw) == "old");
  REQUIRE(result.items[3].answer.error().code.number == 507);
  REQUIRE(std::get<StorageInventoryResult>(*result.items[4].answer).inventory.count == 1);
  REQUIRE(result.changes.empty());
}

TEST_CASE("a group ends when it is large enough") {
  StreamFixture f;
  Group group(f);
  for (int i = 0; i < 10; ++i) group.add(f.request(std::string(1000, 'x')));
  SECTION("by commands") {
    group.run({.max_requests = 3});
    REQUIRE(group.consumed == 3);
  }
  SECTION("by bytes") {
    group.run({.max_bytes = 2000});
    REQUIRE(group.consumed == 2);
  }
  SECTION("at least one") {
    group.run({.max_bytes = 1});
    REQUIRE(group.consumed == 1);
  }
  SECTION("by answers") {
    group.run();
    group.requests.clear();
    for (int i = 0; i < 5; ++i) group.add(StorageGetAll{0, 0, 100'000});
    group.run({.max_answer_bytes = 20'000});
    REQUIRE(group.consumed == 2);
  }
  REQUIRE(f.stream->totals().count >= 1);
}

TEST_CASE("the bytes of commands are counted") {
  StreamFixture f;
  const std::string big(5000, 'x');
  REQUIRE(storage_command_bytes(f.request(big)) >= 5000);
  REQUIRE(storage_command_bytes(StorageSetMany{{f.request(big), f.request(big)}}) >= 10'000);
  REQUIRE(storage_command_bytes(StorageGet{std::nullopt, big}) >= 5000);
  REQUIRE(storage_command_bytes(DeleteRequest{.seqs = Seqs(1000)}) >= 8000);
  REQUIRE(storage_command_bytes(StorageConfigure{Value(Value::Map{
              {"desc", Value(Value::Array{Value(big), Value(Bytes(5000))})}})}) >= 10'000);
  REQUIRE(storage_command_bytes(StorageKeys{}) > 0);
}
