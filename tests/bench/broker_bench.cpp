// How long the broker's core takes for a publish and for a delivery, in memory: bytes in, effects
// out.
//
//   broker_bench [seconds per case]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "conat/broker/broker.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/websocket.hpp"

using namespace conat;

namespace {

double processor_ns() { return 1e9 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Bytes masked(const WireMessages& messages) {
  Bytes raw;
  for (const WireMessage& message : messages) {
    append_masked_frame(raw, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                        message.payload, 0x1a2b3c4d);
  }
  return raw;
}

// Drains effects as a shell does: takes each one, reports what was written once a turn.
struct Bench {
  explicit Bench(PacketEncoding with) : encoding(with), broker(BrokerOptions{}, Random(1)) {}

  ConnectionId client() {
    const ConnectionId id = broker.open(0, {"", Identity{}, false});
    feed(id, masked(encode_connect(encoding, Value())));
    feed(id, masked(encode_ack(encoding, 0, {})));
    return id;
  }
  void subscribe(ConnectionId id, const std::string& pattern, const std::string& queue) {
    Value request;
    request.set("subject", pattern);
    request.set("queue", queue);
    feed(id, masked(encode_event(encoding, "subscribe", {request}, std::nullopt)));
  }
  void feed(ConnectionId id, Bytes raw) {
    broker.on_bytes(0, id, raw);
    drain();
  }
  void drain() {
    while (broker.next(effect)) {
      if (auto* send = std::get_if<effect::Send>(&effect)) {
        bytes += send->bytes.size();
        ++sends;
        broker.on_written(0, send->connection, send->bytes.size());
      }
    }
  }

  PacketEncoding encoding;
  Broker broker;
  BrokerEffect effect;
  std::uint64_t bytes = 0;
  std::uint64_t sends = 0;
};

// A batch of publishes as one read from the network holds them.
Bytes batch_of(PacketEncoding encoding, const std::vector<std::string>& subjects,
               std::size_t payload, bool with_ack, int count) {
  Bytes raw;
  const Bytes content(payload, 0x41);
  for (int i = 0; i < count; ++i) {
    PublishChunk chunk;
    chunk.subject = subjects[static_cast<std::size_t>(i) % subjects.size()];
    chunk.id = "0123456789";
    chunk.raw = content;
    std::optional<std::uint64_t> ack_id;
    if (with_ack) ack_id = static_cast<std::uint64_t>(i);
    append(raw, masked(encode_publish(encoding, chunk, ack_id)));
  }
  return raw;
}

const char* name_of(PacketEncoding encoding) {
  return encoding == PacketEncoding::text ? "text   " : "msgpack";
}

void run(const char* what, PacketEncoding encoding, int subscribers, bool wildcard, bool with_ack,
         double seconds) {
  Bench bench(encoding);
  const ConnectionId publisher = bench.client();
  for (int i = 0; i < subscribers; ++i) {
    bench.subscribe(bench.client(), wildcard ? "bench.*" : "bench.subject",
                    "own" + std::to_string(i));
  }
  const int publishes = 64;
  const Bytes batch = batch_of(encoding, {"bench.subject"}, 128, with_ack, publishes);
  Bytes scratch;
  std::uint64_t rounds = 0;
  bench.sends = 0;
  const double start = processor_ns();
  double ns = 0;
  do {
    for (int i = 0; i < 16; ++i, ++rounds) {
      scratch = batch;  // is unmasked in place
      bench.broker.on_bytes(0, publisher, scratch);
      bench.drain();
    }
    ns = processor_ns() - start;
  } while (ns < seconds * 1e9);
  const double published = static_cast<double>(rounds) * publishes;
  std::printf("%-28s %s  %8.1f ns/publish  %7.1f ns/delivery  %6.2f M deliveries/s\n", what,
              name_of(encoding), ns / published, ns / (published * subscribers),
              published * subscribers / ns * 1000);
}

// Many subscriptions that come and go while a subject is busy.
void run_churn(PacketEncoding encoding, double seconds) {
  Bench bench(encoding);
  const ConnectionId publisher = bench.client();
  const ConnectionId subscriber = bench.client();
  bench.subscribe(subscriber, "bench.subject", "q");
  std::vector<ConnectionId> others;
  for (int i = 0; i < 1000; ++i) others.push_back(bench.client());
  for (int i = 0; i < 100'000; ++i) {
    bench.subscribe(others[static_cast<std::size_t>(i) % others.size()],
                    "_INBOX.i" + std::to_string(i) + ".*", "q");
  }
  const Bytes batch = batch_of(encoding, {"bench.subject"}, 128, true, 8);
  Value churn;
  churn.set("subject", "_INBOX.churn.*");
  churn.set("queue", "q");
  const Bytes add = masked(encode_event(encoding, "subscribe", {churn}, std::nullopt));
  const Bytes remove = masked(encode_event(encoding, "unsubscribe", {churn}, std::nullopt));
  Bytes scratch;
  std::uint64_t rounds = 0;
  const double start = processor_ns();
  double ns = 0;
  do {
    for (int i = 0; i < 16; ++i, ++rounds) {
      scratch = add;
      bench.broker.on_bytes(0, subscriber, scratch);
      scratch = batch;
      bench.broker.on_bytes(0, publisher, scratch);
      scratch = remove;
      bench.broker.on_bytes(0, subscriber, scratch);
      bench.drain();
    }
    ns = processor_ns() - start;
  } while (ns < seconds * 1e9);
  const BrokerCounters& counters = bench.broker.counters();
  std::printf("%-28s %s  %8.1f ns for 8 publishes, 1 subscribe, 1 unsubscribe; cache %.1f %%\n",
              "100,000 others, churn", name_of(encoding), ns / static_cast<double>(rounds),
              100.0 * static_cast<double>(counters.match_cache_hits) /
                  static_cast<double>(counters.match_cache_hits + counters.match_cache_misses));
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  for (const PacketEncoding encoding : {PacketEncoding::msgpack, PacketEncoding::text}) {
    run("1 -> 1, acknowledged", encoding, 1, false, true, seconds);
    run("1 -> 1, wildcard, no ack", encoding, 1, true, false, seconds);
    run("1 -> 100, acknowledged", encoding, 100, false, true, seconds);
    run("1 -> 1000, wildcard", encoding, 1000, true, true, seconds);
    run_churn(encoding, seconds);
  }
}
