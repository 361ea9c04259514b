// The PersistServer, put together: sockets, streams, and the requests on their way.
//
//   socket: fresh --first message--> opening --storage--> open
//                 \------------------------ error ------> failed (answers everything with it)
//   stream: opening -> open; gone when its last socket closes or when opening failed
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "conat/stream/persist_codec.hpp"
#include "conat/stream/persist_feed.hpp"
#include "conat/stream/persist_server.hpp"

namespace conat {

class PersistServer::Impl {
 public:
  explicit Impl(PersistServerOptions options) : options_(std::move(options)) {}

  void on_connected(PersistSocketId id, std::string_view subject);
  void on_data(TimeMs now, PersistSocketId id, const MessageData& data);
  void on_request(TimeMs now, PersistSocketId id, std::string_view reply, MessageData data);
  void on_closed(PersistSocketId id);
  void on_storage(TimeMs now, StorageResult result);
  void on_responded(TimeMs now, std::uint64_t flow, bool delivered);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(PersistEffect& effect);

 private:
  enum class Phase : std::uint8_t { fresh, opening, open, failed };
  enum class Timer : std::uint8_t { waiting, feed, enforce };
  enum class Kind : std::uint8_t {
    set,
    set_many,
    get,
    get_all,
    erase,
    config,
    keys,
    inventory,
    enforce
  };

  // A request that came before the stream was open.
  struct Waiting {
    std::string reply;
    MessageData data;
    TimeMs until;
  };
  struct Socket {
    std::string subject;
    Phase phase = Phase::fresh;
    std::optional<Error> error;  // failed
    StreamId stream = 0;
    bool wants_feed = false;
    std::unique_ptr<persist_parts::PersistFeed> feed;
    std::optional<TimeMs> feed_at;
    std::deque<Waiting> waiting;
    std::optional<TimeMs> waiting_at;
    // Not answered yet, waiting ones included.
    std::size_t requests = 0;
    std::size_t bytes = 0;
  };
  // Counts the getAll answers in progress.
  class Active {
   public:
    explicit Active(std::size_t& count) : count_(count) { ++count_; }
    ~Active() { --count_; }
    Active(const Active&) = delete;
    Active& operator=(const Active&) = delete;

   private:
    std::size_t& count_;
  };
  struct GetAll {
    explicit GetAll(std::size_t& count) : active(count) {}
    Active active;
    std::uint64_t number = 0;  // of the next reply
    StreamSequence from = 0;
    StreamSequence to = 0;
    std::size_t batch_bytes = limits::get_all_first_batch_bytes;
    TimeMs sent_at = 0;
  };
  // A request that the storage works on, or whose answer is being taken.
  struct Pending {
    PersistSocketId socket = 0;
    std::string reply;
    Kind kind = Kind::enforce;
    std::size_t bytes = 0;
    std::vector<std::optional<Error>> refused;  // set_many
    std::unique_ptr<GetAll> get_all;
  };
  struct OpenedStream {
    std::string path;
    std::string scope;
    bool open = false;
    std::vector<PersistSocketId> sockets;
    std::unordered_map<std::uint64_t, Pending> pending;
    std::optional<TimeMs> enforce_at;
    bool enforcing = false;
  };
  struct Flow {
    StreamId stream = 0;
    Pending pending;
  };

  Socket* find_socket(PersistSocketId id);
  OpenedStream* find_stream(StreamId id);

  // ---- opening and closing (persist_server.cpp) ----
  Status open(PersistSocketId id, Socket& socket, const persist_parts::Opening& opening);
  Result<StreamId> open_stream(const std::string& scope, const persist_parts::Opening& opening);
  void opened(TimeMs now, PersistSocketId id, Socket& socket);
  void fail(PersistSocketId id, Socket& socket, const Error& error);
  void fail_stream(StreamId id, const Error& error);
  void forget_stream(StreamId id);
  void expire_waiting(TimeMs now, PersistSocketId id, Socket& socket);
  void set_timer(Timer timer, std::uint32_t id, std::optional<TimeMs>& slot,
                 std::optional<TimeMs> at);
  void wait(TimeMs now, PersistSocketId id, Socket& socket, std::string_view reply,
            MessageData data);

  // ---- requests and answers (persist_requests.cpp) ----
  bool has_room(const Socket& socket, std::size_t bytes) const;
  void run(PersistSocketId id, Socket& socket, std::string reply, MessageData data);
  void submit(StreamId stream, StorageCommand command, Pending pending);
  void submit_get_all(StreamId stream, Pending pending);
  std::optional<Error> prepare(const std::string& name, const Value& headers, MessageData data,
                               StorageCommand& command, Pending& pending);
  void answer(TimeMs now, StreamId stream, Pending pending, Result<StorageAnswer> result);
  void answer_range(TimeMs now, StreamId stream, Pending pending, StorageRange range);
  void finish(Pending& pending, MessageData data);
  void respond(std::string reply, MessageData data);
  void announce(TimeMs now, OpenedStream& stream, const std::vector<StreamChange>& changes);
  void write_feed(PersistSocketId id, Socket& socket, std::vector<MessageData> messages);
  void start_feed(Socket& socket);

  PersistServerOptions options_;
  std::unordered_map<PersistSocketId, Socket> sockets_;
  std::size_t get_alls_ = 0;  // before what counts in it
  std::unordered_map<StreamId, OpenedStream> streams_;
  std::unordered_map<std::string, StreamId> by_path_;
  std::unordered_map<std::string, std::size_t> per_scope_;
  std::unordered_map<std::uint64_t, Flow> flows_;
  std::set<std::tuple<TimeMs, Timer, std::uint32_t>> timers_;
  std::deque<PersistEffect> effects_;
  StreamId next_stream_ = 1;
  std::uint64_t next_token_ = 1;
  std::uint64_t next_flow_ = 1;
};

}  // namespace conat
