// Helpers for the wire layer's tests: bytes written as hexadecimal text, packets read in one go.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "conat/wire/packet.hpp"
#include "conat/wire/websocket.hpp"

namespace conat::test {

inline Bytes unhex(std::string_view text) {
  Bytes bytes;
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;  // spaces
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

inline std::string hex(ByteView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

inline WireMessage text(std::string_view message) { return {false, to_bytes(message)}; }
inline WireMessage binary(std::string_view hexadecimal) { return {true, unhex(hexadecimal)}; }

// The messages in what a server framed.
inline WireMessages unframe(const SharedBytes& framed) {
  Bytes bytes = to_bytes(framed.view());
  WebSocketReader reader(WebSocketRole::client, 1u << 30);
  reader.feed(bytes);
  WireMessages messages;
  while (reader.next() == WebSocketReader::Step::message) {
    messages.push_back({reader.binary(), to_bytes(reader.payload())});
  }
  return messages;
}

// Messages in a readable form: text as it is, binary as hexadecimal digits behind "b:".
inline std::vector<std::string> shown(const WireMessages& messages) {
  std::vector<std::string> result;
  for (const WireMessage& message : messages) {
    result.push_back(message.binary ? "b:" + hex(message.payload)
                                    : std::string(as_text(message.payload)));
  }
  return result;
}

inline std::vector<std::string> shown(const WireMessage& message) {
  return shown(WireMessages{message});
}

using Shown = std::vector<std::string>;

// A reader with the messages of one packet, which it keeps alive.
class OnePacket {
 public:
  OnePacket(PacketEncoding encoding, WireMessages messages) : messages_(std::move(messages)) {
    reader_.set_encoding(encoding);
    for (const WireMessage& message : messages_) {
      step_ = reader_.read(message.binary, message.payload);
    }
  }
  PacketReader::Step step() const { return step_; }
  const PacketView& view() const {
    REQUIRE(step_ == PacketReader::Step::packet);
    return reader_.packet();
  }
  PacketReader& reader() { return reader_; }

 private:
  PacketReader reader_;
  WireMessages messages_;
  PacketReader::Step step_ = PacketReader::Step::error;
};

}  // namespace conat::test
