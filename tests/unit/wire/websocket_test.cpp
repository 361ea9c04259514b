#include "conat/wire/websocket.hpp"

#include <catch2/catch.hpp>
#include <utility>

#include "conat/base/limits.hpp"
#include "unit/wire/wire_test_util.hpp"

using namespace conat;
using namespace conat::test;
using Step = WebSocketReader::Step;

namespace {

constexpr std::uint32_t kKey = 0x37fa213d;

// Feeds everything in pieces of `size` bytes and tells what came out, in words.
std::vector<std::string> read_all(WebSocketReader& reader, const Bytes& bytes, std::size_t size) {
  std::vector<std::string> events;
  for (std::size_t start = 0; start < bytes.size(); start += size) {
    Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(start),
                bytes.begin() + static_cast<std::ptrdiff_t>(std::min(start + size, bytes.size())));
    reader.feed(piece);
    while (true) {
      const Step step = reader.next();
      if (step == Step::need_more) break;
      const std::string payload(as_text(reader.payload()));
      const std::string code = std::to_string(static_cast<int>(reader.close_code()));
      switch (step) {
        case Step::message:
          events.push_back((reader.binary() ? "binary:" : "text:") + payload);
          break;
        case Step::ping:
          events.push_back("ping:" + payload);
          break;
        case Step::pong:
          events.push_back("pong:" + payload);
          break;
        case Step::close:
          events.push_back("close " + code + ":" + payload);
          break;
        default:
          events.push_back("error " + code);
          return events;
      }
    }
  }
  return events;
}

// The same whatever way the bytes are cut.
std::vector<std::string> read_server(const Bytes& bytes, std::size_t max_bytes = 1000) {
  WebSocketReader whole(WebSocketRole::server, max_bytes);
  const auto events = read_all(whole, bytes, bytes.size());
  for (std::size_t size = 1; size < std::min<std::size_t>(bytes.size(), 20); ++size) {
    WebSocketReader reader(WebSocketRole::server, max_bytes);
    CHECK(read_all(reader, bytes, size) == events);
  }
  return events;
}

Bytes masked(WebSocketOpcode opcode, std::string_view payload) {
  Bytes out;
  append_masked_frame(out, opcode, as_bytes(payload), kKey);
  return out;
}

// A frame whose first byte is given, so that FIN and the reserved bits can be wrong.
Bytes masked_raw(std::uint8_t first, std::string_view payload) {
  Bytes out = masked(WebSocketOpcode::text, payload);
  out[0] = first;
  return out;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

std::vector<std::string> just(const std::string& event) { return {event}; }

}  // namespace

TEST_CASE("the examples of RFC 6455 are read", "[websocket]") {
  // Section 5.7.
  CHECK(read_server(unhex("818537fa213d7f9f4d5158")) == just("text:Hello"));
  CHECK(read_server(unhex("898537fa213d7f9f4d5158")) == just("ping:Hello"));
  CHECK(read_server(unhex("8a8537fa213d7f9f4d5158")) == just("pong:Hello"));
  WebSocketReader client(WebSocketRole::client, 1 << 20);
  CHECK(read_all(client, unhex("810548656c6c6f"), 100) == just("text:Hello"));
  CHECK(read_all(client, unhex("010348656c 80026c6f"), 100) == just("text:Hello"));
  CHECK(read_all(client, joined({unhex("827e0100"), Bytes(256, 'x')}), 1000) ==
        just("binary:" + std::string(256, 'x')));
  CHECK(read_all(client, joined({unhex("827f0000000000010000"), Bytes(65536, 'x')}), 100'000) ==
        just("binary:" + std::string(65536, 'x')));
}

TEST_CASE("frames are written as the RFC has them", "[websocket]") {
  const auto head = [](std::size_t size) {
    return hex(websocket_frame(WebSocketOpcode::binary, Bytes(size))
                   .view()
                   .first(websocket_header_size(size)));
  };
  CHECK(head(0) == "8200");
  CHECK(head(125) == "827d");
  CHECK(head(126) == "827e007e");
  CHECK(head(65535) == "827effff");
  CHECK(head(65536) == "827f0000000000010000");
  CHECK(hex(masked(WebSocketOpcode::text, "Hello")) == "818537fa213d7f9f4d5158");
  CHECK(hex(websocket_close_frame(WebSocketCloseCode::message_too_big).view()) == "880203f1");
  CHECK(hex(websocket_close_frame(WebSocketCloseCode::no_status).view()) == "8800");
  CHECK(hex(websocket_close_frame(WebSocketCloseCode::normal, "bye").view()) == "880503e8627965");
  const WireMessages messages = {text("hi"), binary("01 02")};
  CHECK(hex(websocket_frames(messages).view()) ==
        "81026869"
        "82020102");
  CHECK(websocket_frames({}).empty());
}

TEST_CASE("a long reason is cut between characters", "[websocket]") {
  std::string reason(122, 'x');
  reason += "\xc3\xa4";
  const SharedBytes frame = websocket_close_frame(WebSocketCloseCode::normal, reason);
  CHECK(frame.size() == 2 + 2 + 122);
  const SharedBytes exact =
      websocket_close_frame(WebSocketCloseCode::normal, std::string(123, 'x'));
  CHECK(exact.size() == 2 + 125);
}

TEST_CASE("masking works for every length and offset", "[websocket]") {
  std::string payload;
  for (int i = 0; i < 70; ++i) {
    CHECK(read_server(masked(WebSocketOpcode::binary, payload)) == just("binary:" + payload));
    payload.push_back(static_cast<char>(i * 37));
  }
}

TEST_CASE("fragments are joined and control frames come in between", "[websocket]") {
  CHECK(
      read_server(joined({masked_raw(0x01, "a"), masked_raw(0x89, "p"), masked_raw(0x00, ""),
                          masked_raw(0x8a, "q"), masked_raw(0x80, "b"), masked_raw(0x82, "c")})) ==
      std::vector<std::string>{"ping:p", "pong:q", "text:ab", "binary:c"});
  // A character may be torn apart by fragments.
  CHECK(read_server(joined({masked_raw(0x01, "\xc3"), masked_raw(0x80, "\xa4")})) ==
        just("text:\xc3\xa4"));
}

TEST_CASE("empty messages are messages", "[websocket]") {
  CHECK(read_server(joined({masked_raw(0x81, ""), masked_raw(0x82, ""), masked_raw(0x01, ""),
                            masked_raw(0x80, "")})) ==
        std::vector<std::string>{"text:", "binary:", "text:"});
}

TEST_CASE("a broken protocol is 1002", "[websocket]") {
  const std::vector<std::string> error = just("error 1002");
  CHECK(read_server(masked_raw(0xc1, "a")) == error);  // reserved bits
  CHECK(read_server(masked_raw(0xa1, "a")) == error);
  CHECK(read_server(masked_raw(0x91, "a")) == error);
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    CHECK(read_server(masked_raw(static_cast<std::uint8_t>(0x80 | opcode), "a")) == error);
  }
  CHECK(read_server(masked_raw(0x09, "p")) == error);                    // a ping in fragments
  CHECK(read_server(masked_raw(0x89, std::string(126, 'p'))) == error);  // and one too long
  CHECK(read_server(masked_raw(0x80, "a")) == error);                    // continues nothing
  CHECK(read_server(joined({masked_raw(0x01, "a"), masked_raw(0x81, "b")})) == error);
  CHECK(read_server(unhex("8105")) == error);                          // not masked
  CHECK(read_server(unhex("81fe0005 00000000 6161616161")) == error);  // not the shortest length
  CHECK(read_server(unhex("81ff0000000000000005 00000000 6161616161")) == error);
  CHECK(read_server(unhex("81ff8000000000000000 00000000")) == error);
  WebSocketReader client(WebSocketRole::client, 1000);
  CHECK(read_all(client, masked_raw(0x81, "a"), 100) == error);
}

TEST_CASE("both kinds of masking are taken where it is not checked", "[websocket]") {
  WebSocketReader reader(WebSocketRole::server, 1000, false);
  CHECK(read_all(reader, joined({masked_raw(0x81, "a"), unhex("810162")}), 100) ==
        std::vector<std::string>{"text:a", "text:b"});
}

TEST_CASE("text that is no UTF-8 is 1007", "[websocket]") {
  CHECK(read_server(masked_raw(0x81, "\xff")) == just("error 1007"));
  CHECK(read_server(masked_raw(0x81, "long enough for words \xed\xa0\x80")) == just("error 1007"));
  CHECK(read_server(masked_raw(0x82, "\xff")) == just("binary:\xff"));
  CHECK(read_server(joined({masked_raw(0x01, "\xc3"), masked_raw(0x80, "x")})) ==
        just("error 1007"));
  CHECK(read_server(masked_raw(0x88, "\x03\xe8\xff")) == just("error 1007"));
}

TEST_CASE("too big is 1009 as soon as a header tells", "[websocket]") {
  CHECK(read_server(masked_raw(0x82, std::string(1001, 'x'))) == just("error 1009"));
  CHECK(read_server(masked_raw(0x82, std::string(1000, 'x'))).size() == 1);
  // The header alone, and the header of the fragment that is too much.
  CHECK(read_server(unhex("82fe03e9 00000000")) == just("error 1009"));
  CHECK(read_server(unhex("82ff7fffffffffffffff 00000000")) == just("error 1009"));
  CHECK(read_server(joined({masked_raw(0x02, std::string(600, 'x')),
                            unhex("80fe0191 00000000")})) == just("error 1009"));
  CHECK(read_server(joined({masked_raw(0x02, std::string(600, 'x')),
                            masked_raw(0x80, std::string(400, 'x'))}))
            .size() == 1);
  // As recorded: 8,000,000 bytes pass, one more does not.
  WebSocketReader reader(WebSocketRole::server, limits::max_payload_bytes);
  CHECK(read_all(reader, unhex("82ff00000000007a1200 00000000"), 100).empty());
  CHECK(reader.held_bytes() < 1000);
  WebSocketReader other(WebSocketRole::server, limits::max_payload_bytes);
  CHECK(read_all(other, unhex("82ff00000000007a1201 00000000"), 100) == just("error 1009"));
}

TEST_CASE("close frames are checked", "[websocket]") {
  CHECK(read_server(masked_raw(0x88, "")) == just("close 1005:"));
  CHECK(read_server(masked_raw(0x88, "\x03\xe8")) == just("close 1000:"));
  CHECK(read_server(masked_raw(0x88, "\x03\xe9gone")) == just("close 1001:gone"));
  CHECK(read_server(masked_raw(0x88, "\x0f\xa0")) == just("close 4000:"));
  CHECK(read_server(masked_raw(0x88, "\x03")) == just("error 1002"));
  for (const char* code : {"\x03\xe7", "\x03\xec", "\x03\xed", "\x03\xee", "\x03\xf7", "\x07\xd0",
                           "\x0b\xb7", "\x13\x88"}) {
    CHECK(read_server(masked_raw(0x88, code)) == just("error 1002"));
  }
  // Nothing behind it is looked at.
  CHECK(read_server(joined({masked_raw(0x88, "\x03\xe8"), unhex("ffffffffffff")})) ==
        just("close 1000:"));
}

TEST_CASE("errors stay", "[websocket]") {
  WebSocketReader reader(WebSocketRole::server, 1000);
  Bytes bad = masked_raw(0xf1, "a");
  reader.feed(bad);
  CHECK(reader.next() == Step::error);
  CHECK(reader.next() == Step::error);
  Bytes good = masked_raw(0x81, "a");
  reader.feed(good);
  CHECK(reader.next() == Step::error);
}

TEST_CASE("a message that lies whole in the input is not copied", "[websocket]") {
  WebSocketReader reader(WebSocketRole::server, 1000);
  Bytes bytes =
      joined({masked_raw(0x81, "first"), masked_raw(0x82, "second"), masked_raw(0x89, "p")});
  reader.feed(bytes);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(reader.next() != Step::need_more);
    CHECK(reader.payload().data() >= bytes.data());
    CHECK(reader.payload().data() < bytes.data() + bytes.size());
  }
  CHECK(reader.next() == Step::need_more);
  CHECK(reader.held_bytes() == 0);
}

TEST_CASE("no more is held than was promised, and nothing when it was taken", "[websocket]") {
  constexpr std::size_t kSize = 3'000'000;
  Bytes frame;
  append_masked_frame(frame, WebSocketOpcode::binary, Bytes(kSize, 7), kKey);
  WebSocketReader reader(WebSocketRole::server, kSize);
  constexpr std::size_t kPiece = 10'000;
  std::size_t messages = 0;
  for (std::size_t start = 0; start < frame.size(); start += kPiece) {
    Bytes piece(
        frame.begin() + static_cast<std::ptrdiff_t>(start),
        frame.begin() + static_cast<std::ptrdiff_t>(std::min(start + kPiece, frame.size())));
    reader.feed(piece);
    while (reader.next() == Step::message) {
      ++messages;
      CHECK(reader.payload().size() == kSize);
      CHECK(reader.payload().back() == 7);
    }
    REQUIRE(reader.held_bytes() <= std::min(kSize, 2 * (start + kPiece)));
  }
  CHECK(messages == 1);
  CHECK(reader.held_bytes() == 0);
}

TEST_CASE("a message in many frames, as browsers send it, is moved a few times only",
          "[websocket]") {
  constexpr std::size_t kFrames = 1000;
  const std::string piece(4000, 'p');
  WebSocketReader reader(WebSocketRole::server, kFrames * piece.size());
  std::size_t moves = 0;
  std::size_t held = 0;
  for (std::size_t i = 0; i < kFrames; ++i) {
    Bytes frame = masked_raw(i == 0 ? 0x02 : i + 1 < kFrames ? 0x00 : 0x80, piece);
    reader.feed(frame);
    const Step step = reader.next();
    CHECK(step == (i + 1 < kFrames ? Step::need_more : Step::message));
    if (std::exchange(held, reader.held_bytes()) != reader.held_bytes()) ++moves;
  }
  CHECK(reader.payload().size() == kFrames * piece.size());
  CHECK(held <= kFrames * piece.size());
  CHECK(moves <= 12);
}

TEST_CASE("the bound can be raised later", "[websocket]") {
  WebSocketReader reader(WebSocketRole::server, 10);
  reader.set_max_message_bytes(20);
  CHECK(read_all(reader, masked(WebSocketOpcode::text, "fifteen letters"), 100) ==
        just("text:fifteen letters"));
}
