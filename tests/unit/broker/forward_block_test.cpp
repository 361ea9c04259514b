// What is packed for a sibling comes out the same.
#include "conat/broker/forward_block.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace conat;

namespace {

struct Original {
  std::string subject;
  std::string id;
  Bytes elements;
  std::vector<Bytes> attachments;
  std::vector<peer::Group> groups;
  PacketEncoding encoding = PacketEncoding::text;
  std::uint64_t sequence = 0;
  bool done = true;
};

void add(peer::ForwardBlock& block, const Original& original, peer::ForwardBlock::SharedBody& body,
         peer::Sender sender) {
  const std::vector<ByteView> views(original.attachments.begin(), original.attachments.end());
  Tail tail;
  tail.encoding = original.encoding;
  tail.elements = original.elements;
  tail.count = 5;
  tail.attachments = views;
  tail.head = {original.id, original.sequence, original.done};
  block.add({{original.subject, tail}, original.groups, sender}, body);
}

void check(const peer::ForwardedPublish& read, const Original& original, peer::Sender sender) {
  const Tail& tail = read.publish.tail;
  CHECK(read.sender == sender);
  CHECK(std::vector<peer::Group>(read.groups.begin(), read.groups.end()) == original.groups);
  CHECK(read.publish.subject == original.subject);
  CHECK(tail.encoding == original.encoding);
  CHECK(to_bytes(tail.elements) == original.elements);
  CHECK(tail.count == 5);
  REQUIRE(tail.attachments.size() == original.attachments.size());
  for (std::size_t i = 0; i < original.attachments.size(); ++i) {
    CHECK(to_bytes(tail.attachments[i]) == original.attachments[i]);
  }
  CHECK(tail.head.id == original.id);
  CHECK(tail.head.sequence == original.sequence);
  CHECK(tail.head.done == original.done);
}

Bytes filled(std::size_t size, std::uint8_t with) { return Bytes(size, with); }

std::vector<Original> originals() {
  const std::size_t large = peer::ForwardBlock::shared_from_bytes;
  return {
      {"a", "", {}, {}, {1}},
      {"some.subject", "id-7", filled(13, 1), {filled(3, 2)}, {5, 6, 7}},
      {"b", "x", filled(large, 3), {}, {8}, PacketEncoding::msgpack, 3, false},
      {"c.d", "", filled(5, 4), {filled(0, 0), filled(large, 5), filled(1, 6)}, {}},
      {"e", "", filled(1, 7), {}, std::vector<peer::Group>(500, 9)},
  };
}

}  // namespace

TEST_CASE("publishes come out of a block as they went in", "[broker][shards]") {
  const std::vector<Original> all = originals();
  peer::ForwardBlock block;
  CHECK(peer::ForwardReader(block).next() == nullptr);
  for (std::size_t i = 0; i < all.size(); ++i) {
    peer::ForwardBlock::SharedBody body;
    add(block, all[i], body, 100 + i);
    CHECK((body != nullptr) == (i == 2 || i == 3));
  }
  CHECK(block.count() == all.size());
  // Moved as to another thread: what is read views the new place.
  const peer::ForwardBlock moved = std::move(block);
  peer::ForwardReader reader(moved);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const peer::ForwardedPublish* read = reader.next();
    REQUIRE(read != nullptr);
    check(*read, all[i], 100 + i);
  }
  CHECK(reader.next() == nullptr);
}

TEST_CASE("blocks share the body of a large publish", "[broker][shards]") {
  const Original large = originals()[2];
  peer::ForwardBlock one;
  peer::ForwardBlock other;
  peer::ForwardBlock::SharedBody body;
  add(one, large, body, 1);
  const Bytes* copy = body.get();
  add(other, large, body, 1);
  CHECK(body.get() == copy);
  CHECK(body.use_count() == 3);
  CHECK(other.memory_bytes() > large.elements.size());
  peer::ForwardReader reader(other);
  check(*reader.next(), large, 1);
}

TEST_CASE("a block says when it is full", "[broker][shards]") {
  const Original small{"a.b", "", filled(100, 1), {}, {1}};
  peer::ForwardBlock block;
  peer::ForwardBlock::SharedBody body;
  while (!block.full()) add(block, small, body, 1);
  CHECK(block.count() > 200);
  CHECK(block.count() < 700);
  CHECK(block.memory_bytes() < 3 * peer::ForwardBlock::full_bytes);
}
