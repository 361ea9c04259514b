// Streams of which a client holds all messages, or those from some sequence number on: CoreStream,
// which stores when the server has said so, and DStream, which shows one's own messages at once and
// saves them in the background.
//
//   auto chat = co_await client.dstream({"chat"});
//   chat->publish(object("text", "Hello"));  // visible here at once
//   co_await chat->save();                   // on stable storage now
//   auto changes = chat->changes();
//   while (auto change = co_await changes.next()) ...  // what the stream tells, in order
//
// Both share their data with the Stream of the same name. The connection comes back by itself;
// what was missed is told then, deletes included. Closed, or the client closed: reading gives
// nothing, and everything else the error `closed`.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/stream.hpp"
#include "conat/base/time.hpp"

namespace conat::native {

struct HeldStreamSettings : StreamSettings {
  HeldStreamSettings(std::string stream_name = {}) : StreamSettings(std::move(stream_name)) {}

  StreamSequence start_seq = 0;  // what is before it is not loaded; 0: everything is
  Value config = {};             // of the stream, partial; null: as it is
  bool autosave = true;          // of a DStream; false: messages are sent by save() only
};

// A message as it is shown.
struct HeldMessage {
  std::optional<StreamSequence> seq;  // nothing: not acknowledged (DStream)
  std::optional<UnixMs> time;         // nothing: the stream has not told it yet (DStream)
  std::optional<std::string> key;
  Value value;
  Value headers;  // null: none, or the stream has not told it yet
};

struct HeldChange {
  bool is_delete = false;  // the message is gone, or it says that its key is
  StreamSequence seq = 0;
  UnixMs time = 0;  // ms since 1970, the server's clock
  std::optional<std::string> key;
  std::optional<Value> value;     // nothing for a delete
  std::optional<Value> previous;  // the key's, or what was deleted
  Value headers;
  std::string message_id;  // empty: not known
};

// The changes of one stream, from the moment on when it was made.
class HeldChanges {
 public:
  using Queue = AsyncQueue<HeldChange>;
  explicit HeldChanges(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  ~HeldChanges() { close(); }
  HeldChanges(HeldChanges&&) noexcept = default;
  HeldChanges& operator=(HeldChanges&&) = delete;

  // Nothing: the stream, its client or this was closed; or, with error(), too many were not read.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<HeldChange>>(
        queue_->loop(), token, [queue = queue_](Completion<std::optional<HeldChange>> done) {
          queue->next(Milliseconds(0), std::move(done));
        });
  }
  const std::optional<Error>& error() const { return queue_->error(); }
  void close() {
    if (queue_) queue_->finish();
  }

 private:
  std::shared_ptr<Queue> queue_;
};

// What both have. Before erase(), a DStream's own messages are saved.
class HeldStream : public StreamCommands<HeldStream> {
 public:
  HeldStream(HeldStream&&) noexcept = default;
  HeldStream& operator=(HeldStream&&) = delete;

  // ---- reading: the local view, in order ----
  std::size_t size() const;
  std::optional<HeldMessage> at(std::size_t index) const;
  std::optional<Value> get(std::size_t index) const;
  Value::Array all() const;
  // What is before it is not here; 0: everything is.
  StreamSequence start_seq() const;

  // Bounded: beyond `max_buffered` changes that nobody has read it ends with ENOBUFS.
  HeldChanges changes(std::size_t max_buffered = 100'000);

  // ---- asking the server ----
  // -> Status: also what is before start_seq is here, from `first` on (1: all).
  template <class Token = DefaultToken>
  auto load(StreamSequence first, Token&& token = {}) {
    return initiate<Status>(loop(), token, [state = state_, first](Completion<Status> done) {
      begin_load(*state, first, std::move(done));
    });
  }

  void close();

 protected:
  friend class Client;
  friend class StreamCommands<HeldStream>;
  class State;
  class CoreState;
  class DState;

  explicit HeldStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~HeldStream();
  asio::io_context& loop() const;

  static void begin_load(State& state, StreamSequence first, Completion<Status> done);
  static void begin_erase(State& state, const StreamErase& what,
                          Completion<Result<std::vector<StreamSequence>>> done);
  static void begin_ask(State& state, const std::string& command, const Value& arguments,
                        Completion<Result<Value>> done);

  std::shared_ptr<State> state_;
};

// What is written shows when the stream tells it.
class CoreStream : public HeldStream {
 public:
  // ---- by key: the newest message of each, in the order of insertion ----
  std::optional<Value> get_key(std::string_view key) const;
  bool has_key(std::string_view key) const;
  std::optional<StreamSequence> key_seq(std::string_view key) const;
  std::size_t key_count() const;
  std::vector<std::string> keys() const;
  Value::Map all_keys() const;
  std::uint64_t bytes() const;  // of all payloads

  // -> Result<SetResult>: the server has stored it. Errors: `wrong-last-sequence`, `reject`, 408
  // and 503 (unknown; with a message_id it may be repeated).
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
  template <class Token = DefaultToken>
  auto set_key(std::string key, const Value& value, Token&& token = {}) {
    StreamPublishSettings settings;
    settings.key = std::move(key);
    return publish(value, std::move(settings), std::forward<Token>(token));
  }
  // Stores that the key is gone, which the stream forgets after a day (where it allows a ttl).
  template <class Token = DefaultToken>
  auto erase_key(std::string key, Token&& token = {}) {
    return publish(Value(), tombstone(std::move(key)), std::forward<Token>(token));
  }

 private:
  friend class Client;
  using HeldStream::HeldStream;
  static StreamPublishSettings tombstone(std::string key);
  static void begin_publish(State& state, const MessageData& data,
                            const StreamPublishSettings& settings,
                            Completion<Result<SetResult>> done);
};

// One's own messages are at the end at once, never twice, and stay in the order of the calls. What
// was published before close() is still sent, as long as the connection lives (with autosave).
class DStream : public HeldStream {
 public:
  // `ttl` (0: none) counts where the stream allows it. Errors: closed, too_large.
  Status publish(const Value& value, const Value& headers = {}, Milliseconds ttl = Milliseconds(0));
  // -> Status: everything is acknowledged, or rejected; without autosave it is one attempt.
  template <class Token = DefaultToken>
  auto save(Token&& token = {}) {
    return initiate<Status>(loop(), token, [state = state_](Completion<Status> done) {
      begin_save(*state, std::move(done));
    });
  }
  bool has_unsaved_changes() const { return unsaved_count() > 0; }
  std::size_t unsaved_count() const;
  bool is_stable() const;  // all saved and told by the stream
  // The server refused a message for good; it is dropped.
  void on_reject(std::function<void(const Value& value, const Error& error)> callback);

 private:
  friend class Client;
  using HeldStream::HeldStream;
  static void begin_save(State& state, Completion<Status> done);
};

}  // namespace conat::native
