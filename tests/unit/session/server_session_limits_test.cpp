// What a client may send before it is signed in, and after.
#include <catch2/catch.hpp>

#include "conat/session/server_session.hpp"

using namespace conat;

namespace {

struct Case {
  explicit Case(std::size_t max_payload = limits::max_payload_bytes, bool in_process = false) {
    options.max_payload_bytes = max_payload;
    session.emplace(options, &user, in_process);
    session->open(0, random, output);
  }

  ServerSession::Step feed(Bytes bytes) {
    session->feed(bytes);
    ServerSession::Step step;
    do {
      step = session->next(0, random, output);
    } while (step != ServerSession::Step::need_more && step != ServerSession::Step::closed);
    return step;
  }
  ServerSession::Step text(std::string_view payload) {
    Bytes frame;
    append_masked_frame(frame, WebSocketOpcode::text, as_bytes(payload), 0x01020304);
    return feed(std::move(frame));
  }
  bool too_big() const { return session->end() == SessionEnd::too_big; }

  ServerSessionOptions options;
  Value user;
  Random random{1};
  ServerSession::Output output;
  std::optional<ServerSession> session;
};

constexpr auto need_more = ServerSession::Step::need_more;
constexpr std::size_t most = ServerSession::max_sign_in_bytes;

std::string connect_of(std::size_t bytes) {
  const std::string front = "40{\"token\":\"";
  return front + std::string(bytes - front.size() - 2, 't') + "\"}";
}
std::string event_of(std::size_t bytes) {
  const std::string front = "42[\"nonsense\",\"";
  return front + std::string(bytes - front.size() - 2, 'x') + "\"]";
}

}  // namespace

TEST_CASE("CONNECT may be 64 KiB, and not a byte more", "[session][limits]") {
  {
    Case good;
    CHECK(good.session->max_message_bytes() == most);
    CHECK(good.text(connect_of(most)) == need_more);
    CHECK_FALSE(good.session->sid().empty());
    CHECK(good.session->max_message_bytes() == limits::max_payload_bytes);
  }
  Case bad;
  CHECK(bad.text(connect_of(most + 1)) == ServerSession::Step::closed);
  CHECK(bad.too_big());
  // The close frame says 1009.
  const ByteView close = bad.output.back().view();
  REQUIRE(close.size() == 4);
  CHECK((close[2] << 8 | close[3]) == 1009);
}

TEST_CASE("a large message is refused by its first bytes before the sign-in", "[session][limits]") {
  Case session;
  // The head of 1 MB, and nothing behind it.
  CHECK(session.feed({0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 1, 2, 3, 4}) ==
        ServerSession::Step::closed);
  CHECK(session.too_big());
}

TEST_CASE("fragments count together before the sign-in", "[session][limits]") {
  Case session;
  Bytes bytes;
  for (int i = 0; i < 66; ++i) {
    append_masked_frame(bytes, i == 0 ? WebSocketOpcode::text : WebSocketOpcode::continuation,
                        Bytes(1000, 'x'), 0);
    bytes[bytes.size() - 1000 - 8] &= 0x7f;  // not the last one
  }
  CHECK(session.feed(bytes) == ServerSession::Step::closed);
  CHECK(session.too_big());
}

TEST_CASE("after the sign-in messages may be as large as max_payload", "[session][limits]") {
  Case session(200'000);
  session.text("40");
  CHECK(session.text(event_of(200'000)) == need_more);
  CHECK(session.text(event_of(200'001)) == ServerSession::Step::closed);
  CHECK(session.too_big());
}

TEST_CASE("a signed-out client is a stranger again", "[session][limits]") {
  Case session;
  session.text("40");
  CHECK(session.text("41") == need_more);
  CHECK(session.session->max_message_bytes() == most);
  CHECK(session.text(connect_of(most + 1)) == ServerSession::Step::closed);
  CHECK(session.too_big());
}

TEST_CASE("a max_payload below 64 KiB holds from the start", "[session][limits]") {
  Case session(10'000);
  CHECK(session.text(connect_of(10'001)) == ServerSession::Step::closed);
  CHECK(session.too_big());
}

TEST_CASE("while authentication is under way a client is a stranger", "[session][limits]") {
  Case asked;
  asked.session.emplace(asked.options, nullptr, false);
  asked.session->open(0, asked.random, asked.output);
  CHECK(asked.text("40") == need_more);
  CHECK(asked.session->max_message_bytes() == most);
  SECTION("accepted") {
    REQUIRE(asked.session->on_authenticated(0, asked.random, asked.user, asked.output));
    CHECK(asked.session->max_message_bytes() == limits::max_payload_bytes);
  }
  SECTION("refused") {
    asked.user.set("error", "no");
    REQUIRE(asked.session->on_authenticated(0, asked.random, asked.user, asked.output));
    CHECK(asked.session->max_message_bytes() == most);
  }
  SECTION("too much") {
    CHECK(asked.text(event_of(most + 1)) == ServerSession::Step::closed);
    CHECK(asked.too_big());
  }
}

TEST_CASE("the broker's own clients are no strangers", "[session][limits]") {
  Case session(limits::max_payload_bytes, true);
  CHECK(session.session->max_message_bytes() == limits::max_payload_bytes);
}
