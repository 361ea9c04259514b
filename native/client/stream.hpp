// A persistent stream: messages with sequence numbers, kept by the persistence server.
//
//   auto log = client.stream({"log"});
//   auto stored = co_await log->publish("it happened");
//   while (auto batch = co_await reader.next()) ...          // of log->read(): what is there
//   while (auto update = co_await updates.next()) ...        // of log->follow(): what comes
//
// Opening costs no answer: operations wait for the connection to the server, which comes back by
// itself. An operation under way when it breaks fails with 408 or 503 and may have taken effect;
// repeated with the same message_id it takes effect once. A refusal to open (400, 403, 429) is the
// answer to every operation.
//
// It is both the specification's stream client, with bytes, and AStream, with decode(). What holds
// the messages here is in held_stream.hpp.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/settings.hpp"
#include "conat/stream/stream.hpp"
#include "conat/sync/stream_message.hpp"
#include "conat/wire/message.hpp"

namespace conat::native {

struct StreamSettings {
  StreamSettings(std::string stream_name = {}) : name(std::move(stream_name)) {}

  std::string name;
  // The owner; neither: the hub.
  std::string account_id = {};
  std::string project_id = {};
  bool ephemeral = false;
  bool sync = false;
  Milliseconds timeout{limits::request_timeout_ms};  // for each answer
  std::string service = "persist";
};

// A message's value. Error: it is malformed, which any client can store.
inline Result<Value> decode(const StreamMessage& message) {
  return decode_payload(message.encoding, message.raw);
}

struct StreamPublishSettings {
  StreamPublishSettings() {}

  Value headers = {};
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  std::optional<std::string> key = {};  // replaces the message that had it
  Milliseconds ttl{0};                  // where the stream allows it; 0: none
  // The key's message must have this number, must_not_exist: there must be none; else
  // `wrong-last-sequence`.
  std::optional<StreamSequence> previous_seq = {};
  std::string message_id = {};  // for two minutes the same id is stored once
};

struct StreamErase {
  StreamErase() {}

  bool all = false;
  std::optional<StreamSequence> up_to = {};  // and including
  std::vector<StreamSequence> seqs = {};
};

// What a stream has, in batches, in the order of the sequence numbers.
class StreamReader {
 public:
  using Batch = std::vector<StreamMessage>;
  using Queue = AsyncQueue<Batch>;
  explicit StreamReader(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}

  // Nothing: that was all, or there is an error().
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<Batch>>(queue_->loop(), token,
                                          [queue = queue_](Completion<std::optional<Batch>> done) {
                                            queue->next(Milliseconds(0), std::move(done));
                                          });
  }
  const std::optional<Error>& error() const { return queue_->error(); }

 private:
  std::shared_ptr<Queue> queue_;
};

// A stream's changes: each message exactly once and in order, through disconnects; deletes as far
// as they happen while it is connected. It ends by its destruction, with its client, or when the
// server refuses the stream. Bounded: beyond a million updates that nobody has read it ends with
// ENOBUFS.
class StreamUpdates {
 public:
  ~StreamUpdates();
  StreamUpdates(StreamUpdates&&) noexcept = default;
  StreamUpdates& operator=(StreamUpdates&&) = delete;

  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<StreamUpdate>>(
        queue()->loop(), token, [queue = queue()](Completion<std::optional<StreamUpdate>> done) {
          queue->next(Milliseconds(0), std::move(done));
        });
  }
  const std::optional<Error>& error() const { return queue()->error(); }
  // Completes when updates are delivered from then on (again), or with why it ended.
  template <class Token = DefaultToken>
  auto wait_until_following(Token&& token = {}) {
    return initiate<Status>(queue()->loop(), token, [state = state_](Completion<Status> done) {
      begin_wait(*state, std::move(done));
    });
  }
  void close();

 private:
  friend class Stream;
  class State;
  using Queue = AsyncQueue<StreamUpdate>;
  explicit StreamUpdates(std::shared_ptr<State> state) : state_(std::move(state)) {}
  const std::shared_ptr<Queue>& queue() const;
  static void begin_wait(State& state, Completion<Status> done);

  std::shared_ptr<State> state_;
};

// The commands that are the same however a stream is opened. `Self` has `state_`, `loop()`, and the
// static functions begin_erase() and begin_ask().
template <class Self>
class StreamCommands {
 public:
  // -> Result: the sequence numbers that are gone now.
  template <class Token = DefaultToken>
  auto erase(StreamErase what, Token&& token = {}) {
    return initiate<Result<std::vector<StreamSequence>>>(
        self().loop(), token,
        [state = self().state_,
         what = std::move(what)](Completion<Result<std::vector<StreamSequence>>> done) {
          Self::begin_erase(*state, what, std::move(done));
        });
  }
  // -> Result<Value>: the whole configuration, after `changes` (a map of some fields) were applied.
  template <class Token = DefaultToken>
  auto config(Value changes = {}, Token&& token = {}) {
    Value arguments;
    if (!changes.is_null()) arguments.set("config", std::move(changes));
    return ask("config", std::move(arguments), token);
  }
  // -> Result<Value>: {bytes, count, limits, seq}
  template <class Token = DefaultToken>
  auto inventory(Token&& token = {}) {
    return ask("inventory", Value(), token);
  }

 protected:
  template <class Token>
  auto ask(std::string command, Value arguments, Token&& token) {
    return initiate<Result<Value>>(
        self().loop(), token,
        [state = self().state_, command = std::move(command),
         arguments = std::move(arguments)](Completion<Result<Value>> done) {
          Self::begin_ask(*state, command, arguments, std::move(done));
        });
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

class Stream : public StreamCommands<Stream> {
 public:
  ~Stream();
  Stream(Stream&& other) noexcept = default;
  Stream& operator=(Stream&& other) = delete;

  template <class Token = DefaultToken>
  auto publish(const Value& value, StreamPublishSettings settings = {}, Token&& token = {}) {
    MessageData data = MessageData::of(value, Headers(settings.headers), settings.encoding);
    return initiate<Result<SetResult>>(
        loop(), token,
        [state = state_, data = std::move(data),
         settings = std::move(settings)](Completion<Result<SetResult>> done) {
          begin_publish(*state, data, settings, std::move(done));
        });
  }
  // Nothing: there is no such message.
  template <class Token = DefaultToken>
  auto get(StreamSequence seq, Token&& token = {}) {
    return fetch(Value(Value::Map{{"seq", Value(seq)}}), token);
  }
  template <class Token = DefaultToken>
  auto get(std::string key, Token&& token = {}) {
    return fetch(Value(Value::Map{{"key", Value(std::move(key))}}), token);
  }
  // From `first` to `last`, each including; 0: no bound.
  StreamReader read(StreamSequence first = 0, StreamSequence last = 0);
  // What comes from now on, or everything from `first` on (1: all).
  Result<StreamUpdates> follow(std::optional<StreamSequence> first = std::nullopt);
  // Reads the stream's database: an array of rows, each a map. (Statements that write are refused.)
  template <class Token = DefaultToken>
  auto sqlite(std::string statement, Value parameters = {}, Token&& token = {}) {
    Value arguments;
    arguments.set("statement", Value(std::move(statement)));
    if (!parameters.is_null()) arguments.set("params", std::move(parameters));
    return ask("sqlite", std::move(arguments), token);
  }
  // An array of texts.
  template <class Token = DefaultToken>
  auto keys(Token&& token = {}) {
    return ask("keys", Value(), token);
  }

  void close();

 private:
  friend class Akv;
  friend class Client;
  friend class StreamCommands<Stream>;
  class State;

  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  asio::io_context& loop() const;

  template <class Token>
  auto fetch(Value arguments, Token&& token) {
    return initiate<Result<std::optional<StreamMessage>>>(
        loop(), token,
        [state = state_,
         arguments = std::move(arguments)](Completion<Result<std::optional<StreamMessage>>> done) {
          begin_get(*state, arguments, std::move(done));
        });
  }

  static void begin_publish(State& state, const MessageData& data,
                            const StreamPublishSettings& settings,
                            Completion<Result<SetResult>> done);
  static void begin_get(State& state, const Value& arguments,
                        Completion<Result<std::optional<StreamMessage>>> done);
  static void begin_erase(State& state, const StreamErase& what,
                          Completion<Result<std::vector<StreamSequence>>> done);
  static void begin_ask(State& state, const std::string& command, const Value& arguments,
                        Completion<Result<Value>> done);

  std::shared_ptr<State> state_;
};

}  // namespace conat::native
