#include "conat/sync/core_stream_store.hpp"

#include <catch2/catch.hpp>

namespace conat {
namespace {

StreamMessage message_of(StreamSequence seq, const Value& value,
                         std::optional<std::string> key = std::nullopt) {
  StreamMessage message;
  message.seq = seq;
  message.time = 1000 + seq;
  message.key = std::move(key);
  message.raw = encode_msgpack(value);
  return message;
}

StreamMessage tombstone(StreamSequence seq, std::string key) {
  StreamMessage message = message_of(seq, Value(), std::move(key));
  message.headers.set(header::tombstone, Value(true));
  return message;
}

StreamUpdate set(StreamMessage message) {
  StreamUpdate update;
  update.message = std::move(message);
  return update;
}

StreamUpdate gone(std::vector<StreamSequence> seqs) {
  StreamUpdate update;
  update.is_delete = true;
  update.deleted = std::move(seqs);
  return update;
}

std::vector<StreamSequence> seqs(const CoreStreamStore& store) {
  std::vector<StreamSequence> found;
  for (std::size_t i = 0; i < store.log().size(); ++i) found.push_back(store.log().at(i).seq);
  return found;
}

std::vector<std::string> keys(const CoreStreamStore& store) {
  std::vector<std::string> found;
  store.for_each_key([&](std::string_view key, StreamSequence) { found.emplace_back(key); });
  return found;
}

using Seqs = std::vector<StreamSequence>;
using Texts = std::vector<std::string>;

TEST_CASE("a keyed message replaces the older one of its key, and the key keeps its place") {
  CoreStreamStore store(0);
  CoreStreamStore::Changes told;
  store.on_updates({set(message_of(1, Value("a1"), "a")), set(message_of(2, Value("b"), "b")),
                    set(message_of(3, Value("plain"))), set(message_of(4, Value("a2"), "a"))},
                   &told);
  CHECK(seqs(store) == Seqs{2, 3, 4});
  CHECK(keys(store) == Texts{"a", "b"});
  CHECK(store.key_seq("a") == 4);
  REQUIRE(told.size() == 4);
  CHECK_FALSE(told[0].previous);
  REQUIRE(told[3].previous);
  CHECK(decode_msgpack(told[3].previous->raw).value() == Value("a1"));
}

TEST_CASE("a tombstone deletes its key and stays a message") {
  CoreStreamStore store(0);
  CoreStreamStore::Changes told;
  store.on_updates({set(message_of(1, Value(1), "a")), set(tombstone(2, "a"))}, &told);
  CHECK(seqs(store) == Seqs{2});
  CHECK_FALSE(store.key_seq("a"));
  CHECK(store.key_count() == 0);
  CHECK(told[1].tombstone);
  CHECK(told[1].previous);
  told.clear();
  store.on_updates({set(message_of(3, Value(2), "a"))}, &told);
  CHECK(seqs(store) == Seqs{3});
  CHECK_FALSE(told[0].previous);
  CHECK(keys(store) == Texts{"a"});
}

TEST_CASE("a delete takes out what it names, once, and tells what it was") {
  CoreStreamStore store(0);
  CoreStreamStore::Changes told;
  store.on_updates({set(message_of(1, Value(1), "a")), set(message_of(2, Value(2)))}, nullptr);
  store.on_updates({gone({1, 2, 77})}, &told);
  CHECK(seqs(store).empty());
  CHECK(keys(store).empty());
  REQUIRE(told.size() == 2);
  CHECK(told[0].is_delete);
  CHECK(told[0].key == "a");
  CHECK(told[0].previous);
  CHECK(told[1].seq == 2);
  CHECK_FALSE(told[1].previous);
  told.clear();
  store.forget({1, 2}, &told);
  CHECK(told.empty());
  // A message that was told before is not set again.
  store.on_updates({set(message_of(2, Value(2)))}, &told);
  CHECK(told.empty());
}

TEST_CASE("a complete snapshot tells what went and what came while nobody listened") {
  CoreStreamStore store(0);
  store.on_snapshot(true,
                    {message_of(1, Value(1), "a"), message_of(2, Value(2)), message_of(3, Value(3)),
                     message_of(4, Value(4), "gone")},
                    nullptr);
  CoreStreamStore::Changes told;
  store.on_snapshot(
      true, {message_of(2, Value(2)), message_of(5, Value(5)), message_of(6, Value(6), "a")},
      &told);
  CHECK(seqs(store) == Seqs{2, 5, 6});
  CHECK(keys(store) == Texts{"a"});
  REQUIRE(told.size() == 4);
  CHECK((told[0].is_delete && told[0].seq == 3));
  CHECK((told[1].is_delete && told[1].seq == 4));
  CHECK((!told[2].is_delete && told[2].seq == 5));
  CHECK((!told[3].is_delete && told[3].seq == 6 && told[3].previous));
  CHECK(store.seen_seq() == 6);
}

TEST_CASE("a stream that began anew replaces everything") {
  CoreStreamStore store(0);
  store.on_snapshot(true, {message_of(1, Value(1), "a"), message_of(7, Value(7), "b")}, nullptr);
  StreamMessage other = message_of(1, Value("other"), "b");
  other.time = 5;
  CoreStreamStore::Changes told;
  store.on_snapshot(true, {other}, &told);
  CHECK(seqs(store) == Seqs{1});
  CHECK(keys(store) == Texts{"b"});
  CHECK(store.seen_seq() == 1);
  store.on_updates({set(message_of(2, Value(2)))}, &told);
  CHECK(seqs(store) == Seqs{1, 2});
}

TEST_CASE("history comes before what is there, without what newer messages replaced") {
  CoreStreamStore store(10);
  store.on_snapshot(true, {message_of(10, Value(10)), message_of(11, Value(11), "a")}, nullptr);
  CoreStreamStore::Changes told;
  store.on_history(0,
                   {message_of(1, Value(1)), message_of(2, Value(2), "a"),
                    message_of(3, Value(3), "b"), message_of(10, Value(10))},
                   &told);
  CHECK(seqs(store) == Seqs{1, 3, 10, 11});
  CHECK(store.key_seq("a") == 11);
  CHECK(store.key_seq("b") == 3);
  CHECK(store.start_seq() == 0);
  REQUIRE(told.size() == 2);
  CHECK(told[0].seq == 1);
  CHECK(told[1].seq == 3);
}

}  // namespace
}  // namespace conat
