// Brokers (the shards of one) with clients that speak real bytes to them, and the mail between the
// shards, in one thread and with a clock that the test moves.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/broker/broker.hpp"
#include "conat/wire/packet.hpp"
#include "conat/wire/websocket.hpp"

namespace conat::test {

inline Value json(std::string_view text) {
  Result<Value> value = decode_json(text);
  REQUIRE(value.ok());
  return std::move(*value);
}

// Runs the rest of the test once with each.
inline PacketEncoding any_encoding() {
  return GENERATE(PacketEncoding::text, PacketEncoding::msgpack);
}

inline Value count(int n) { return Value(Value::Map{{"count", Value(n)}}); }

// What a client got, decoded.
struct Packet {
  PacketKind kind;
  std::string name;
  Value::Array arguments;
  std::optional<std::uint64_t> ack_id;
};

class World;

class TestClient {
 public:
  using Observer = std::function<void(bool binary, ByteView message)>;
  TestClient(World& world, ShardIndex shard, Handshake handshake, PacketEncoding encoding,
             Observer observer = {});
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // ---- sending ----
  void frame(WebSocketOpcode opcode, ByteView payload);
  void text(std::string_view payload) { frame(WebSocketOpcode::text, as_bytes(payload)); }
  void binary(ByteView payload) { frame(WebSocketOpcode::binary, payload); }
  void messages(const WireMessages& all);
  void bytes(Bytes raw);
  // CONNECT, and the ack of `info` unless told otherwise.
  TestClient& connect(bool acknowledge_info = true);
  void emit(std::string_view name, const Value::Array& arguments,
            std::optional<std::uint64_t> ack_id = std::nullopt) {
    messages(encode_event(encoding, name, arguments, ack_id));
  }
  // Asks for an ack and returns its one argument; fails when none came.
  Value ask(std::string_view name, const Value::Array& arguments);
  Value subscribe(std::string_view pattern, std::string_view queue);
  Value publish(std::string_view subject, std::string_view id = "id", std::uint64_t sequence = 0,
                bool done = true, std::string_view raw = "x");
  void close();  // the transport is lost

  // ---- what came ----
  std::vector<std::string> take_texts();  // the messages; binary ones as "bin:<hex>"
  std::vector<Packet> take_packets();
  // The publishes delivered so far: "pattern subject id".
  std::vector<std::string> take_deliveries();
  std::optional<Value> take_ack(std::uint64_t ack_id);

  World& world;
  const ShardIndex shard;
  const PacketEncoding encoding;
  ConnectionId id = 0;
  Observer observe;  // sees each message that comes, besides
  bool open = true;
  bool masked = true;
  bool reading_paused = false;
  std::optional<WebSocketCloseCode> close_code;
  std::string close_reason;
  CloseDetails close_details;
  bool flushed = false;
  std::uint64_t unwritten = 0;
  std::uint64_t received_bytes = 0;

 private:
  friend class World;
  void receive(const SharedBytes& bytes);

  std::uint64_t next_ack_ = 100;
  WebSocketReader reader_;
  PacketReader packets_in_;
  std::vector<std::string> texts_;
  std::vector<Packet> packets_;
};

class World {
 public:
  explicit World(BrokerOptions options = {}, std::uint64_t seed = 1) : random(seed) {
    for (ShardIndex shard = 0; shard < options.shard_count; ++shard) {
      options.shard = shard;
      brokers.push_back(std::make_unique<Broker>(options, random.fork()));
    }
    mail.resize(std::size_t{options.shard_count} * options.shard_count);
  }

  Broker& broker(ShardIndex shard = 0) { return *brokers[shard]; }

  std::unique_ptr<TestClient> client(PacketEncoding encoding = PacketEncoding::text,
                                     ShardIndex shard = 0,
                                     Handshake handshake = {"", Identity{}, false}) {
    return std::make_unique<TestClient>(*this, shard, std::move(handshake), encoding);
  }
  std::unique_ptr<TestClient> user_client(std::string_view user,
                                          PacketEncoding encoding = PacketEncoding::text) {
    Handshake handshake;
    handshake.identity = Identity{json(user), {}, {}};
    return client(encoding, 0, std::move(handshake));
  }

  // Takes the effects of a shard.
  void drain(ShardIndex shard) {
    BrokerEffect effect;
    while (broker(shard).next(effect)) carry_out(shard, effect);
  }
  // One message of one mailbox; false when all are empty.
  bool deliver_mail() {
    std::vector<std::size_t> filled;
    for (std::size_t i = 0; i < mail.size(); ++i) {
      if (!mail[i].empty()) filled.push_back(i);
    }
    if (filled.empty()) return false;
    const std::size_t box = filled[random.below(static_cast<std::uint32_t>(filled.size()))];
    PeerMessage message = std::move(mail[box].front());
    mail[box].pop_front();
    const auto to = static_cast<ShardIndex>(box % brokers.size());
    brokers[to]->on_peer(now, static_cast<ShardIndex>(box / brokers.size()), std::move(message));
    drain(to);
    return true;
  }
  void settle() {
    for (ShardIndex shard = 0; shard < brokers.size(); ++shard) drain(shard);
    while (deliver_mail_at_once && deliver_mail()) {
    }
  }
  // Answers the first question; tells whether that is in force now.
  bool answer(Identity identity) {
    REQUIRE_FALSE(questions.empty());
    const ConnectionId asked = questions.front().connection;
    questions.pop_front();
    bool in_force = false;
    for (const auto& one : brokers) {
      in_force = one->on_authenticated(now, asked, identity) || in_force;
    }
    settle();
    return in_force;
  }
  // Moves the clock, running every timer at its time.
  void advance(std::int64_t ms) {
    const TimeMs end = now + ms;
    while (true) {
      std::optional<TimeMs> next;
      for (const auto& one : brokers) next = earlier(next, one->deadline());
      if (!next || *next > end) break;
      now = std::max(now, *next);
      for (ShardIndex shard = 0; shard < brokers.size(); ++shard) broker(shard).on_time(now);
      settle();
    }
    now = end;
  }

  TimeMs now = 1000;
  Random random;
  std::vector<std::unique_ptr<Broker>> brokers;
  std::vector<std::deque<PeerMessage>> mail;  // from * shards + to
  struct LinkMail {
    ShardIndex link;
    ShardIndex from;
    PeerMessage message;
  };
  std::deque<LinkMail> link_mail;  // to brokers that were joined
  bool deliver_mail_at_once = true;
  bool write_at_once = true;  // what is sent leaves the queue immediately
  std::map<ConnectionId, TestClient*> clients;
  std::deque<effect::Authenticate> questions;  // not answered yet

 private:
  void carry_out(ShardIndex shard, BrokerEffect& effect) {
    if (auto* send = std::get_if<effect::Send>(&effect)) {
      TestClient& to = client_of(send->connection);
      REQUIRE(to.open);
      to.receive(send->bytes);
      if (write_at_once) {
        broker(shard).on_written(now, to.id, send->bytes.size());
      } else {
        to.unwritten += send->bytes.size();
      }
    } else if (auto* closed = std::get_if<effect::Close>(&effect)) {
      TestClient& to = client_of(closed->connection);
      REQUIRE(to.open);
      to.open = false;
      to.close_reason = close_reason_text(closed->reason);
      to.close_details = *closed->details;
      to.flushed = closed->flush;
    } else if (auto* pause = std::get_if<effect::PauseReading>(&effect)) {
      TestClient& to = client_of(pause->connection);
      REQUIRE(to.open);
      REQUIRE(to.reading_paused != pause->paused);
      to.reading_paused = pause->paused;
    } else if (auto* to_peer = std::get_if<effect::ToPeer>(&effect)) {
      REQUIRE(to_peer->shard != shard);
      if (to_peer->shard >= brokers.size()) {
        link_mail.push_back({to_peer->shard, shard, std::move(to_peer->message)});
        return;
      }
      mail[shard * brokers.size() + to_peer->shard].push_back(std::move(to_peer->message));
    } else if (auto* asked = std::get_if<effect::Authenticate>(&effect)) {
      questions.push_back(std::move(*asked));
    }
  }
  TestClient& client_of(ConnectionId id) {
    if (clients.count(id) == 0) {
      REQUIRE(opening != nullptr);
      clients[id] = opening;
      opening->id = id;
    }
    return *clients[id];
  }

 public:
  TestClient* opening = nullptr;
};

inline TestClient::TestClient(World& in, ShardIndex of_shard, Handshake handshake,
                              PacketEncoding with, Observer observer)
    : world(in),
      shard(of_shard),
      encoding(with),
      observe(std::move(observer)),
      masked(!handshake.in_process),
      reader_(WebSocketRole::client, std::size_t{1} << 30) {
  packets_in_.set_encoding(with);
  world.opening = this;
  id = world.broker(shard).open(world.now, std::move(handshake));
  world.clients[id] = this;
  world.settle();
  world.opening = nullptr;
}

inline TestClient::~TestClient() { world.clients.erase(id); }

inline void TestClient::bytes(Bytes raw) {
  REQUIRE(open);
  world.broker(shard).on_bytes(world.now, id, raw);
  world.settle();
}

inline void TestClient::frame(WebSocketOpcode opcode, ByteView payload) {
  Bytes raw;
  if (masked) {
    append_masked_frame(raw, opcode, payload, world.random.next_u32());
  } else {
    append(raw, websocket_frame(opcode, payload).view());
  }
  bytes(std::move(raw));
}

inline void TestClient::messages(const WireMessages& all) {
  Bytes raw;
  for (const WireMessage& message : all) {
    append_masked_frame(raw, message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text,
                        message.payload, world.random.next_u32());
  }
  bytes(std::move(raw));
}

inline TestClient& TestClient::connect(bool acknowledge_info) {
  messages(encode_connect(encoding, Value()));
  if (acknowledge_info) {
    for (const Packet& packet : take_packets()) {
      if (packet.name == "info" && packet.ack_id)
        messages(encode_ack(encoding, *packet.ack_id, {}));
    }
  }
  if (acknowledge_info) take_texts();
  return *this;
}

inline Value TestClient::ask(std::string_view name, const Value::Array& arguments) {
  const std::uint64_t ack_id = next_ack_++;
  emit(name, arguments, ack_id);
  const std::optional<Value> answer = take_ack(ack_id);
  REQUIRE(answer.has_value());
  return *answer;
}

inline Value TestClient::subscribe(std::string_view pattern, std::string_view queue) {
  return ask("subscribe", {Value::Map{{"subject", Value(pattern)}, {"queue", Value(queue)}}});
}

inline Value TestClient::publish(std::string_view subject, std::string_view message_id,
                                 std::uint64_t sequence, bool done, std::string_view raw) {
  const std::uint64_t ack_id = next_ack_++;
  PublishChunk chunk;
  chunk.subject = subject;
  chunk.id = message_id;
  chunk.sequence = sequence;
  chunk.done = done;
  chunk.raw = as_bytes(raw);
  messages(encode_publish(encoding, chunk, ack_id));
  const std::optional<Value> answer = take_ack(ack_id);
  REQUIRE(answer.has_value());
  return *answer;
}

inline void TestClient::close() {
  REQUIRE(open);
  open = false;
  world.broker(shard).on_closed(world.now, id);
  world.settle();
}

inline void TestClient::receive(const SharedBytes& shared) {
  received_bytes += shared.size();
  Bytes copy = to_bytes(shared.view());
  reader_.feed(copy);
  for (auto step = reader_.next(); step != WebSocketReader::Step::need_more;
       step = reader_.next()) {
    if (step == WebSocketReader::Step::close) {
      REQUIRE_FALSE(close_code.has_value());
      close_code = reader_.close_code();
      continue;
    }
    if (step == WebSocketReader::Step::pong) {
      texts_.push_back("pong:" + to_string(reader_.payload()));
      continue;
    }
    REQUIRE(step == WebSocketReader::Step::message);
    REQUIRE_FALSE(close_code.has_value());
    if (observe) observe(reader_.binary(), reader_.payload());
    std::string shown;
    if (reader_.binary()) {
      shown = "bin:";
      for (const std::uint8_t byte : reader_.payload()) {
        shown += "0123456789abcdef"[byte >> 4];
        shown += "0123456789abcdef"[byte & 15];
      }
    } else {
      shown = to_string(reader_.payload());
    }
    texts_.push_back(std::move(shown));
    const PacketReader::Step read = packets_in_.read(reader_.binary(), reader_.payload());
    REQUIRE(read != PacketReader::Step::error);
    if (read != PacketReader::Step::packet) continue;
    const PacketView& view = packets_in_.packet();
    Packet packet{view.kind, std::string(view.name), {}, view.ack_id};
    if (view.kind == PacketKind::event || view.kind == PacketKind::ack) {
      packet.arguments = *decode_arguments(view);
    }
    packets_.push_back(std::move(packet));
  }
}

inline std::vector<std::string> TestClient::take_texts() { return std::exchange(texts_, {}); }
inline std::vector<Packet> TestClient::take_packets() { return std::exchange(packets_, {}); }

inline std::optional<Value> TestClient::take_ack(std::uint64_t ack_id) {
  for (auto packet = packets_.begin(); packet != packets_.end(); ++packet) {
    if (packet->kind != PacketKind::ack || packet->ack_id != ack_id) continue;
    REQUIRE(packet->arguments.size() == 1);
    Value answer = packet->arguments[0];
    packets_.erase(packet);
    return answer;
  }
  return std::nullopt;
}

inline std::vector<std::string> TestClient::take_deliveries() {
  std::vector<std::string> deliveries;
  std::erase_if(packets_, [&](const Packet& packet) {
    if (packet.kind != PacketKind::event || packet.name == "info" || packet.name == "permission") {
      return false;
    }
    const Value& message = packet.arguments.at(0);
    const Value::Array& data = *message.find("data")->if_array();
    std::string line = packet.name + " " + std::string(message.find("subject")->text_or("?"));
    if (!data.empty()) line += " " + std::string(data[0].text_or("?"));
    deliveries.push_back(std::move(line));
    return true;
  });
  return deliveries;
}

}  // namespace conat::test
