// A Client under test against a server that does exactly what the test says, in virtual time. The
// server's bytes are made by the wire layer, so that both encodings are covered by one test.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/client/client.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/packet.hpp"

namespace conat::test {

class ScriptedServer {
 public:
  struct Event {
    std::string name;
    Value::Array arguments;
    std::optional<std::uint64_t> ack_id;
    const Value& first() const {
      static const Value kNull;
      return arguments.empty() ? kNull : arguments.front();
    }
    // publish: its array's elements.
    const Value& field(std::size_t index) const { return first().if_array()->at(index); }
  };

  explicit ScriptedServer(PacketEncoding used, ClientOptions options = {})
      : encoding(used), client(with(std::move(options), used), Random(42)) {}

  // ---- what the client did ----

  // Takes the client's effects until there are none.
  void drain() {
    ClientEffect effect;
    while (client.next(effect)) take(std::move(effect));
  }
  // The events sent since the last call.
  std::vector<Event> take_events() {
    drain();
    return std::exchange(events_, {});
  }
  // The only event with this name among those sent since the last call.
  Event take_event(std::string_view name) {
    Event result;
    int found = 0;
    for (Event& event : take_events()) {
      if (event.name != name) continue;
      result = std::move(event);
      ++found;
    }
    INFO("event " << name);
    REQUIRE(found == 1);
    return result;
  }
  // The effects of one kind seen since the last call.
  template <class Effect>
  std::vector<Effect> take_effects() {
    drain();
    std::vector<Effect> result;
    for (auto it = effects_.begin(); it != effects_.end();) {
      if (auto* effect = std::get_if<Effect>(&*it)) {
        result.push_back(std::move(*effect));
        it = effects_.erase(it);
      } else {
        ++it;
      }
    }
    return result;
  }
  template <class Effect>
  Effect take_effect() {
    auto all = take_effects<Effect>();
    REQUIRE(all.size() == 1);
    return std::move(all.front());
  }

  // ---- what the server does ----

  void send(const WireMessages& messages) {
    for (const WireMessage& message : messages) {
      client.on_transport_message(now, message.binary, message.payload);
    }
    drain();
  }
  void send(const WireMessage& message) { send(WireMessages{message}); }
  void emit(std::string_view name, const Value& argument,
            std::optional<std::uint64_t> ack_id = std::nullopt) {
    send(encode_event(encoding, name, {argument}, ack_id));
  }
  void answer(const Event& event, const Value& value) {
    REQUIRE(event.ack_id.has_value());
    send(encode_ack(encoding, *event.ack_id, {value}));
  }
  void answer_count(const Event& event, int count) {
    answer(event, Value(Value::Map{{"count", Value(count)}}));
  }
  void answer_added(const Event& event) {
    answer(event, Value(Value::Map{{"status", Value("added")}}));
  }
  void answer_error(const Event& event, const char* text, Value code = Value()) {
    Value::Map map{{"error", Value(text)}};
    if (!code.is_null()) map.emplace_back("code", std::move(code));
    answer(event, Value(std::move(map)));
  }
  void deliver(std::string_view pattern, std::string_view subject, const Value& value,
               const Value& headers = Value(), const char* id = "message-id") {
    deliver_chunk(pattern, subject, id, 0, true, encode_msgpack(value), headers);
  }
  void deliver_chunk(std::string_view pattern, std::string_view subject, const char* id,
                     int sequence, bool done, Bytes raw, const Value& headers = Value()) {
    Value::Array data{Value(id), Value(sequence), Value(done ? 1 : 0), Value(0),
                      Value(std::move(raw))};
    if (!headers.is_null()) data.push_back(headers);
    emit(pattern, Value(Value::Map{{"subject", Value(subject)}, {"data", Value(std::move(data))}}));
  }

  // Transport, Engine.IO and CONNECT, up to the moment before `info`.
  void connect() {
    drain();
    REQUIRE(opening);
    opening = false;
    open = true;
    reader_ = PacketReader();
    connect_data_.reset();
    client.on_transport_open(now);
    send(encode_engine_open("engine-sid", 25'000, 20'000, 8'000'000));
    REQUIRE(connect_data_.has_value());
    send(encode_connect(encoding, Value(Value::Map{{"sid", Value("socket-sid")}})));
  }
  void info(int max_payload = 8'000'000, Value user = Value()) {
    emit("info",
         Value(Value::Map{
             {"max_payload", Value(max_payload)}, {"id", Value("0")}, {"user", std::move(user)}}),
         next_ack_++);
  }
  // The whole first sign-in; the inbox is confirmed.
  void sign_in(int max_payload = 8'000'000) {
    connect();
    info(max_payload);
    answer_added(take_event("subscribe"));
  }
  void cut() {
    open = false;
    client.on_transport_closed(now);
    drain();
  }
  void wait(std::int64_t ms) { run_until(now + ms); }
  // Runs the client's timers at their time.
  void run_until(TimeMs end) {
    drain();
    while (const std::optional<TimeMs> due = client.deadline()) {
      if (*due > end) break;
      now = std::max(now, *due);
      client.on_time(now);
      drain();
    }
    now = end;
    client.on_time(now);
    drain();
  }

  PacketEncoding encoding;
  Client client;
  TimeMs now = 1'000'000;
  bool opening = false;  // OpenTransport was asked for
  bool open = false;
  bool closed_by_client = false;
  int opened = 0;
  std::vector<std::string> texts;  // text messages of the client, as they were sent
  const std::optional<Value>& connect_data() const { return connect_data_; }

 private:
  static ClientOptions with(ClientOptions options, PacketEncoding used) {
    options.encoding = used;
    return options;
  }

  void take(ClientEffect effect) {
    if (std::holds_alternative<client_effect::OpenTransport>(effect)) {
      REQUIRE_FALSE(open);
      opening = true;
      ++opened;
    } else if (auto* send = std::get_if<client_effect::SendMessages>(&effect)) {
      REQUIRE(open);
      for (const WireMessage& message : send->messages) read(message);
    } else if (std::holds_alternative<client_effect::CloseTransport>(effect)) {
      REQUIRE((open || opening));
      open = opening = false;
      closed_by_client = true;
    } else {
      effects_.push_back(std::move(effect));
    }
  }

  void read(const WireMessage& message) {
    if (!message.binary) texts.push_back(to_string(message.payload));
    const PacketReader::Step step = reader_.read(message.binary, message.payload);
    REQUIRE(step != PacketReader::Step::error);
    if (step != PacketReader::Step::packet) return;
    const PacketView& packet = reader_.packet();
    if (packet.kind == PacketKind::connect) {
      const auto data = decode_arguments(packet);
      REQUIRE(data.ok());
      connect_data_ = data->empty() ? Value() : data->front();
    }
    if (packet.kind == PacketKind::engine_pong) ++pongs;
    if (packet.kind == PacketKind::ack) ++acks;
    if (packet.kind == PacketKind::disconnect) ++disconnects;
    if (packet.kind != PacketKind::event) return;
    auto arguments = decode_arguments(packet);
    REQUIRE(arguments.ok());
    events_.push_back({std::string(packet.name), *std::move(arguments), packet.ack_id});
  }

 public:
  int pongs = 0;
  int acks = 0;
  int disconnects = 0;

 private:
  PacketReader reader_;
  std::optional<Value> connect_data_;
  std::vector<Event> events_;
  std::vector<ClientEffect> effects_;
  std::uint64_t next_ack_ = 0;
};

inline const Owner kUser{Layer::user, 7};

}  // namespace conat::test
