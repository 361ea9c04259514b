// A compressed WebSocket stream as it comes from a client: however it is cut, the same frames come
// out of the filter, none larger than the bound, and what is refused ends it.
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "net/compression_filter.hpp"

namespace {

using namespace conat;
using namespace conat::net;
using fuzz::require;

constexpr std::size_t kMaxBytes = 20'000;

std::vector<Bytes> read(ByteView stream, std::size_t cut) {
  static CompressionPool pool;
  CompressionFilter filter(pool, 15, kMaxBytes);
  std::vector<Bytes> frames;
  for (std::size_t start = 0, size = cut; start < stream.size(); start += size) {
    size = std::min(1 + (size * 31 + start) % cut, stream.size() - start);
    Bytes piece = to_bytes(stream.subspan(start, size));
    filter.feed(piece);
    while (true) {
      const auto frame = filter.next();
      if (frame.empty()) break;
      require(frame.size() <= kMaxBytes + 14, "a frame within the bound");
      require((frame[0] & 0x70) == 0 && (frame[1] & 0x80) != 0, "a plain masked frame");
      frames.push_back(to_bytes(frame));
      // Sometimes the taker stops here, and goes on later.
      if ((frames.size() & 1) != 0) {
        filter.keep_rest();
        filter.feed({});
      }
    }
    filter.keep_rest();
    require(!filter.has_rest(), "everything is read");
  }
  return frames;
}

// The other direction: what is sent compressed inflates to what was sent.
void send(ByteView message) {
  static MessageCompressor compressor;
  Bytes compressed;
  if (!compressor.compress(message, 9 + static_cast<int>(message.size() % 7), compressed)) return;
  require(compressed.size() < message.size(), "compressed is shorter");
  Bytes out;
  require(compressor.inflate(compressed, message.size(), out) == MessageCompressor::Inflated::ok &&
              std::equal(out.begin(), out.end(), message.begin(), message.end()),
          "inflated is the same");
}

}  // namespace

// The first byte says how the rest is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t cut = 1 + input.byte();
  const ByteView stream = input.rest();
  require(read(stream, cut) == read(stream, stream.size() + 1), "cutting changes nothing");
  send(stream);
  return 0;
}
