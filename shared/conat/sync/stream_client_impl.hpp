// The inside of StreamClients.
//
// A stream's phases:
//
//   waiting --(timer)--> connecting --(socket ready)--> starting --(all answered)--> live
//      ^                      |                            |                           |
//      |                      |                            |                           |
//      +--- socket closed, or a request failed: backoff ---+---------------------------+
//      +--- the client's connection was lost: as soon as it is back -------------------+
//
// starting: opening (on a new socket), changefeed, config, then what the messages need:
//   load: getAll; check: inventory, compared with what the receiver holds; a mismatch loads all.
// Thread safety: none.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conat/sync/stream_client.hpp"
#include "conat/sync/timer_set.hpp"

namespace conat {

class StreamClients::Impl {
 public:
  Impl(Sockets& sockets, Random random) : sockets_(sockets), random_(std::move(random)) {}

  void set_reconnect_delay(std::int64_t delay_ms) { reconnect_delay_ms_ = delay_ms; }
  Result<StreamClientId> open(TimeMs now, Owner owner, StreamOpenOptions options);
  void close(TimeMs now, StreamClientId id);
  CallId call(TimeMs now, StreamClientId id, MessageData data, const StreamCallOptions& options);
  void follow_changes(TimeMs now, StreamClientId id);
  void set_held(StreamClientId id, std::optional<std::uint64_t> count);
  void set_start_seq(StreamClientId id, StreamSequence start_seq);
  bool connected(StreamClientId id) const;
  void on_socket_effect(TimeMs now, SocketEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const { return timers_.next(); }
  bool next(StreamClientEffect& effect);

 private:
  enum class Phase : std::uint8_t { waiting, connecting, starting, live };
  enum class Load : std::uint8_t { none, running, ready };
  // What a request inside the socket is for.
  enum class Purpose : std::uint8_t { user, feed, config, load, check };

  struct Request {
    StreamClientId stream = 0;
    Purpose purpose = Purpose::user;
    CallId call = 0;
    Owner owner;
  };
  // A user's request that waits for the socket.
  struct Waiting {
    CallId call;
    Owner owner;
    MessageData data;
    bool many;
    TimeMs until;
  };

  struct Stream {
    Owner owner;
    StreamOpenOptions options;
    std::int64_t reconnect_delay_ms = 0;
    Phase phase = Phase::waiting;
    SocketId socket = 0;
    bool greeted = false;           // the opening message is on its way in this socket
    std::uint64_t feed_number = 0;  // of the next message of this socket's feed
    std::deque<Waiting> waiting;

    // Starting.
    int unanswered = 0;  // of feed and config
    Load load = Load::none;
    bool complete = false;  // the load is for everything
    bool filling = false;   // the load is for a gap in the feed
    bool checking = false;  // an inventory is to be compared before the session is live
    int checks = 0;
    std::uint64_t load_number = 0;  // of the next part
    std::vector<StreamMessage> messages;
    std::size_t load_bytes = 0;
    std::vector<StreamUpdate> held_back;  // by the feed, until the session is live
    std::size_t held_back_bytes = 0;

    // What the receiver has been told.
    bool told_connected = false;
    bool opened = false;  // the server let it in once: a session was complete, or it answered
    bool based = false;   // last_seq says where the changes go on
    StreamSequence last_seq = 0;
    std::optional<std::uint64_t> held;

    std::uint32_t failures = 0;
    TimeMs live_since = 0;
    std::optional<TimeMs> retry_at;
    std::optional<TimeMs> check_at;
  };

  Stream* find(StreamClientId id);
  void rearm(StreamClientId id, const Stream& stream);

  // ---- sockets ----
  void connect(TimeMs now, StreamClientId id, Stream& stream);
  void release_socket(TimeMs now, Stream& stream);
  void on_state(TimeMs now, StreamClientId id, Stream& stream, SocketState state);
  void lose_session(StreamClientId id, Stream& stream);
  void fail_session(TimeMs now, StreamClientId id, Stream& stream, const Error& error);
  void retry_later(TimeMs now, Stream& stream);
  void drop_requests(StreamClientId id, const Error& error);

  // ---- sessions (stream_session.cpp) ----
  void start(TimeMs now, StreamClientId id, Stream& stream);
  bool ask_for_feed(TimeMs now, StreamClientId id, Stream& stream);
  bool ask_for_changes(TimeMs now, StreamClientId id, Stream& stream);
  bool ask(TimeMs now, StreamClientId id, Stream& stream, Purpose purpose, MessageData data,
           bool many);
  bool load(TimeMs now, StreamClientId id, Stream& stream, bool complete);
  bool check(TimeMs now, StreamClientId id, Stream& stream);
  void on_answer(TimeMs now, StreamClientId id, Stream& stream, Purpose purpose,
                 const MessageData& answer, bool last);
  void on_load_part(TimeMs now, StreamClientId id, Stream& stream, const MessageData& part,
                    bool last);
  void on_inventory(TimeMs now, StreamClientId id, Stream& stream, const MessageData& answer);
  void proceed(TimeMs now, StreamClientId id, Stream& stream);
  static bool has_gap(const Stream& stream, const std::vector<StreamUpdate>& updates);
  void hold_back(TimeMs now, StreamClientId id, Stream& stream, std::vector<StreamUpdate> updates);
  void deliver_load(StreamClientId id, Stream& stream);
  void deliver(StreamClientId id, Stream& stream, std::vector<StreamUpdate> updates);
  void deliver_held_back(StreamClientId id, Stream& stream);
  void forget_progress(Stream& stream);
  void on_data(TimeMs now, StreamClientId id, Stream& stream, const MessageData& data);

  // ---- the user's requests ----
  void send(TimeMs now, StreamClientId id, Stream& stream, Waiting request);
  void send_waiting(TimeMs now, StreamClientId id, Stream& stream);
  void expire_waiting(TimeMs now, StreamClientId id, Stream& stream);
  void answer(StreamClientId id, Owner owner, CallId call, Result<MessageData> reply, bool last);
  void on_reply(TimeMs now, socket_effect::ReplyArrived& effect);

  Sockets& sockets_;
  Random random_;
  std::int64_t reconnect_delay_ms_ = limits::stream_reconnect_ms;
  std::unordered_map<StreamClientId, Stream> streams_;
  StreamClientId last_stream_ = 0;
  std::unordered_map<SocketId, StreamClientId> by_socket_;
  std::map<CallId, Request> requests_;  // by the socket's call
  CallId last_call_ = 0;
  std::size_t waiting_bytes_ = 0;
  TimerSet timers_;
  std::deque<StreamClientEffect> effects_;
};

}  // namespace conat
