#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "conat/wire/json_cursor.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/transcode.hpp"

namespace conat {
namespace {

using namespace std::string_view_literals;

// What stands between the variable parts of a MessagePack delivery.
constexpr std::string_view kMapTypeEventData =
    "\x83\xa4type\x02\xa4"
    "data\x92"sv;
constexpr std::string_view kMapSubject = "\x82\xa7subject"sv;
constexpr std::string_view kKeyData =
    "\xa4"
    "data"sv;
constexpr std::string_view kNamespace = "\xa3nsp\xa1/"sv;
constexpr std::string_view kMapTypeAckData =
    "\x84\xa4type\x03\xa4"
    "data\x91\x81\xa5"
    "count"sv;
constexpr std::string_view kKeyId = "\xa2id"sv;

// And of one in text.
constexpr std::string_view kTextSubject = R"(,{"subject":)"sv;
constexpr std::string_view kTextData = R"(,"data":[)"sv;
constexpr std::string_view kTextEnd = "]}]"sv;

std::uint8_t* put(std::uint8_t* out, std::string_view text) {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

std::uint8_t* put(std::uint8_t* out, ByteView bytes) { return put(out, as_text(bytes)); }

std::uint8_t* put_msgpack_text(std::uint8_t* out, std::string_view text) {
  return put(write_msgpack_text_head(out, text.size()), text);
}

std::size_t msgpack_text_size(std::string_view text) {
  return msgpack_text_head_size(text.size()) + text.size();
}

SharedBytes frame_msgpack(std::string_view pattern, std::string_view subject, ByteView elements,
                          std::uint32_t count, std::span<const HeldAttachment> held = {}) {
  std::size_t held_size = 0;
  for (const HeldAttachment& attachment : held) held_size += attachment.bytes.size();
  const std::size_t size = held_size + kMapTypeEventData.size() + msgpack_text_size(pattern) +
                           kMapSubject.size() + msgpack_text_size(subject) + kKeyData.size() +
                           msgpack_array_head_size(count) + elements.size() + kNamespace.size();
  return SharedBytes::build(websocket_header_size(size) + size, [&](std::uint8_t* out) {
    out = write_websocket_header(out, WebSocketOpcode::binary, size);
    out = put(out, kMapTypeEventData);
    out = put_msgpack_text(out, pattern);
    out = put(out, kMapSubject);
    out = put_msgpack_text(out, subject);
    out = put(out, kKeyData);
    out = write_msgpack_array_head(out, count);
    std::size_t done = 0;
    for (const HeldAttachment& attachment : held) {
      out = put(out, elements.subspan(done, attachment.offset - done));
      out = put(out, attachment.bytes);
      done = attachment.offset;
    }
    out = put(out, elements.subspan(done));
    put(out, kNamespace);
  });
}

// A string between quotes, ready to be copied: itself, or escaped in `storage`.
std::string_view quoted_content(std::string_view text, std::string& storage) {
  if (is_plain_json_text(text)) return text;
  append_json_text(storage, text);
  return std::string_view(storage).substr(1, storage.size() - 2);
}

std::uint8_t* put_quoted(std::uint8_t* out, std::string_view content) {
  *out++ = '"';
  out = put(out, content);
  *out++ = '"';
  return out;
}

SharedBytes frame_text(std::string_view pattern, std::string_view subject,
                       std::string_view elements, std::span<const ByteView> attachments) {
  std::string pattern_storage;
  std::string subject_storage;
  pattern = quoted_content(pattern, pattern_storage);
  subject = quoted_content(subject, subject_storage);
  std::array<char, 24> head{'4', '2'};
  char* head_end = head.data() + 2;
  if (!attachments.empty()) {
    head[1] = '5';
    head_end = std::to_chars(head_end, head.data() + head.size() - 1, attachments.size()).ptr;
    *head_end++ = '-';
  }
  const std::string_view prefix(head.data(), static_cast<std::size_t>(head_end - head.data()));
  const std::size_t size = prefix.size() + 1 + 2 + pattern.size() + kTextSubject.size() + 2 +
                           subject.size() + kTextData.size() + elements.size() + kTextEnd.size();
  std::size_t total = websocket_header_size(size) + size;
  for (const ByteView attachment : attachments) {
    total += websocket_header_size(attachment.size()) + attachment.size();
  }
  return SharedBytes::build(total, [&](std::uint8_t* out) {
    out = write_websocket_header(out, WebSocketOpcode::text, size);
    out = put(out, prefix);
    *out++ = '[';
    out = put_quoted(out, pattern);
    out = put(out, kTextSubject);
    out = put_quoted(out, subject);
    out = put(out, kTextData);
    out = put(out, elements);
    out = put(out, kTextEnd);
    for (const ByteView attachment : attachments) {
      out = write_websocket_header(out, WebSocketOpcode::binary, attachment.size());
      out = put(out, attachment);
    }
  });
}

}  // namespace

Result<SharedBytes> frame_delivery(PacketEncoding encoding, std::string_view pattern,
                                   std::string_view subject, const Tail& tail) {
  if (is_reserved_event(pattern)) return Error(ErrorKind::invalid_subject);
  if (encoding == tail.encoding) {
    if (encoding == PacketEncoding::msgpack) {
      return frame_msgpack(pattern, subject, tail.elements, tail.count);
    }
    return frame_text(pattern, subject, as_text(tail.elements), tail.attachments);
  }
  if (encoding == PacketEncoding::msgpack) {
    Bytes elements;
    std::vector<HeldAttachment> held;
    elements.reserve(tail.elements.size());
    Status status = append_as_msgpack(as_text(tail.elements), tail.attachments, elements, &held);
    if (!status) return status.error();
    return frame_msgpack(pattern, subject, elements, tail.count, held);
  }
  TextElements text;
  Status status = append_as_text(tail.elements, tail.count, text);
  if (!status) return status.error();
  return frame_text(pattern, subject, text.json, text.attachments);
}

SharedBytes frame_count_ack(PacketEncoding encoding, std::uint64_t ack_id, std::uint64_t count) {
  if (encoding == PacketEncoding::text) {
    std::array<char, 80> text{'4', '3'};
    char* const end = text.data() + text.size();
    char* p = std::to_chars(text.data() + 2, end, ack_id).ptr;
    p = std::copy_n(R"([{"count":)", 10, p);
    p = std::to_chars(p, end, count).ptr;
    p = std::copy_n("}]", 2, p);
    return websocket_frame(WebSocketOpcode::text,
                           as_bytes({text.data(), static_cast<std::size_t>(p - text.data())}));
  }
  Bytes packet;
  packet.reserve(64);
  append(packet, kMapTypeAckData);
  append_msgpack_unsigned(packet, count);
  append(packet, kNamespace);
  append(packet, kKeyId);
  append_msgpack_unsigned(packet, ack_id);
  return websocket_frame(WebSocketOpcode::binary, packet);
}

}  // namespace conat
