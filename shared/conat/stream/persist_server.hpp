// The persistence server's protocol: which socket has which stream open, what its requests mean,
// changefeeds, limits on open streams, answers and their order.
//
// It knows neither sockets nor storage: the host (fabric/persist_host) feeds it what happens on the
// server's sockets and carries its PersistEffects out: to the sockets, and to the storage (threads
// in native/storage, a MemoryStore in simulations). Storage work for one stream is done in the
// order given; results come back through on_storage.
//
// Flow: of a getAll at most one batch is on its way, from the storage until the reader has got it
// (Respond::flow, on_responded), and batches grow and shrink with the reader's speed: a slow one
// never makes anybody hold the stream for it. Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/base/time.hpp"
#include "conat/stream/stream.hpp"
#include "conat/wire/message.hpp"

namespace conat {

using StreamId = std::uint32_t;  // an open stream; never reused
using PersistSocketId = std::uint32_t;

// ---- what the storage is asked to do, and what it answers (these cross threads: owned bytes) ----
struct StorageGet {
  std::optional<StreamSequence> seq;
  std::optional<std::string> key;
};
struct StorageGetAll {
  StreamSequence from = 0;
  StreamSequence to = 0;  // inclusive; 0: no end
  std::size_t max_bytes = 0;
};
struct StorageSetMany {
  std::vector<SetRequest> items;
};
struct StorageConfigure {
  Value partial;
};
struct StorageKeys {};
struct StorageInventory {};
struct StorageEnforce {};
using StorageCommand =
    std::variant<SetRequest, StorageSetMany, StorageGet, StorageGetAll, DeleteRequest,
                 StorageConfigure, StorageKeys, StorageInventory, StorageEnforce>;

struct StorageRange {
  std::vector<StoredMessage> messages;
  std::optional<StreamSequence> next;
};
struct StorageInventoryResult {
  StreamInventory inventory;
  Value limits;
};
using StorageAnswer =
    std::variant<Nothing, SetResult, std::vector<Result<SetResult>>, std::optional<StoredMessage>,
                 StorageRange, std::vector<StreamSequence>, Value, std::vector<std::string>,
                 StorageInventoryResult>;

struct StorageRequest {
  std::uint64_t token = 0;
  StorageCommand command;
};
// One finished group of a stream: the answers in order, and the changes it made, in order.
struct StorageResult {
  struct Item {
    std::uint64_t token;
    Result<StorageAnswer> answer;
  };
  StreamId stream = 0;
  bool opened = false;  // this is the answer to OpenStream
  std::optional<Error> open_error;
  std::vector<Item> items;
  std::vector<StreamChange> changes;
  bool needs_enforcement = false;  // wants a StorageEnforce within about a second
};

namespace persist_effect {
struct Write {  // a data message to a socket
  PersistSocketId socket;
  MessageData data;
};
struct Respond {  // the answer to a request inside a socket
  std::string reply_subject;
  MessageData data;
  // Not 0: tell on_responded when the reader behind `socket` has got it.
  std::uint64_t flow = 0;
  PersistSocketId socket = 0;
};
struct OpenStream {
  StreamId stream;
  std::string path;  // validated: "projects/{id}/name"
  bool ephemeral;
  bool sync;
  bool compression;
};
struct Submit {
  StreamId stream;
  StorageRequest request;
};
// The last socket has closed, or opening failed: finish what is queued, then release everything.
struct CloseStream {
  StreamId stream;
};
}  // namespace persist_effect

using PersistEffect =
    std::variant<persist_effect::Write, persist_effect::Respond, persist_effect::OpenStream,
                 persist_effect::Submit, persist_effect::CloseStream>;

struct PersistServerOptions {
  std::string server_id = "0";
  // The ids of all servers that share the scopes, this one's included, in order: the answer to
  // "who serves this scope" is one of them. Empty: this one alone.
  std::vector<std::string> server_ids;
  std::string service = "persist";
  std::size_t max_streams_per_scope = limits::max_streams_per_scope;
  std::size_t max_streams = limits::max_streams;
};

class PersistServer {
 public:
  explicit PersistServer(PersistServerOptions options);
  ~PersistServer();

  // `subject` is the ServerSocket's full subject, e.g. persist.hub.server.0.abc.
  void on_connected(TimeMs now, PersistSocketId socket, std::string_view subject);
  void on_data(TimeMs now, PersistSocketId socket, const MessageData& data);
  void on_request(TimeMs now, PersistSocketId socket, std::string_view reply_subject,
                  MessageData data);
  void on_closed(TimeMs now, PersistSocketId socket);
  void on_storage(TimeMs now, StorageResult result);
  // The reader has got the Respond with this `flow`; or, not `delivered`, it is out of reach.
  void on_responded(TimeMs now, std::uint64_t flow, bool delivered);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(PersistEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Checks a storage path against the scope of a subject's second token ("hub", "account-{id}",
// "project-{id}"). Used by the server always and by clients before opening. `subject` is named in
// the error's text; empty: "persist.{scope}". Errors: permission_denied.
Status check_storage_path(std::string_view scope, std::string_view path,
                          std::string_view subject = {});
// Which server of `count` (in order) serves a scope: the hash of the second token.
std::size_t persist_server_index(std::string_view scope, std::size_t count);

}  // namespace conat
