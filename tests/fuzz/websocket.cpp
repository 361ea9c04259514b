// A WebSocket stream: first a byte of options, then a byte that says how it is cut. However that
// is, the same must come out, and never more than the bound is held.
#include "conat/wire/websocket.hpp"

#include <vector>

#include "conat/wire/utf8.hpp"
#include "fuzz.hpp"

namespace {

using namespace conat;
using fuzz::require;
using Step = WebSocketReader::Step;

constexpr std::size_t kMaxBytes = 5000;

struct Event {
  Step step;
  bool binary;
  WebSocketCloseCode code;
  Bytes payload;
};

std::vector<Event> read(WebSocketRole role, bool check, ByteView stream, std::size_t cut) {
  WebSocketReader reader(role, kMaxBytes, check);
  std::vector<Event> events;
  for (std::size_t start = 0, size = cut; start < stream.size(); start += size) {
    size = std::min(1 + (size * 31 + start) % cut, stream.size() - start);
    Bytes piece = to_bytes(stream.subspan(start, size));
    reader.feed(piece);
    for (Step step = reader.next(); step != Step::need_more; step = reader.next()) {
      require(reader.payload().size() <= kMaxBytes, "a message within the bound");
      require(step != Step::message || reader.binary() || is_utf8(reader.payload()), "UTF-8");
      const bool text_or_binary = step == Step::message && reader.binary();
      events.push_back({step, text_or_binary, reader.close_code(), to_bytes(reader.payload())});
      if (step == Step::error) return events;
    }
    require(reader.held_bytes() <= kMaxBytes, "held bytes within the bound");
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t options = input.byte();
  const std::size_t cut = 1 + input.byte();
  const WebSocketRole role = (options & 1) != 0 ? WebSocketRole::client : WebSocketRole::server;
  const bool check = (options & 2) == 0;
  const ByteView stream = input.rest();
  const auto whole = read(role, check, stream, stream.size() + 1);
  const auto pieces = read(role, check, stream, cut);
  require(whole.size() == pieces.size(), "as many events however the stream is cut");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const bool closing = whole[i].step == Step::close || whole[i].step == Step::error;
    require(whole[i].step == pieces[i].step && whole[i].binary == pieces[i].binary &&
                whole[i].payload == pieces[i].payload &&
                (!closing || whole[i].code == pieces[i].code),
            "the same events however the stream is cut");
  }
  return 0;
}
