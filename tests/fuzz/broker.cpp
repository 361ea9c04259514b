// A broker of one shard with a bystander: hostile bytes on one connection neither crash it, nor
// make it hold on to anything, nor touch the other connection. The hostile one has to sign in.
#include "conat/broker/broker.hpp"

#include <memory>

#include "fuzz.hpp"

using namespace conat;

namespace {

struct Shell {
  void drain() {
    while (broker.next(effect)) {
      if (auto* send = std::get_if<effect::Send>(&effect)) {
        broker.on_written(now, send->connection, send->bytes.size());
      } else if (auto* close = std::get_if<effect::Close>(&effect)) {
        if (close->connection == bystander) __builtin_trap();
        hostile = 0;
      } else if (auto* asked = std::get_if<effect::Authenticate>(&effect)) {
        // Some come in, with an expiry; some are refused; some wait for ever.
        const Value* user = asked->auth.find("u");
        if (user == nullptr) {
          broker.on_authenticated(now, asked->connection, {Value(), {}, now + 1000});
        } else if (user->if_map() != nullptr) {
          broker.on_authenticated(now, asked->connection, {*user, {}, {}});
        }
      }
    }
  }
  void feed(ConnectionId id, Bytes bytes) {
    broker.on_bytes(now, id, bytes);
    drain();
  }
  void frame(ConnectionId id, WebSocketOpcode opcode, ByteView payload) {
    Bytes raw;
    append_masked_frame(raw, opcode, payload, 0x01020304);
    feed(id, std::move(raw));
  }

  Broker broker{BrokerOptions{}, Random(1)};
  TimeMs now = 0;
  BrokerEffect effect;
  ConnectionId bystander = 0;
  ConnectionId hostile = 0;
};

}  // namespace

// The first byte chooses the encoding; then pieces: a length, and the payload of a frame. A piece
// of length 255 is bytes of the stream instead.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  Shell shell;
  shell.bystander = shell.broker.open(0, {"", Identity{}, false});
  shell.frame(shell.bystander, WebSocketOpcode::text, as_bytes("40"));
  shell.frame(shell.bystander, WebSocketOpcode::text,
              as_bytes(R"(42["subscribe",{"subject":"a.*","queue":"q"}])"));
  shell.hostile = shell.broker.open(0, {"", std::nullopt, false});
  const ConnectionId hostile = shell.hostile;
  const bool text = data[0] % 2 == 0;
  const Bytes connect = encode_connect(PacketEncoding::msgpack, Value())[0].payload;
  shell.frame(hostile, text ? WebSocketOpcode::text : WebSocketOpcode::binary,
              text ? as_bytes("40") : ByteView(connect));
  ByteView rest(data + 1, size - 1);
  while (!rest.empty() && shell.hostile != 0) {
    const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
    const ByteView piece = rest.subspan(1, length);
    if (rest[0] == 255) {
      shell.feed(hostile, to_bytes(piece));
    } else {
      const bool is_text = text && (piece.empty() || piece[0] < 0x80);
      shell.frame(hostile, is_text ? WebSocketOpcode::text : WebSocketOpcode::binary, piece);
    }
    rest = rest.subspan(1 + length);
  }
  if (shell.hostile != 0) {
    if (data[0] % 4 < 2) {
      shell.broker.on_closed(0, hostile);
    } else {
      shell.broker.withdraw(0, hostile);
    }
  }
  shell.drain();
  const BrokerCounters& counters = shell.broker.counters();
  if (counters.connections_open != 1 || counters.subscriptions != 1) __builtin_trap();
  return 0;
}
