#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_writer.hpp"
#include "conat/wire/msgpack_view.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/packet_types.hpp"
#include "conat/wire/transcode.hpp"

namespace conat {
namespace {

using namespace packet_type;

WireMessage text_message(std::string_view text) { return {false, to_bytes(text)}; }

// (A braced list would copy the message.)
WireMessages only(WireMessage message) {
  WireMessages messages;
  messages.push_back(std::move(message));
  return messages;
}

WireMessages with_attachments(std::string_view text, std::span<const ByteView> attachments) {
  WireMessages messages;
  messages.reserve(1 + attachments.size());
  messages.push_back(text_message(text));
  for (const ByteView attachment : attachments) messages.push_back({true, to_bytes(attachment)});
  return messages;
}

// ---- The MessagePack envelope: a map of type, data, nsp and id ----

void open_msgpack(Bytes& out, std::uint8_t type, bool has_data, bool has_id) {
  append_msgpack_map(out, 2u + (has_data ? 1u : 0u) + (has_id ? 1u : 0u));
  append_msgpack_text(out, "type");
  append_msgpack_unsigned(out, type);
  if (has_data) append_msgpack_text(out, "data");
}

void close_msgpack(Bytes& out, std::string_view nsp, std::optional<std::uint64_t> ack_id) {
  append_msgpack_text(out, "nsp");
  append_msgpack_text(out, nsp);
  if (ack_id) {
    append_msgpack_text(out, "id");
    append_msgpack_unsigned(out, *ack_id);
  }
}

WireMessages msgpack_packet(std::uint8_t type, const Value* data, std::string_view nsp) {
  WireMessage message{true, {}};
  open_msgpack(message.payload, type, data != nullptr, false);
  if (data != nullptr) encode_msgpack(*data, message.payload);
  close_msgpack(message.payload, nsp, std::nullopt);
  return only(std::move(message));
}

// An event when there is a name, else an acknowledgement.
WireMessages encode_msgpack_arguments(std::optional<std::string_view> name,
                                      const Value::Array& arguments,
                                      std::optional<std::uint64_t> ack_id) {
  WireMessage message{true, {}};
  open_msgpack(message.payload, name ? kEvent : kAck, true, ack_id.has_value());
  append_msgpack_array(message.payload,
                       static_cast<std::uint32_t>(arguments.size() + (name ? 1 : 0)));
  if (name) append_msgpack_text(message.payload, *name);
  for (const Value& argument : arguments) encode_msgpack(argument, message.payload);
  close_msgpack(message.payload, "/", ack_id);
  return only(std::move(message));
}

// ---- Text ----

// What stands before the JSON of an event or an acknowledgement.
std::string text_head(std::uint8_t type, std::size_t attachments,
                      std::optional<std::uint64_t> ack_id) {
  std::string head = "4";
  head.push_back(static_cast<char>('0' + type + (attachments == 0 ? 0 : 3)));
  if (attachments != 0) head.append(std::to_string(attachments)).push_back('-');
  if (ack_id) head.append(std::to_string(*ack_id));
  return head;
}

void append_text_arguments(std::string& out, std::optional<std::string_view> name,
                           const Value::Array& arguments, JsonBinary& binary) {
  out.push_back('[');
  if (name) append_json_text(out, *name);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (name || i != 0) out.push_back(',');
    write_json(arguments[i], out, &binary);
  }
  out.push_back(']');
}

WireMessages encode_text_arguments(std::optional<std::string_view> name,
                                   const Value::Array& arguments,
                                   std::optional<std::uint64_t> ack_id) {
  std::string json;
  JsonBinary binary;
  append_text_arguments(json, name, arguments, binary);
  if (binary.disarmed && binary.attachments.empty()) {
    json.clear();
    binary.keep_marks = true;
    append_text_arguments(json, name, arguments, binary);
  }
  std::string text = text_head(name ? kEvent : kAck, binary.attachments.size(), ack_id);
  text.append(json);
  return with_attachments(text, binary.attachments);
}

// The headers' JSON; their binary values become attachments behind the payload.
TextElements text_headers(const PublishChunk& chunk) {
  TextElements headers;
  headers.attachments.push_back(chunk.raw);
  if (chunk.headers.empty() || append_as_text(chunk.headers, 1, headers)) return headers;
  // More binary than a packet may have: in the form of Buffer.toJSON it is still there.
  headers = {};
  headers.attachments.push_back(chunk.raw);
  const Result<Value> value = decode_msgpack(chunk.headers);
  if (value) encode_json(*value, headers.json);
  return headers;
}

WireMessages encode_text_publish(const PublishChunk& chunk, std::optional<std::uint64_t> ack_id) {
  const TextElements headers = text_headers(chunk);
  std::string text = text_head(kEvent, headers.attachments.size(), ack_id);
  text.append(R"(["publish",[)");
  append_json_text(text, chunk.subject);
  text.push_back(',');
  append_json_text(text, chunk.id);
  text.append(",").append(std::to_string(chunk.sequence));
  text.append(chunk.done ? ",1," : ",0,");
  text.append(std::to_string(static_cast<int>(chunk.payload_encoding))).push_back(',');
  append_placeholder(text, 0);
  if (!headers.json.empty()) text.append(",").append(headers.json);
  text.append("]]");
  return with_attachments(text, headers.attachments);
}

WireMessages encode_msgpack_publish(const PublishChunk& chunk,
                                    std::optional<std::uint64_t> ack_id) {
  WireMessage message{true, {}};
  Bytes& out = message.payload;
  out.reserve(96 + chunk.subject.size() + chunk.id.size() + chunk.raw.size() +
              chunk.headers.size());
  open_msgpack(out, kEvent, true, ack_id.has_value());
  append_msgpack_array(out, 2);
  append_msgpack_text(out, "publish");
  append_msgpack_array(out, chunk.headers.empty() ? 6 : 7);
  append_msgpack_text(out, chunk.subject);
  append_msgpack_text(out, chunk.id);
  append_msgpack_unsigned(out, chunk.sequence);
  append_msgpack_unsigned(out, chunk.done ? 1 : 0);
  append_msgpack_unsigned(out, static_cast<std::uint64_t>(chunk.payload_encoding));
  append_msgpack_binary(out, chunk.raw);
  append(out, chunk.headers);
  close_msgpack(out, "/", ack_id);
  return only(std::move(message));
}

}  // namespace

WireMessages encode_event(PacketEncoding encoding, std::string_view name,
                          const Value::Array& arguments, std::optional<std::uint64_t> ack_id) {
  return encoding == PacketEncoding::text ? encode_text_arguments(name, arguments, ack_id)
                                          : encode_msgpack_arguments(name, arguments, ack_id);
}

WireMessages encode_ack(PacketEncoding encoding, std::uint64_t ack_id,
                        const Value::Array& arguments) {
  return encoding == PacketEncoding::text
             ? encode_text_arguments(std::nullopt, arguments, ack_id)
             : encode_msgpack_arguments(std::nullopt, arguments, ack_id);
}

WireMessages encode_connect(PacketEncoding encoding, const Value& data) {
  if (encoding == PacketEncoding::msgpack) {
    return msgpack_packet(kConnect, data.is_null() ? nullptr : &data, "/");
  }
  std::string text = "40";
  if (!data.is_null()) encode_json(data, text);
  return only(text_message(text));
}

WireMessages encode_connect_error(PacketEncoding encoding, std::string_view message,
                                  std::string_view nsp) {
  const Value data = Value::Map{{"message", message}};
  if (encoding == PacketEncoding::msgpack) return msgpack_packet(kConnectError, &data, nsp);
  std::string text = "44";
  if (nsp != "/") text.append(nsp).push_back(',');
  encode_json(data, text);
  return only(text_message(text));
}

WireMessages encode_disconnect(PacketEncoding encoding) {
  if (encoding == PacketEncoding::msgpack) return msgpack_packet(kDisconnect, nullptr, "/");
  return only(text_message("41"));
}

WireMessage encode_engine_open(std::string_view sid, std::int64_t ping_interval_ms,
                               std::int64_t ping_timeout_ms, std::size_t max_payload_bytes) {
  std::string text = "0";
  encode_json(Value::Map{{"sid", sid},
                         {"upgrades", Value::Array{}},
                         {"pingInterval", ping_interval_ms},
                         {"pingTimeout", ping_timeout_ms},
                         {"maxPayload", static_cast<std::uint64_t>(max_payload_bytes)}},
              text);
  return text_message(text);
}

WireMessage encode_engine_ping() { return text_message("2"); }

WireMessage encode_engine_pong() { return text_message("3"); }

WireMessages encode_publish(PacketEncoding encoding, const PublishChunk& chunk,
                            std::optional<std::uint64_t> ack_id) {
  return encoding == PacketEncoding::text ? encode_text_publish(chunk, ack_id)
                                          : encode_msgpack_publish(chunk, ack_id);
}

}  // namespace conat
