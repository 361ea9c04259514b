// A PersistServer with a storage in memory behind it, in virtual time: what clients do is called
// here, what they would see is collected.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "unit/stream/memory_storage.hpp"

namespace conat::test {

class PersistBench {
 public:
  explicit PersistBench(PersistServerOptions options = {}) : server(std::move(options)) {}

  // ---- clients ----

  PersistSocketId connect(std::string_view scope = "hub") {
    const PersistSocketId id = next_socket_++;
    server.on_connected(now, id,
                        "persist." + std::string(scope) + ".server.0.c" + std::to_string(id));
    return id;
  }
  void write(PersistSocketId socket, const Value& value) {
    server.on_data(now, socket, MessageData::of(value));
    settle();
  }
  void open(PersistSocketId socket, std::string_view path, bool changefeed = false,
            bool ephemeral = false) {
    Value::Map where{{"path", Value(path)}, {"ephemeral", Value(ephemeral)}};
    write(socket, Value(Value::Map{{"storage", Value(std::move(where))},
                                   {"changefeed", Value(changefeed)}}));
  }
  PersistSocketId connect_and_open(std::string_view path, bool changefeed = false) {
    const PersistSocketId socket = connect();
    open(socket, path, changefeed);
    return socket;
  }
  // Returns the reply subject.
  std::string request(PersistSocketId socket, std::string_view command, Value::Map arguments = {},
                      Value payload = {}) {
    std::string reply = "_INBOX.test." + std::to_string(next_reply_++);
    arguments.emplace_back("cmd", Value(command));
    server.on_request(now, socket, reply,
                      MessageData::of(payload, Headers(Value(std::move(arguments)))));
    settle();
    return reply;
  }
  MessageData ask(PersistSocketId socket, std::string_view command, Value::Map arguments = {},
                  Value payload = {}) {
    return only_answer(request(socket, command, std::move(arguments), std::move(payload)));
  }
  // The payload of the only answer.
  Value ask_value(PersistSocketId socket, std::string_view command, Value::Map arguments = {},
                  Value payload = {}) {
    return *ask(socket, command, std::move(arguments), std::move(payload)).decode();
  }
  StreamSequence set(PersistSocketId socket, Value payload, Value::Map arguments = {}) {
    const Value answer = ask_value(socket, "set", std::move(arguments), std::move(payload));
    REQUIRE(answer.find("seq") != nullptr);
    return answer.find("seq")->integer_or(0);
  }
  void close(PersistSocketId socket) {
    server.on_closed(now, socket);
    settle();
  }

  MessageData only_answer(const std::string& reply) {
    std::vector<MessageData> all = take_answers(reply);
    REQUIRE(all.size() == 1);
    return all.front();
  }
  std::vector<MessageData> take_answers(const std::string& reply) {
    return std::exchange(answers[reply], {});
  }
  std::vector<MessageData> take_written(PersistSocketId socket) {
    return std::exchange(written[socket], {});
  }

  // ---- time, storage, effects ----

  void advance(TimeMs milliseconds) {
    const TimeMs until = now + milliseconds;
    while (true) {
      settle();
      const auto deadline = server.deadline();
      if (!deadline || *deadline > until) break;
      now = std::max(now, *deadline);
      server.on_time(now);
    }
    now = until;
    settle();
  }
  // Carries everything out until nothing is left.
  void settle() {
    do {
      collect();
    } while (!storage_held && run_storage());
  }
  void collect() {
    PersistEffect effect;
    while (server.next(effect)) {
      std::visit([&](auto& each) { take(each); }, effect);
    }
  }
  // One group of each stream that has something to do.
  bool run_storage() {
    std::vector<StorageResult> results = storage.run(unix_now());
    const bool any = !results.empty();
    for (StorageResult& result : results) server.on_storage(now, std::move(result));
    return any;
  }
  UnixMs unix_now() const { return 1'700'000'000'000 + now; }

  TimeMs now = 1000;
  PersistServer server;
  MemoryStorage storage;
  bool storage_held = false;
  // Answers with `flow` are acknowledged at once, unless they are held.
  bool flow_held = false;
  bool flow_delivered = true;
  std::vector<std::uint64_t> flows;
  std::map<PersistSocketId, std::vector<MessageData>> written;
  std::map<std::string, std::vector<MessageData>> answers;
  // "write" and "answer" in the order in which they left.
  std::vector<std::string> order;
  std::vector<persist_effect::OpenStream> opened;
  std::vector<StreamId> closed;

 private:
  void take(persist_effect::Write& effect) {
    order.push_back("write");
    written[effect.socket].push_back(std::move(effect.data));
  }
  void take(persist_effect::Respond& effect) {
    order.push_back("answer");
    answers[effect.reply_subject].push_back(std::move(effect.data));
    if (effect.flow == 0) return;
    flows.push_back(effect.flow);
    if (!flow_held) server.on_responded(now, effect.flow, flow_delivered);
  }
  void take(persist_effect::OpenStream& effect) {
    opened.push_back(effect);
    storage.open(unix_now(), effect);
  }
  void take(persist_effect::Submit& effect) { storage.submit(effect); }
  void take(persist_effect::CloseStream& effect) {
    closed.push_back(effect.stream);
    storage.close(effect.stream);
  }

  PersistSocketId next_socket_ = 1;
  int next_reply_ = 1;
};

}  // namespace conat::test
