#include "unit/stream/stream_fixture.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("sequence numbers grow and are never used again") {
  StreamFixture f;
  REQUIRE(f.set("a")->seq == 1);
  REQUIRE(f.set("b")->seq == 2);
  REQUIRE(f.set("c")->time == f.now);
  REQUIRE(*f.erase({.all = true}) == Seqs{1, 2, 3});
  REQUIRE(f.set("d")->seq == 4);
  REQUIRE(*f.erase({.all = true}) == Seqs{4});
  f.open();
  REQUIRE(f.set("e")->seq == 5);
}

TEST_CASE("a key replaces its message without a delete change") {
  StreamFixture f;
  f.put("one", "k");
  f.put("other", "x");
  f.put("two", "k");
  REQUIRE(f.present() == Seqs{2, 3});
  REQUIRE(f.take_changes() == Texts{"set 1 ", "set 2 ", "set 3 "});
  REQUIRE(as_text((*f.stream->get_key("k"))->raw) == "two");
  REQUIRE(*f.stream->keys() == Texts{"k", "x"});
  REQUIRE(f.stream->totals().count == 2);
  REQUIRE(f.stream->totals().bytes == 5 + 1 + 3 + 1);
}

TEST_CASE("the empty key is a key") {
  StreamFixture f;
  f.put("one", "");
  f.put("none");
  f.put("two", "");
  REQUIRE(f.present() == Seqs{2, 3});
  REQUIRE((*f.stream->get_key(""))->seq == 3);
  REQUIRE(*f.stream->keys() == Texts{""});
  REQUIRE(!(*f.stream->get(2))->key.has_value());
}

TEST_CASE("previousSeq must be the key's current sequence number") {
  StreamFixture f;
  f.put("one", "k");
  SetRequest request = f.request("two", "k");
  const auto refused = [&](StreamSequence previous) {
    request.previous_seq = previous;
    const auto result = f.set(request);
    REQUIRE(!result.ok());
    REQUIRE(result.error().code.word == "wrong-last-sequence");
    REQUIRE(result.error().text == "wrong last sequence");
  };
  refused(77);
  refused(0);
  REQUIRE(f.take_changes() == Texts{"set 1 "});
  request.previous_seq = 1;
  REQUIRE(f.set(request)->seq == 2);
  // No such key: there is nothing to follow.
  request.key = "new";
  refused(5);
  refused(0);
  // Without a key it means nothing.
  request.key.reset();
  request.previous_seq = 99;
  REQUIRE(f.set(request)->seq == 3);
}

TEST_CASE("the same msgID within two minutes returns the first answer") {
  StreamFixture f;
  SetRequest request = f.request("one", "k");
  request.message_id = "m1";
  const auto first = f.set(request);
  f.put("between");
  f.take_changes();
  f.now += 119'999;
  request.raw = to_bytes("two");
  const auto again = f.set(request);
  REQUIRE(again->seq == first->seq);
  REQUIRE(again->time == first->time);
  REQUIRE(f.take_changes().empty());
  REQUIRE(as_text((*f.stream->get_key("k"))->raw) == "one");
  f.now += 1;
  REQUIRE(f.set(request)->seq == 3);

  SECTION("and the later use counts anew") {
    f.now += 100'000;
    REQUIRE(f.set(request)->seq == 3);
    f.now += 20'000;
    REQUIRE(f.set(request)->seq == 4);
  }
}

TEST_CASE("msgIDs survive a restart, and their message") {
  StreamFixture f;
  SetRequest request = f.request("one", "k");
  request.message_id = "m1";
  f.put(request);
  f.put("newer", "k");
  REQUIRE(f.erase({.all = true}).ok());
  f.now += 60'000;
  f.open();
  REQUIRE(f.set(request)->seq == 1);
  REQUIRE(f.present().empty());
  f.now += 60'000;
  f.open();
  REQUIRE(f.set(request)->seq == 3);
}

TEST_CASE("a msgID of a group that failed is forgotten") {
  StreamFixture f;
  SetRequest request = f.request("one");
  request.message_id = "m1";
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, request).ok());
  f.store.fail_after(0);
  REQUIRE(!f.stream->commit_group().ok());
  f.put("other");
  REQUIRE(f.set(request)->seq == 2);
  REQUIRE(f.set(request)->seq == 2);
}

TEST_CASE("within a group a duplicate is recognized too") {
  StreamFixture f;
  SetRequest request = f.request("one");
  request.message_id = "m1";
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, request)->seq == 1);
  REQUIRE(f.stream->set(f.now, request)->seq == 1);
  REQUIRE(f.stream->commit_group().ok());
}

TEST_CASE("past their time, msgIDs leave the store as well") {
  StreamFixture f;
  for (int i = 0; i < 300; ++i) {
    SetRequest request = f.request("x");
    request.message_id = "id" + std::to_string(i);
    f.put(request);
  }
  REQUIRE(f.memory.message_ids(0)->size() == 300);
  REQUIRE(f.stream->needs_enforcement());
  REQUIRE(!f.stream->enforcement_due(f.now + 119'999));
  f.now += 120'000;
  REQUIRE(f.stream->enforcement_due(f.now));
  f.enforce();
  REQUIRE(f.memory.message_ids(0)->empty());
  REQUIRE(!f.stream->needs_enforcement());
  REQUIRE(f.present().size() == 300);
}

TEST_CASE("a msgID has a bounded length") {
  StreamFixture f;
  SetRequest request = f.request("x");
  request.message_id = std::string(1024, 'i');
  REQUIRE(f.set(request).ok());
  request.message_id += "i";
  REQUIRE(f.set(request).error().code.number == 400);
}

TEST_CASE("size counts raw, headers and key") {
  StreamFixture f;
  SetRequest request = f.request("12345", "kk");
  request.headers_json = "{\"a\":1}";
  f.put(request);
  const auto message = *f.stream->get(1);
  REQUIRE(message->size == 5 + 2 + 7);
  REQUIRE(f.stream->inventory()->bytes == 14);
  REQUIRE(message->headers_json == "{\"a\":1}");
}

TEST_CASE("a message's change carries all of it") {
  StreamFixture f;
  SetRequest request = f.request("raw", "k");
  request.headers_json = "{}";
  request.message_id = "m";
  request.encoding = PayloadEncoding::json;
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, request).ok());
  REQUIRE(f.stream->commit_group().ok());
  const auto changes = f.stream->take_changes();
  REQUIRE(changes.size() == 1);
  const StoredMessage& message = changes[0].message;
  REQUIRE(message.seq == 1);
  REQUIRE(message.time == f.now);
  REQUIRE(*message.key == "k");
  REQUIRE(as_text(message.raw) == "raw");
  REQUIRE(message.headers_json == "{}");
  REQUIRE(message.message_id == "m");
  REQUIRE(message.encoding == PayloadEncoding::json);
  REQUIRE(f.stream->take_changes().empty());
}

TEST_CASE("delete: precedence, answers, changes") {
  StreamFixture f;
  for (int i = 0; i < 6; ++i) f.put("x");
  f.take_changes();
  REQUIRE(*f.erase({.seq = 2, .seqs = Seqs{1}}) == Seqs{2});
  REQUIRE(*f.erase({.seq = 2}) == Seqs{});
  // `seqs` is repeated as asked.
  REQUIRE(*f.erase({.seqs = Seqs{6, 99, 4}}) == Seqs{6, 99, 4});
  REQUIRE(*f.erase({.last_seq = 3, .seq = 5}) == Seqs{1, 3});
  REQUIRE(*f.erase({}) == Seqs{});
  REQUIRE(*f.erase({.all = true, .last_seq = 1}) == Seqs{5});
  REQUIRE(*f.erase({.all = true}) == Seqs{});
  REQUIRE(f.take_changes() == Texts{"delete 2", "delete 6 99 4", "delete 1 3", "delete 5"});
  REQUIRE(f.stream->totals().count == 0);
  REQUIRE(f.stream->totals().bytes == 0);
  REQUIRE(f.stream->inventory()->seq == 0);
}

TEST_CASE("get_range goes on where it stopped") {
  StreamFixture f;
  for (int i = 0; i < 5; ++i) f.put(std::string(100, 'x'));
  std::vector<StoredMessage> out;
  auto next = f.stream->get_range(0, 0, 1, out);
  REQUIRE(**next == 2);
  next = f.stream->get_range(2, 4, 300, out);
  REQUIRE(**next == 4);
  next = f.stream->get_range(4, 4, 1, out);
  REQUIRE(!next->has_value());
  REQUIRE(out.size() == 4);
  next = f.stream->get_range(6, 0, 1, out);
  REQUIRE(!next->has_value());
  next = f.stream->get_range(3, 2, 0, out);
  REQUIRE(!next->has_value());
  REQUIRE(out.size() == 4);
}

TEST_CASE("a read inside a group sees the group's writes") {
  StreamFixture f;
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(f.stream->set(f.now, f.request("x", "k")).ok());
  REQUIRE((*f.stream->get_key("k"))->seq == 1);
  REQUIRE(f.stream->inventory()->count == 1);
  REQUIRE(f.stream->commit_group().ok());
}

TEST_CASE("writing needs a group") {
  StreamFixture f;
  REQUIRE(!f.stream->set(f.now, f.request("x")).ok());
  REQUIRE(!f.stream->commit_group().ok());
  REQUIRE(f.stream->begin_group().ok());
  REQUIRE(!f.stream->begin_group().ok());
  REQUIRE(f.stream->commit_group().ok());
}
