// The hot path of the broker without its routing: a publish is read, parsed and framed for
// delivery. One iteration is one message with 128 bytes of payload.
#include <benchmark/benchmark.h>

#include "conat/wire/packet.hpp"
#include "conat/wire/websocket.hpp"

namespace {

using namespace conat;

constexpr PacketEncoding kText = PacketEncoding::text;
constexpr PacketEncoding kMsgpack = PacketEncoding::msgpack;

WireMessages publish(PacketEncoding encoding) {
  const Bytes raw(128, 'x');
  return encode_publish(encoding,
                        {"project.5a4c1e2d.sensor.temperature",
                         "Y3eSYlSkPS",
                         0,
                         true,
                         PayloadEncoding::msgpack,
                         raw,
                         {}},
                        7);
}

// What a client sent, as it lies in a read buffer: masked.
Bytes stream_of(const WireMessages& messages) {
  Bytes stream;
  for (const WireMessage& message : messages) {
    append_masked_frame(stream, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                        message.payload, 0x12345678);
  }
  return stream;
}

void parse_and_frame(benchmark::State& state, PacketEncoding from, PacketEncoding to) {
  const WireMessages messages = publish(from);
  PacketReader reader;
  reader.set_encoding(from);
  Bytes scratch;
  for (auto _ : state) {
    for (const WireMessage& message : messages) reader.read(message.binary, message.payload);
    const Result<PublishView> parsed = parse_publish(reader.packet(), scratch);
    const Result<SharedBytes> framed =
        frame_delivery(to, "project.*.sensor.>", parsed->subject, parsed->tail);
    benchmark::DoNotOptimize(framed->data());
  }
}

// The whole way from the bytes read to the bytes to write, with the acknowledgement.
void bytes_to_bytes(benchmark::State& state, PacketEncoding encoding) {
  const Bytes one = stream_of(publish(encoding));
  constexpr int kBatch = 64;
  Bytes all;
  for (int i = 0; i < kBatch; ++i) append(all, one);
  WebSocketReader frames(WebSocketRole::server, 8'000'000);
  PacketReader reader;
  reader.set_encoding(encoding);
  Bytes scratch;
  for (auto _ : state) {
    Bytes buffer = all;  // unmasking works in place
    frames.feed(buffer);
    while (frames.next() == WebSocketReader::Step::message) {
      if (reader.read(frames.binary(), frames.payload()) != PacketReader::Step::packet) continue;
      const Result<PublishView> parsed = parse_publish(reader.packet(), scratch);
      const Result<SharedBytes> framed =
          frame_delivery(encoding, "project.*.sensor.>", parsed->subject, parsed->tail);
      benchmark::DoNotOptimize(framed->data());
      const SharedBytes ack = frame_count_ack(encoding, *reader.packet().ack_id, 1);
      benchmark::DoNotOptimize(ack.data());
    }
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

// A delivery as a client reads it.
void read_delivery(benchmark::State& state, PacketEncoding encoding) {
  const WireMessages messages = publish(encoding);
  PacketReader broker;
  broker.set_encoding(encoding);
  for (const WireMessage& message : messages) broker.read(message.binary, message.payload);
  Bytes scratch;
  const Result<PublishView> parsed = parse_publish(broker.packet(), scratch);
  const SharedBytes framed =
      *frame_delivery(encoding, "project.*.sensor.>", parsed->subject, parsed->tail);
  Bytes buffer = to_bytes(framed.view());
  WebSocketReader frames(WebSocketRole::client, 8'000'000);
  PacketReader reader;
  reader.set_encoding(encoding);
  for (auto _ : state) {
    frames.feed(buffer);
    while (frames.next() == WebSocketReader::Step::message) {
      if (reader.read(frames.binary(), frames.payload()) != PacketReader::Step::packet) continue;
      const Result<PublishView> delivery = parse_delivery(reader.packet(), scratch);
      const Result<TailFields> fields = parse_tail(delivery->tail);
      benchmark::DoNotOptimize(fields->raw.data());
    }
  }
}

BENCHMARK_CAPTURE(parse_and_frame, msgpack, kMsgpack, kMsgpack);
BENCHMARK_CAPTURE(parse_and_frame, text, kText, kText);
BENCHMARK_CAPTURE(parse_and_frame, msgpack_to_text, kMsgpack, kText);
BENCHMARK_CAPTURE(parse_and_frame, text_to_msgpack, kText, kMsgpack);
BENCHMARK_CAPTURE(bytes_to_bytes, msgpack, kMsgpack);
BENCHMARK_CAPTURE(bytes_to_bytes, text, kText);
BENCHMARK_CAPTURE(read_delivery, msgpack, kMsgpack);
BENCHMARK_CAPTURE(read_delivery, text, kText);

}  // namespace

BENCHMARK_MAIN();
