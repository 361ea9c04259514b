#include "conat/wire/websocket.hpp"

#include <algorithm>
#include <cstring>

#include "conat/wire/utf8.hpp"

namespace conat {
namespace {

constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kOpcode = 0x0f;
constexpr std::uint8_t kControl = 0x08;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::uint8_t kLength = 0x7f;
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;
constexpr std::size_t kMaxReasonBytes = 123;
// A buffer of at most this many bytes is kept for the next message that comes in pieces.
constexpr std::size_t kKeptFrameBytes = 1024;
// Between messages that come close on each other: allocating anew costs little beyond that.
constexpr std::size_t kReusedBytes = 1'000'000;

using Key = std::array<std::uint8_t, 4>;

// `offset` is how much of the frame's payload came before.
void apply_mask(std::uint8_t* out, const std::uint8_t* in, std::size_t size, const Key& key,
                std::size_t offset) {
  Key turned;
  for (std::size_t i = 0; i < 4; ++i) turned[i] = key[(offset + i) & 3];
  std::uint32_t half;
  std::memcpy(&half, turned.data(), 4);
  const std::uint64_t wide = half | static_cast<std::uint64_t>(half) << 32;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, in + i, 8);
    word ^= wide;
    std::memcpy(out + i, &word, 8);
  }
  for (; i < size; ++i) out[i] = static_cast<std::uint8_t>(in[i] ^ turned[i & 3]);
}

std::size_t head_size(std::uint8_t second) {
  const std::uint8_t length = second & kLength;
  const std::size_t extended = length == kLength64 ? 8 : length == kLength16 ? 2 : 0;
  return 2 + extended + ((second & kMasked) != 0 ? 4 : 0);
}

bool is_known_opcode(std::uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

WebSocketReader::WebSocketReader(WebSocketRole role, std::size_t max_message_bytes,
                                 bool check_masking)
    : role_(role), check_masking_(check_masking), max_message_bytes_(max_message_bytes) {}

void WebSocketReader::feed(std::span<std::uint8_t> bytes) { input_ = bytes; }

WebSocketReader::Step WebSocketReader::next() {
  payload_ = {};
  if (assembled_out_) {
    assembled_out_ = false;
    assembled_.clear();
    // What a large message took is not kept while the next one is on its way: it may be long.
    if (assembled_.capacity() > kReusedBytes) Bytes().swap(assembled_);
  }
  if (failed_) return Step::error;
  if (closed_) return wait();
  while (true) {
    if (!in_frame_ && !read_header()) return failed_ ? Step::error : wait();
    const std::size_t missing = frame_.size - frame_.read;
    const std::span<std::uint8_t> part = input_.first(std::min(missing, input_.size()));
    input_ = input_.subspan(part.size());
    if (frame_.masked) apply_mask(part.data(), part.data(), part.size(), frame_.key, frame_.read);
    if (part.size() < missing) {
      keep(part);
      return wait();
    }
    in_frame_ = false;
    const Step step = finish_frame(part);
    if (step != Step::need_more) return step;
  }
}

// Nothing of the input is left: an idle connection shall not hold on to what a big message took.
WebSocketReader::Step WebSocketReader::wait() {
  input_ = {};
  if (assembled_.empty() && assembled_.capacity() > kKeptFrameBytes) Bytes().swap(assembled_);
  return Step::need_more;
}

WebSocketReader::Step WebSocketReader::fail(WebSocketCloseCode code) {
  failed_ = true;
  close_code_ = code;
  input_ = {};
  Bytes().swap(assembled_);
  return Step::error;
}

// Completes head_ up to that many bytes.
bool WebSocketReader::fill_head(std::size_t bytes) {
  if (head_size_ < bytes) {
    const std::size_t taken = std::min(bytes - head_size_, input_.size());
    std::copy_n(input_.begin(), taken, head_.begin() + head_size_);
    head_size_ = static_cast<std::uint8_t>(head_size_ + taken);
    input_ = input_.subspan(taken);
  }
  return head_size_ >= bytes;
}

bool WebSocketReader::read_header() {
  const std::uint8_t* head = input_.data();
  if (head_size_ == 0 && input_.size() >= 2 && input_.size() >= head_size(input_[1])) {
    input_ = input_.subspan(head_size(input_[1]));
  } else {
    if (!fill_head(2) || !fill_head(head_size(head_[1]))) return false;
    head = head_.data();
    head_size_ = 0;
  }
  const std::uint8_t* p = head + 2;
  std::uint64_t size = head[1] & kLength;
  bool shortest = true;
  if (size == kLength16) {
    size = static_cast<std::uint64_t>(p[0]) << 8 | p[1];
    shortest = size >= kLength16;
    p += 2;
  } else if (size == kLength64) {
    size = 0;
    for (int i = 0; i < 8; ++i) size = size << 8 | *p++;
    shortest = size > 0xffff && size >> 63 == 0;
  }
  frame_.masked = (head[1] & kMasked) != 0;
  if (frame_.masked) std::copy_n(p, 4, frame_.key.begin());
  return accept_header(head[0], size, shortest);
}

// Judges a frame by its header; what passes is in frame_.
bool WebSocketReader::accept_header(std::uint8_t first, std::uint64_t size, bool shortest) {
  const std::uint8_t opcode = first & kOpcode;
  const bool final = (first & kFinal) != 0;
  const bool control = (opcode & kControl) != 0;
  bool valid = (first & kReserved) == 0 && is_known_opcode(opcode) && shortest;
  if (check_masking_) valid = valid && frame_.masked == (role_ == WebSocketRole::server);
  if (control) {
    valid = valid && final && size <= kMaxControlBytes;
  } else {
    const bool continues = opcode == static_cast<std::uint8_t>(WebSocketOpcode::continuation);
    valid = valid && continues == in_message_;
  }
  if (!valid) {
    fail(WebSocketCloseCode::protocol_error);
    return false;
  }
  if (!control) {
    if (size > max_message_bytes_ || assembled_.size() > max_message_bytes_ - size) {
      fail(WebSocketCloseCode::message_too_big);
      return false;
    }
    if (!in_message_) binary_ = opcode == static_cast<std::uint8_t>(WebSocketOpcode::binary);
  }
  frame_.final = final;
  frame_.opcode = opcode;
  frame_.size = static_cast<std::size_t>(size);
  frame_.read = 0;
  in_frame_ = true;
  return true;
}

// Keeps unmasked payload of frame_ until the rest comes.
void WebSocketReader::keep(ByteView payload) {
  if ((frame_.opcode & kControl) != 0) {
    std::copy(payload.begin(), payload.end(), control_.begin() + frame_.read);
  } else {
    const std::size_t needed = assembled_.size() + payload.size();
    if (needed > assembled_.capacity()) {
      // Grown step by step, since a header can promise what never comes; never above what it
      // promises, which is within the bound, or above the bound when more frames are to come (a
      // browser sends a large message in hundreds).
      const std::size_t limit = frame_.final ? assembled_.size() + frame_.size - frame_.read
                                             : static_cast<std::size_t>(max_message_bytes_);
      assembled_.reserve(std::min(limit, std::max(needed, 2 * assembled_.capacity())));
    }
    append(assembled_, payload);
  }
  frame_.read += payload.size();
}

// need_more: it was a fragment.
WebSocketReader::Step WebSocketReader::finish_frame(ByteView payload) {
  if ((frame_.opcode & kControl) != 0) {
    if (frame_.read == 0) return finish_control(payload);
    keep(payload);
    return finish_control(ByteView(control_.data(), frame_.size));
  }
  const bool whole = frame_.final && frame_.read == 0 && !in_message_;
  if (whole) return deliver(payload);
  keep(payload);
  in_message_ = !frame_.final;
  if (in_message_) return Step::need_more;
  assembled_out_ = true;
  return deliver(assembled_);
}

WebSocketReader::Step WebSocketReader::deliver(ByteView payload) {
  if (!binary_ && !is_utf8(payload)) return fail(WebSocketCloseCode::invalid_payload);
  payload_ = payload;
  return Step::message;
}

WebSocketReader::Step WebSocketReader::finish_control(ByteView payload) {
  if (frame_.opcode == static_cast<std::uint8_t>(WebSocketOpcode::close)) {
    return finish_close(payload);
  }
  payload_ = payload;
  const bool ping = frame_.opcode == static_cast<std::uint8_t>(WebSocketOpcode::ping);
  return ping ? Step::ping : Step::pong;
}

WebSocketReader::Step WebSocketReader::finish_close(ByteView payload) {
  std::uint16_t code = static_cast<std::uint16_t>(WebSocketCloseCode::no_status);
  if (!payload.empty()) {
    if (payload.size() < 2) return fail(WebSocketCloseCode::protocol_error);
    code = static_cast<std::uint16_t>(payload[0] << 8 | payload[1]);
    if (!may_be_sent(code)) return fail(WebSocketCloseCode::protocol_error);
    payload = payload.subspan(2);
    if (!is_utf8(payload)) return fail(WebSocketCloseCode::invalid_payload);
  }
  closed_ = true;
  in_message_ = false;
  Bytes().swap(assembled_);
  close_code_ = static_cast<WebSocketCloseCode>(code);
  payload_ = payload;
  return Step::close;
}

std::size_t websocket_header_size(std::size_t payload_size) {
  return payload_size < kLength16 ? 2 : payload_size <= 0xffff ? 4 : 10;
}

std::uint8_t* write_websocket_header(std::uint8_t* out, WebSocketOpcode opcode,
                                     std::size_t payload_size) {
  *out++ = static_cast<std::uint8_t>(kFinal | static_cast<std::uint8_t>(opcode));
  if (payload_size < kLength16) {
    *out++ = static_cast<std::uint8_t>(payload_size);
    return out;
  }
  const bool two_bytes = payload_size <= 0xffff;
  *out++ = two_bytes ? kLength16 : kLength64;
  for (int shift = two_bytes ? 8 : 56; shift >= 0; shift -= 8) {
    *out++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(payload_size) >> shift);
  }
  return out;
}

SharedBytes websocket_frame(WebSocketOpcode opcode, ByteView payload) {
  return SharedBytes::build(websocket_header_size(payload.size()) + payload.size(),
                            [&](std::uint8_t* out) {
                              out = write_websocket_header(out, opcode, payload.size());
                              if (!payload.empty())
                                std::memcpy(out, payload.data(), payload.size());
                            });
}

SharedBytes websocket_close_frame(WebSocketCloseCode code, std::string_view reason) {
  if (code == WebSocketCloseCode::no_status) return websocket_frame(WebSocketOpcode::close, {});
  // Cut where no character is torn apart.
  std::size_t size = std::min(reason.size(), kMaxReasonBytes);
  while (size < reason.size() && size > 0 &&
         (static_cast<std::uint8_t>(reason[size]) & 0xc0) == 0x80) {
    --size;
  }
  const auto number = static_cast<std::uint16_t>(code);
  Bytes payload{static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  append(payload, reason.substr(0, size));
  return websocket_frame(WebSocketOpcode::close, payload);
}

SharedBytes websocket_frames(std::span<const WireMessage> messages) {
  std::size_t size = 0;
  for (const WireMessage& message : messages) {
    size += websocket_header_size(message.payload.size()) + message.payload.size();
  }
  return SharedBytes::build(size, [&](std::uint8_t* out) {
    for (const WireMessage& message : messages) {
      const auto opcode = message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text;
      out = write_websocket_header(out, opcode, message.payload.size());
      out = std::copy(message.payload.begin(), message.payload.end(), out);
    }
  });
}

void append_masked_frame(Bytes& out, WebSocketOpcode opcode, ByteView payload, std::uint32_t key) {
  const std::size_t start = out.size();
  const std::size_t header = websocket_header_size(payload.size());
  out.resize(start + header + 4 + payload.size());
  std::uint8_t* p = out.data() + start;
  write_websocket_header(p, opcode, payload.size());
  p[1] |= kMasked;
  p += header;
  Key bytes;
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(key >> (24 - 8 * i));
  p = std::copy(bytes.begin(), bytes.end(), p);
  apply_mask(p, payload.data(), payload.size(), bytes, 0);
}

}  // namespace conat
