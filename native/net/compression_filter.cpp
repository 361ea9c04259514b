#include "net/compression_filter.hpp"

#include <algorithm>
#include <cstring>

namespace conat::net {
namespace {

constexpr std::uint8_t final_bit = 0x80;
constexpr std::uint8_t compressed_bit = 0x40;
constexpr std::uint8_t masked_bit = 0x80;
constexpr std::uint8_t reserved_bits = 0x70;
constexpr std::uint8_t opcode_bits = 0x0f;
constexpr std::uint8_t length_bits = 0x7f;
constexpr std::size_t key_bytes = 4;
constexpr std::size_t max_head_bytes = 10 + key_bytes;

// The head of a client's frame whose key changes nothing.
std::size_t masked_head_size(std::size_t payload_size) {
  return websocket_header_size(payload_size) + key_bytes;
}

void write_masked_head(std::uint8_t* out, WebSocketOpcode opcode, std::size_t payload_size) {
  std::uint8_t* const end = write_websocket_header(out, opcode, payload_size);
  out[1] |= masked_bit;
  std::fill_n(end, key_bytes, std::uint8_t{0});
}

// The head at the front of `bytes`, without the key.
struct Head {
  std::size_t size;
  std::size_t payload_size;
};
Head head_of(ByteView bytes) {
  const std::uint8_t length = bytes[1] & length_bits;
  if (length < 126) return {2, length};
  if (length == 126) return {4, static_cast<std::size_t>(bytes[2]) << 8 | bytes[3]};
  std::size_t size = 0;
  for (std::size_t i = 2; i < 10; ++i) size = size << 8 | bytes[i];
  return {10, size};
}

}  // namespace

// ---- outgoing ----

SharedBytes CompressionPool::compress(const SharedBytes& frames, int window_bits) {
  if (frames.size() < threshold_bytes) return frames;
  for (const Recent& recent : recent_) {
    if (recent.frames.data() == frames.data() && recent.window_bits == window_bits) {
      return recent.result;
    }
  }
  Bytes out;
  bool changed = false;
  for (ByteView rest = frames.view(); !rest.empty();) {
    const Head head = head_of(rest);
    const ByteView frame = rest.first(head.size + head.payload_size);
    rest = rest.subspan(frame.size());
    if (append_frame(frame, head.size, window_bits, out)) changed = true;
  }
  SharedBytes result = changed ? SharedBytes::copy_of(out) : frames;
  if (recent_.size() < max_recent) recent_.push_back({frames, window_bits, result});
  return result;
}

// Appends one frame, compressed if that makes it shorter; tells whether it did.
bool CompressionPool::append_frame(ByteView frame, std::size_t header, int window_bits,
                                   Bytes& out) {
  const ByteView payload = frame.subspan(header);
  const auto opcode = static_cast<WebSocketOpcode>(frame[0] & opcode_bits);
  const bool data = opcode == WebSocketOpcode::text || opcode == WebSocketOpcode::binary;
  if (data && (frame[0] & final_bit) != 0 && payload.size() >= threshold_bytes) {
    scratch_.clear();
    if (compressor_.compress(payload, window_bits, scratch_)) {
      const std::size_t start = out.size();
      out.resize(start + websocket_header_size(scratch_.size()));
      write_websocket_header(out.data() + start, opcode, scratch_.size());
      out[start] |= compressed_bit;
      append(out, scratch_);
      return true;
    }
  }
  append(out, frame);
  return false;
}

void CompressionPool::release_scratch() {
  if (scratch_.capacity() > kept_scratch_bytes) Bytes().swap(scratch_);
}

// ---- incoming ----

CompressionFilter::CompressionFilter(CompressionPool& pool, int window_bits,
                                     std::size_t max_message_bytes)
    : pool_(pool),
      window_bits_(window_bits),
      max_message_bytes_(max_message_bytes),
      reader_(WebSocketRole::server, max_message_bytes) {}

void CompressionFilter::set_max_message_bytes(std::size_t bytes) {
  max_message_bytes_ = bytes;
  reader_.set_max_message_bytes(bytes);
}

void CompressionFilter::feed(std::span<std::uint8_t> bytes) {
  input_ = bytes;
  if (kept_.empty()) return;
  append(kept_, bytes);
  reading_.swap(kept_);
  kept_.clear();
  input_ = reading_;
}

void CompressionFilter::keep_rest() {
  kept_ = to_bytes(input_);
  input_ = {};
  Bytes().swap(reading_);
}

std::span<std::uint8_t> CompressionFilter::next() {
  while (!ended_) {
    switch (reader_.next()) {
      case WebSocketReader::Step::need_more:
        if (input_.empty()) {
          pool_.release_scratch();
          return {};
        }
        reader_.feed(take_frame_part());
        break;
      case WebSocketReader::Step::message:
        return message();
      case WebSocketReader::Step::ping:
        return frame(WebSocketOpcode::ping, {}, reader_.payload());
      case WebSocketReader::Step::pong:
        return frame(WebSocketOpcode::pong, {}, reader_.payload());
      case WebSocketReader::Step::close:
        return close();
      case WebSocketReader::Step::error:
        return violation(reader_.close_code());
    }
  }
  input_ = {};
  return {};
}

// What of the input belongs to one frame.
std::span<std::uint8_t> CompressionFilter::take_frame_part() {
  std::size_t taken = 0;
  while (!in_payload_ && taken < input_.size()) {
    if (head_size_ == 0) begin_frame(input_[taken]);
    head_[head_size_++] = input_[taken++];
    const std::uint8_t length = head_[1] & length_bits;
    const std::size_t needed = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (head_size_ < 2 || head_size_ < needed) continue;
    in_payload_ = true;
    // What nobody can send is refused by the reader, whatever is missing of it.
    missing_ = head_of(head_).payload_size;
    if ((head_[1] & masked_bit) != 0) missing_ += key_bytes;
  }
  if (in_payload_) {
    const std::size_t part =
        static_cast<std::size_t>(std::min<std::uint64_t>(missing_, input_.size() - taken));
    missing_ -= part;
    taken += part;
    if (missing_ == 0) {
      in_payload_ = false;
      head_size_ = 0;
    }
  }
  const auto part = input_.first(taken);
  input_ = input_.subspan(taken);
  return part;
}

// Makes the first frame of a compressed message one of a binary message; what is wrong stays.
void CompressionFilter::begin_frame(std::uint8_t& first) {
  const auto opcode = static_cast<WebSocketOpcode>(first & opcode_bits);
  if (opcode != WebSocketOpcode::text && opcode != WebSocketOpcode::binary) return;
  text_ = opcode == WebSocketOpcode::text;
  compressed_ = (first & reserved_bits) == compressed_bit;
  if (compressed_) {
    first = static_cast<std::uint8_t>((first & final_bit) |
                                      static_cast<std::uint8_t>(WebSocketOpcode::binary));
  }
}

std::span<std::uint8_t> CompressionFilter::frame(WebSocketOpcode opcode, ByteView front,
                                                 ByteView payload) {
  const std::size_t size = front.size() + payload.size();
  Bytes& out = pool_.scratch();
  out.resize(masked_head_size(size));
  write_masked_head(out.data(), opcode, size);
  append(out, front);
  append(out, payload);
  return out;
}

std::span<std::uint8_t> CompressionFilter::close() {
  const auto code = static_cast<std::uint16_t>(reader_.close_code());
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(code >> 8),
                                static_cast<std::uint8_t>(code)};
  const bool named = reader_.close_code() != WebSocketCloseCode::no_status;
  return frame(WebSocketOpcode::close, named ? ByteView(bytes) : ByteView(), reader_.payload());
}

std::span<std::uint8_t> CompressionFilter::message() {
  const auto opcode = text_ ? WebSocketOpcode::text : WebSocketOpcode::binary;
  if (!compressed_) return frame(opcode, {}, reader_.payload());
  Bytes& out = pool_.scratch();
  out.resize(max_head_bytes);
  switch (pool_.compressor().inflate(reader_.payload(), max_message_bytes_, out)) {
    case MessageCompressor::Inflated::ok:
      break;
    case MessageCompressor::Inflated::too_big:
      return violation(WebSocketCloseCode::message_too_big);
    case MessageCompressor::Inflated::malformed:
      return violation(WebSocketCloseCode::invalid_payload);
  }
  const std::size_t size = out.size() - max_head_bytes;
  const std::size_t skipped = max_head_bytes - masked_head_size(size);
  write_masked_head(out.data() + skipped, opcode, size);
  return std::span(out).subspan(skipped);
}

// A frame that is refused with `code` by everybody who reads WebSocket frames.
std::span<std::uint8_t> CompressionFilter::violation(WebSocketCloseCode code) {
  ended_ = true;
  Bytes& out = pool_.scratch();
  switch (code) {
    case WebSocketCloseCode::message_too_big:  // a head that promises 2^62 bytes
      out.resize(max_head_bytes);
      write_masked_head(out.data(), WebSocketOpcode::binary, std::size_t{1} << 62);
      return out;
    case WebSocketCloseCode::invalid_payload: {  // text that is no UTF-8
      const std::uint8_t bytes[] = {0xff};
      return frame(WebSocketOpcode::text, {}, bytes);
    }
    default:  // an opcode that nobody knows
      return frame(static_cast<WebSocketOpcode>(opcode_bits), {}, {});
  }
}

}  // namespace conat::net
