#include "conat/wire/chunks.hpp"

#include <catch2/catch.hpp>

#include "conat/base/limits.hpp"

using namespace conat;

namespace {

TailFields chunk(std::string_view id, std::uint64_t sequence, bool done, std::string_view raw,
                 Bytes headers = {}) {
  TailFields fields;
  fields.id = id;
  fields.sequence = sequence;
  fields.done = done;
  fields.payload_encoding = 1;
  fields.raw = as_bytes(raw);
  fields.headers = std::move(headers);
  return fields;
}

std::string raw_of(const std::optional<MessageData>& message) {
  return message ? std::string(as_text(message->raw)) : "none";
}

constexpr TimeMs kTtl = limits::partial_message_ttl_ms;

}  // namespace

TEST_CASE("chunks have what the headers leave of a message", "[chunks]") {
  CHECK(chunk_size(8'000'000) == 7'900'000);
  CHECK(chunk_size(limits::assumed_max_payload_bytes) == 900'000);
  CHECK(chunk_size(100'000) == 1000);
  CHECK(chunk_size(101'001) == 1001);
  CHECK(chunk_size(0) == 1000);
}

TEST_CASE("a message in one chunk passes at once", "[chunks]") {
  Reassembler reassembler;
  const auto message = reassembler.add(0, 1, chunk("a", 0, true, "x", {0x80}));
  REQUIRE(message.has_value());
  CHECK(raw_of(message) == "x");
  CHECK(message->encoding == PayloadEncoding::json);
  CHECK(message->headers.encoded() == Bytes{0x80});
  CHECK(reassembler.held_bytes() == 0);
  CHECK_FALSE(reassembler.deadline().has_value());
}

TEST_CASE("chunks are joined in order", "[chunks]") {
  Reassembler reassembler;
  CHECK_FALSE(reassembler.add(0, 1, chunk("a", 0, false, "one ")).has_value());
  CHECK_FALSE(reassembler.add(0, 1, chunk("b", 0, false, "other ")).has_value());
  CHECK_FALSE(reassembler.add(0, 2, chunk("a", 0, false, "stream ")).has_value());
  CHECK_FALSE(reassembler.add(0, 1, chunk("a", 1, false, "two ")).has_value());
  CHECK(raw_of(reassembler.add(0, 1, chunk("c", 0, true, "whole"))) == "whole");
  CHECK(reassembler.held_bytes() > 0);
  const auto message = reassembler.add(0, 1, chunk("a", 2, true, "three", {0x80}));
  CHECK(raw_of(message) == "one two three");
  CHECK(message->headers.encoded() == Bytes{0x80});
  CHECK(raw_of(reassembler.add(0, 1, chunk("b", 1, true, "b"))) == "other b");
  CHECK(raw_of(reassembler.add(0, 2, chunk("a", 1, true, "a"))) == "stream a");
  CHECK(reassembler.held_bytes() == 0);
  CHECK(reassembler.discarded() == 0);
}

TEST_CASE("a chunk out of sequence discards its message", "[chunks]") {
  Reassembler reassembler;
  reassembler.add(0, 1, chunk("a", 0, false, "x"));
  CHECK_FALSE(reassembler.add(0, 1, chunk("a", 2, false, "z")).has_value());
  CHECK(reassembler.discarded() == 1);
  CHECK(reassembler.held_bytes() == 0);
  CHECK_FALSE(reassembler.add(0, 1, chunk("a", 3, true, "!")).has_value());
  CHECK(reassembler.discarded() == 2);
  // The same chunk again is out of sequence as well.
  reassembler.add(0, 1, chunk("b", 0, false, "x"));
  reassembler.add(0, 1, chunk("b", 1, false, "y"));
  CHECK_FALSE(reassembler.add(0, 1, chunk("b", 1, true, "y")).has_value());
  CHECK(reassembler.discarded() == 3);
}

TEST_CASE("a first chunk begins its message anew", "[chunks]") {
  Reassembler reassembler;
  reassembler.add(0, 1, chunk("a", 0, false, "old "));
  reassembler.add(0, 1, chunk("a", 0, false, "new "));
  CHECK(reassembler.discarded() == 1);
  CHECK(raw_of(reassembler.add(0, 1, chunk("a", 1, true, "end"))) == "new end");
  reassembler.add(0, 1, chunk("a", 0, false, "old "));
  CHECK(raw_of(reassembler.add(0, 1, chunk("a", 0, true, "whole"))) == "whole");
  CHECK(reassembler.held_bytes() == 0);
}

TEST_CASE("what stays incomplete is dropped after its time", "[chunks]") {
  Reassembler reassembler;
  reassembler.add(1000, 1, chunk("a", 0, false, "x"));
  reassembler.add(2000, 1, chunk("b", 0, false, "x"));
  CHECK(reassembler.deadline() == 1000 + kTtl);
  reassembler.expire(999 + kTtl);
  CHECK(reassembler.discarded() == 0);
  // Time counts from the last chunk.
  reassembler.add(3000, 1, chunk("a", 1, false, "y"));
  CHECK(reassembler.deadline() == 2000 + kTtl);
  reassembler.expire(2000 + kTtl);
  CHECK(reassembler.discarded() == 1);
  CHECK_FALSE(reassembler.add(2000 + kTtl, 1, chunk("b", 1, true, "z")).has_value());
  CHECK(raw_of(reassembler.add(2000 + kTtl, 1, chunk("a", 2, true, "z"))) == "xyz");
  CHECK_FALSE(reassembler.deadline().has_value());
}

TEST_CASE("streams are forgotten alone or all together", "[chunks]") {
  Reassembler reassembler;
  for (std::uint64_t stream = 1; stream <= 3; ++stream) {
    reassembler.add(0, stream, chunk("a", 0, false, "x"));
    reassembler.add(0, stream, chunk("b", 0, false, "x"));
  }
  reassembler.forget(2);
  CHECK(raw_of(reassembler.add(0, 1, chunk("a", 1, true, "y"))) == "xy");
  CHECK(raw_of(reassembler.add(0, 2, chunk("a", 1, true, "y"))) == "none");
  reassembler.clear();
  CHECK(reassembler.held_bytes() == 0);
  CHECK(raw_of(reassembler.add(0, 3, chunk("a", 1, true, "y"))) == "none");
}

TEST_CASE("the number of incomplete messages is bounded", "[chunks]") {
  Reassembler reassembler;
  for (std::size_t i = 0; i <= limits::max_partial_messages; ++i) {
    reassembler.add(static_cast<TimeMs>(i), 1, chunk("m" + std::to_string(i), 0, false, "x"));
  }
  CHECK(reassembler.discarded() == 1);
  const auto now = static_cast<TimeMs>(limits::max_partial_messages + 1);
  CHECK(raw_of(reassembler.add(now, 1, chunk("m0", 1, true, "y"))) == "none");
  CHECK(raw_of(reassembler.add(now, 1, chunk("m1", 1, true, "y"))) == "xy");
}

TEST_CASE("the bytes of incomplete messages are bounded", "[chunks]") {
  constexpr std::size_t kMaxBytes = 1'000'000;
  Reassembler reassembler(kMaxBytes);
  const std::string piece(kMaxBytes / 8, 'x');
  std::uint64_t sequence = 0;
  reassembler.add(0, 1, chunk("waits", 0, false, piece));
  while (reassembler.discarded() == 0) {
    REQUIRE(sequence < 100);
    reassembler.add(1, 1, chunk("grows", sequence++, false, piece));
    CHECK(reassembler.held_bytes() <= kMaxBytes);
  }
  CHECK(raw_of(reassembler.add(2, 1, chunk("waits", 1, true, "y"))) == "none");
  // One message that is too big by itself goes, too.
  while (reassembler.held_bytes() > 0) {
    REQUIRE(sequence < 100);
    reassembler.add(3, 1, chunk("grows", sequence++, false, piece));
  }
}
