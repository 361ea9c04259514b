#include "net/deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

#include "net/http_message.hpp"

namespace conat::net {
namespace {

// Ends a message on the wire; is left out there (RFC 7692, 7.2.1).
constexpr std::array<std::uint8_t, 4> tail{0, 0, 0xff, 0xff};
constexpr std::size_t window_bytes = 32 * 1024;
constexpr std::size_t first_output_bytes = 4096;
constexpr int memory_level = 8;

// ---- negotiation ----

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Cuts off what lies before the separator, outside quotes.
std::string_view take_part(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size() && (quoted || text[end] != separator); ++end) {
    if (text[end] == '"') quoted = !quoted;
  }
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trimmed(part);
}

std::string_view unquote(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

// 8 to 15, without leading zeros; 0 for everything else.
int window_bits_of(std::string_view text) {
  if (text == "8" || text == "9") return text[0] - '0';
  if (text.size() != 2 || text[0] != '1' || text[1] < '0' || text[1] > '5') return 0;
  return 10 + (text[1] - '0');
}

struct Offer {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  bool client_max_window_bits = false;
  int server_max_window_bits = 0;  // 0: not named
};

// One parameter of an offer; false when it is unknown, repeated or has no sensible value.
bool read_parameter(std::string_view text, Offer& offer) {
  const auto equals = text.find('=');
  const std::string_view name = trimmed(text.substr(0, equals));
  const bool has_value = equals != std::string_view::npos;
  const std::string_view value = has_value ? unquote(trimmed(text.substr(equals + 1))) : "";
  const auto set_once = [](bool& flag) { return !std::exchange(flag, true); };
  if (name == "server_no_context_takeover") {
    return !has_value && set_once(offer.server_no_context_takeover);
  }
  if (name == "client_no_context_takeover") {
    return !has_value && set_once(offer.client_no_context_takeover);
  }
  if (name == "client_max_window_bits") {
    if (has_value && window_bits_of(value) == 0) return false;
    return set_once(offer.client_max_window_bits);
  }
  if (name == "server_max_window_bits") {
    if (offer.server_max_window_bits != 0) return false;
    offer.server_max_window_bits = window_bits_of(value);
    return offer.server_max_window_bits >= MessageCompressor::min_window_bits;
  }
  return false;
}

std::optional<DeflateParameters> accept(std::string_view text) {
  if (!equal_ignoring_case(take_part(text, ';'), "permessage-deflate")) return std::nullopt;
  Offer offer;
  while (!text.empty()) {
    if (!read_parameter(take_part(text, ';'), offer)) return std::nullopt;
  }
  DeflateParameters accepted;
  accepted.answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  if (offer.server_max_window_bits != 0) {
    accepted.window_bits = offer.server_max_window_bits;
    accepted.answer += "; server_max_window_bits=" + std::to_string(accepted.window_bits);
  }
  return accepted;
}

Bytef* input_of(ByteView bytes) {
  static Bytef nothing = 0;
  return bytes.empty() ? &nothing : const_cast<Bytef*>(bytes.data());
}

}  // namespace

std::optional<DeflateParameters> negotiate_deflate(std::string_view offers) {
  while (!offers.empty()) {
    if (auto accepted = accept(take_part(offers, ','))) return accepted;
  }
  return std::nullopt;
}

// ---- compressing ----

struct MessageCompressor::Deflater {
  explicit Deflater(int window_bits) {
    const int result =
        deflateInit2(&stream, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) throw std::bad_alloc();
  }
  ~Deflater() { deflateEnd(&stream); }
  z_stream stream{};
};

struct MessageCompressor::Inflater {
  Inflater() {
    if (inflateInit2(&stream, -max_window_bits) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  z_stream stream{};
};

MessageCompressor::MessageCompressor() = default;
MessageCompressor::~MessageCompressor() = default;

MessageCompressor::Deflater& MessageCompressor::deflater(int window_bits) {
  auto& made = deflaters_[window_bits - min_window_bits];
  if (!made) made = std::make_unique<Deflater>(window_bits);
  return *made;
}

bool MessageCompressor::compress(ByteView message, int window_bits, Bytes& out) {
  z_stream& stream = deflater(window_bits).stream;
  deflateReset(&stream);
  const std::size_t start = out.size();
  // What does not fit is not shorter.
  out.resize(start + message.size() + tail.size());
  stream.next_in = input_of(message);
  stream.avail_in = static_cast<uInt>(message.size());
  stream.next_out = out.data() + start;
  stream.avail_out = static_cast<uInt>(message.size() + tail.size());
  deflate(&stream, Z_SYNC_FLUSH);
  const std::size_t written = out.size() - start - stream.avail_out;
  const bool fits = stream.avail_in == 0 && stream.avail_out > 0;
  if (!fits || written < tail.size() || written - tail.size() >= message.size()) {
    out.resize(start);
    return false;
  }
  out.resize(start + written - tail.size());
  return true;
}

MessageCompressor::Inflated MessageCompressor::inflate(ByteView compressed, std::size_t max_bytes,
                                                       Bytes& out) {
  if (!inflater_) inflater_ = std::make_unique<Inflater>();
  z_stream& stream = inflater_->stream;
  inflateReset(&stream);
  const std::size_t start = out.size();
  // One byte more than allowed tells what is too much.
  const std::size_t most = start + max_bytes + 1;
  std::size_t size = start;
  for (const ByteView part : {compressed, ByteView(tail)}) {
    stream.next_in = input_of(part);
    stream.avail_in = static_cast<uInt>(part.size());
    while (true) {
      if (size == out.size()) {
        out.resize(std::min(most, start + std::max(first_output_bytes, 2 * (size - start))));
      }
      stream.next_out = out.data() + size;
      stream.avail_out = static_cast<uInt>(out.size() - size);
      const int result = ::inflate(&stream, Z_SYNC_FLUSH);
      size = out.size() - stream.avail_out;
      if (size > start + max_bytes) {
        out.resize(start);
        return Inflated::too_big;
      }
      if (result == Z_STREAM_END) {
        // A last block does not end the message (7.2.3.4): what follows may refer to it.
        inflateReset(&stream);
        const std::size_t known = std::min(window_bytes, size - start);
        inflateSetDictionary(&stream, out.data() + size - known, static_cast<uInt>(known));
        if (stream.avail_in == 0) break;
        continue;
      }
      if (result == Z_BUF_ERROR || (result == Z_OK && stream.avail_out > 0)) {
        if (stream.avail_in == 0) break;
      }
      if (result != Z_OK && result != Z_BUF_ERROR) {
        out.resize(start);
        return Inflated::malformed;
      }
    }
  }
  out.resize(size);
  return Inflated::ok;
}

}  // namespace conat::net
