// permessage-deflate: what is agreed on, the compression of messages, and the filter between.
#include "net/deflate.hpp"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "net/compression_filter.hpp"

namespace conat::net {
namespace {

std::string answer_to(std::string_view offers) {
  const auto accepted = negotiate_deflate(offers);
  return accepted ? accepted->answer : "";
}

constexpr std::string_view plain_answer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

std::string json_of(std::size_t size) {
  std::string text = "[";
  for (int i = 0; text.size() < size; ++i) text += "{\"number\":" + std::to_string(i) + "},";
  return text + "0]";
}

// What zlib makes of a message, ended by `flush`.
Bytes deflated(std::string_view text, int flush = Z_SYNC_FLUSH) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(text.size() + 1000);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, flush);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  if (flush == Z_SYNC_FLUSH) out.resize(out.size() - 4);
  return out;
}

Bytes client_frame(std::uint8_t first, ByteView payload, std::uint32_t key = 0x1a2b3c4d) {
  Bytes frame;
  append_masked_frame(frame, WebSocketOpcode::binary, payload, key);
  frame[0] = first;
  return frame;
}

struct Message {
  WebSocketReader::Step step;
  bool binary;
  std::string payload;
  WebSocketCloseCode code;
  bool operator==(const Message& other) const {
    return step == other.step && binary == other.binary && payload == other.payload;
  }
};

// A filter, and behind it a reader that knows nothing of compression, as the broker has one.
class Chain {
 public:
  explicit Chain(std::size_t max_bytes = 1'000'000)
      : filter(pool, 15, max_bytes), reader_(WebSocketRole::server, max_bytes) {}

  void feed(Bytes bytes) {
    input_ = std::move(bytes);
    filter.feed(input_);
    take_all();
    filter.keep_rest();
  }
  void feed_in_pieces(const Bytes& bytes, std::size_t piece) {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      feed(to_bytes(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at))));
    }
  }
  bool take_one() {
    const auto frame = filter.next();
    if (frame.empty()) return false;
    reader_.feed(frame);
    while (true) {
      const auto step = reader_.next();
      if (step == WebSocketReader::Step::need_more) return true;
      seen.push_back({step, reader_.binary(), to_string(reader_.payload()), reader_.close_code()});
      if (step == WebSocketReader::Step::error) return true;
    }
  }
  // What comes behind an error is nobody's.
  void take_all() {
    while (seen.empty() || seen.back().step != WebSocketReader::Step::error) {
      if (!take_one()) return;
    }
  }

  CompressionPool pool;
  CompressionFilter filter;
  std::vector<Message> seen;

 private:
  WebSocketReader reader_;
  Bytes input_;
};

constexpr auto message = WebSocketReader::Step::message;

}  // namespace

TEST_CASE("Offers of permessage-deflate") {
  CHECK(answer_to("permessage-deflate") == plain_answer);
  CHECK(answer_to("permessage-deflate; client_max_window_bits") == plain_answer);
  CHECK(answer_to("Permessage-Deflate;client_max_window_bits=\"10\"") == plain_answer);
  CHECK(answer_to("permessage-deflate; server_no_context_takeover; client_no_context_takeover") ==
        plain_answer);
  CHECK(answer_to("permessage-deflate; server_max_window_bits=10") ==
        std::string(plain_answer) + "; server_max_window_bits=10");
  CHECK(negotiate_deflate("permessage-deflate; server_max_window_bits=10")->window_bits == 10);
  CHECK(answer_to("x-webkit-deflate-frame, permessage-deflate") == plain_answer);
  // The second of two offers, when the first asks for what zlib has not.
  CHECK(answer_to("permessage-deflate; server_max_window_bits=8, permessage-deflate") ==
        plain_answer);
  CHECK(answer_to("foo; x=\"a,b;permessage-deflate\", permessage-deflate") == plain_answer);
}

TEST_CASE("Offers that are malformed or unknown are declined") {
  for (const std::string offer : {
           "",
           ",",
           "foo",
           "permessage-deflate2",
           "permessage-deflate; unknown",
           "permessage-deflate; server_max_window_bits",
           "permessage-deflate; server_max_window_bits=8",
           "permessage-deflate; server_max_window_bits=7",
           "permessage-deflate; server_max_window_bits=16",
           "permessage-deflate; server_max_window_bits=010",
           "permessage-deflate; server_max_window_bits=",
           "permessage-deflate; client_max_window_bits=x",
           "permessage-deflate; server_no_context_takeover=1",
           "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
           "permessage-deflate; client_max_window_bits; client_max_window_bits=12",
           "permessage-deflate; server_max_window_bits=12; server_max_window_bits=12",
           "permessage-deflate; server_max_window_bits=\"12",
       }) {
    INFO(offer);
    CHECK(answer_to(offer).empty());
  }
}

TEST_CASE("What is compressed is inflated to the same, with any window") {
  MessageCompressor compressor;
  const std::string text = json_of(200'000);
  for (int bits = MessageCompressor::min_window_bits; bits <= MessageCompressor::max_window_bits;
       ++bits) {
    Bytes compressed{1, 2, 3};
    REQUIRE(compressor.compress(as_bytes(text), bits, compressed));
    CHECK(compressed.size() < text.size() / 3);
    Bytes out{9};
    REQUIRE(compressor.inflate(ByteView(compressed).subspan(3), text.size(), out) ==
            MessageCompressor::Inflated::ok);
    CHECK(to_string(ByteView(out).subspan(1)) == text);
  }
}

TEST_CASE("What gets no shorter is left alone") {
  MessageCompressor compressor;
  std::uint64_t x = 88172645463325252u;
  Bytes noise(5000);
  for (auto& byte : noise) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    byte = static_cast<std::uint8_t>(x);
  }
  Bytes out{7};
  CHECK_FALSE(compressor.compress(noise, 15, out));
  CHECK(out == Bytes{7});
}

TEST_CASE("Inflating is bounded") {
  MessageCompressor compressor;
  const Bytes bomb = deflated(std::string(50'000'000, '\0'));
  CHECK(bomb.size() < 60'000);
  Bytes out{5};
  CHECK(compressor.inflate(bomb, 1'000'000, out) == MessageCompressor::Inflated::too_big);
  CHECK(out == Bytes{5});
  CHECK(out.capacity() < 5'000'000);
  const std::string text(100'000, 'x');
  CHECK(compressor.inflate(deflated(text), 99'999, out) == MessageCompressor::Inflated::too_big);
  CHECK(compressor.inflate(deflated(text), 100'000, out) == MessageCompressor::Inflated::ok);
}

TEST_CASE("Damaged streams are told, blocks that end the stream are not the end") {
  MessageCompressor compressor;
  Bytes out;
  CHECK(compressor.inflate(Bytes{0xff, 0xff, 0xff}, 1000, out) ==
        MessageCompressor::Inflated::malformed);
  CHECK(out.empty());
  // RFC 7692, 7.2.3.4 and 7.2.3.5: a final block, and two blocks.
  const Bytes final_block{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};
  REQUIRE(compressor.inflate(final_block, 1000, out) == MessageCompressor::Inflated::ok);
  CHECK(to_string(out) == "Hello");
  out.clear();
  const Bytes two_blocks{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff,
                         0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00};
  REQUIRE(compressor.inflate(two_blocks, 1000, out) == MessageCompressor::Inflated::ok);
  CHECK(to_string(out) == "Hello");
  out.clear();
  REQUIRE(compressor.inflate({}, 1000, out) == MessageCompressor::Inflated::ok);
  CHECK(out.empty());
}

TEST_CASE("The filter takes compressed and plain messages apart, however they are cut") {
  const std::string text = json_of(30'000);
  const Bytes whole = deflated(text);
  Bytes stream;
  append(stream, client_frame(0x81, as_bytes("40")));
  append(stream, client_frame(0xc1, whole));
  append(stream, client_frame(0x89, as_bytes("ping")));
  // A message in three fragments, with control frames in between.
  append(stream, client_frame(0x42, ByteView(whole).first(100)));
  append(stream, client_frame(0x8a, as_bytes("")));
  append(stream, client_frame(0x00, ByteView(whole).subspan(100, 1000)));
  append(stream, client_frame(0x89, as_bytes("p2")));
  append(stream, client_frame(0x80, ByteView(whole).subspan(1100)));
  append(stream, client_frame(0x82, as_bytes("plain")));
  append(stream, client_frame(0xc2, deflated("")));
  append(stream, client_frame(0x88, as_bytes(std::string_view("\x03\xe8"
                                                              "bye"))));
  const std::vector<Message> expected{
      {message, false, "40", {}},
      {message, false, text, {}},
      {WebSocketReader::Step::ping, false, "ping", {}},
      {WebSocketReader::Step::pong, false, "", {}},
      {WebSocketReader::Step::ping, false, "p2", {}},
      {message, true, text, {}},
      {message, true, "plain", {}},
      {message, true, "", {}},
      {WebSocketReader::Step::close, true, "bye", {}},
  };
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{4096}, std::size_t{1} << 30}) {
    Chain chain;
    chain.feed_in_pieces(stream, piece);
    INFO(piece);
    REQUIRE(chain.seen.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(chain.seen[i].step == expected[i].step);
      CHECK(chain.seen[i].payload == expected[i].payload);
      if (expected[i].step == message) CHECK(chain.seen[i].binary == expected[i].binary);
    }
    CHECK(chain.seen.back().code == WebSocketCloseCode::normal);
  }
}

TEST_CASE("What breaks the rules is refused with its code") {
  Bytes bytes;
  WebSocketCloseCode code = WebSocketCloseCode::protocol_error;
  SECTION("a compressed control frame") { bytes = client_frame(0xc9, as_bytes("x")); }
  SECTION("a compressed continuation") {
    bytes = client_frame(0x41, ByteView(deflated("hello")).first(2));
    append(bytes, client_frame(0xc0, as_bytes("x")));
  }
  SECTION("another reserved bit") { bytes = client_frame(0xe1, as_bytes("x")); }
  SECTION("not masked") { bytes = {0xc1, 0x01, 0x00}; }
  SECTION("no deflate stream") {
    bytes = client_frame(0xc2, as_bytes("\xff\xff\xff\xff"));
    code = WebSocketCloseCode::invalid_payload;
  }
  SECTION("text that is no UTF-8 when inflated") {
    bytes = client_frame(0xc1, deflated("\xff\xfe"));
    code = WebSocketCloseCode::invalid_payload;
  }
  SECTION("inflated too large") {
    bytes = client_frame(0xc2, deflated(std::string(2'000'000, 'z')));
    code = WebSocketCloseCode::message_too_big;
  }
  SECTION("too large before it is inflated") {
    bytes = {0xc2, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4};
    code = WebSocketCloseCode::message_too_big;
  }
  append(bytes, client_frame(0x81, as_bytes("after")));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1} << 30}) {
    Chain chain;
    chain.feed_in_pieces(bytes, piece);
    REQUIRE(chain.seen.size() == 1);
    CHECK(chain.seen[0].step == WebSocketReader::Step::error);
    CHECK(chain.seen[0].code == code);
  }
}

TEST_CASE("Messages come one at a time, and the rest is kept") {
  Chain chain;
  Bytes stream;
  for (int i = 0; i < 5; ++i) {
    append(stream, client_frame(0xc2, deflated(std::string(100'000, static_cast<char>('a' + i)))));
  }
  append(stream, client_frame(0x82, as_bytes("last")));
  stream.resize(stream.size() - 2);  // not whole yet
  chain.filter.feed(stream);
  REQUIRE(chain.take_one());
  chain.filter.keep_rest();
  std::fill(stream.begin(), stream.end(), std::uint8_t{0});
  CHECK(chain.filter.has_rest());
  CHECK(chain.seen.size() == 1);
  chain.filter.set_max_message_bytes(99'999);
  chain.filter.set_max_message_bytes(100'000);
  chain.feed({});
  CHECK(chain.seen.size() == 5);
  CHECK_FALSE(chain.filter.has_rest());
  chain.feed(Bytes{static_cast<std::uint8_t>('s' ^ 0x3c), static_cast<std::uint8_t>('t' ^ 0x4d)});
  REQUIRE(chain.seen.size() == 6);
  CHECK(chain.seen[4].payload == std::string(100'000, 'e'));
  CHECK(chain.seen[5].payload == "last");
}

TEST_CASE("Frames are sent compressed when that makes them shorter") {
  CompressionPool pool;
  const std::string text = json_of(10'000);
  const std::vector<WireMessage> messages{
      {false, to_bytes("short")}, {false, to_bytes(text)}, {true, Bytes(2000, 1)}};
  const SharedBytes frames = websocket_frames(messages);
  const SharedBytes sent = pool.compress(frames, 15);
  CHECK(sent.size() < frames.size() / 4);
  // The same buffer for the next reader in the same turn.
  CHECK(pool.compress(frames, 15).data() == sent.data());
  CHECK(pool.compress(frames, 10).data() != sent.data());
  pool.end_turn();
  // A client's view: each frame by itself.
  MessageCompressor compressor;
  ByteView rest = sent.view();
  for (const WireMessage& expected : messages) {
    const bool compressed = (rest[0] & 0x40) != 0;
    CHECK(compressed == (expected.payload.size() >= CompressionPool::threshold_bytes));
    CHECK((rest[0] & 0x8f) == (expected.binary ? 0x82 : 0x81));
    std::size_t head = 2;
    std::size_t size = rest[1];
    if (size == 126) {
      size = static_cast<std::size_t>(rest[2]) << 8 | rest[3];
      head = 4;
    }
    const ByteView payload = rest.subspan(head, size);
    Bytes out;
    if (compressed) {
      REQUIRE(compressor.inflate(payload, 1'000'000, out) == MessageCompressor::Inflated::ok);
    } else {
      out = to_bytes(payload);
    }
    CHECK(out == expected.payload);
    rest = rest.subspan(head + size);
  }
  CHECK(rest.empty());
  const SharedBytes close = websocket_close_frame(WebSocketCloseCode::going_away, "x");
  CHECK(pool.compress(close, 15).data() == close.data());
}

}  // namespace conat::net
