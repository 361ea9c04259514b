// The eventually consistent key-value stores of one client.
//
// Values are kept encoded; the core looks inside only to compare and merge. One Dkvs holds all open
// stores; effects carry the Owner given at open(). It sits on StreamClients (see
// stream_client.hpp).
//
// Invariants of a store:
//  * reads show the local changes over what the server last told;
//  * a local change stays unsaved until its echo came (or what replaced it);
//  * a write whose outcome is unknown is repeated with the same msgID before anything else is done
//    with that key, so that no change is lost, doubled, or merged twice;
//  * with a merge a save is refused (previousSeq) unless it is based on the newest value.
//
// A set to a value deeply equal to the current one (and the same headers) does nothing; one that
// goes back to the server's value before anything was sent takes the unsaved change back. A value
// has at most limits::max_value_bytes, a key limits::max_key_bytes; how many changes wait is
// bounded by memory alone, since they are the user's data.
// Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conat/sync/dkv_value.hpp"
#include "conat/sync/merge.hpp"
#include "conat/sync/stream_client.hpp"

namespace conat {

using DkvId = std::uint32_t;  // never 0

struct DkvOptions {
  StreamOpenOptions stream;  // scope, path, ephemeral, sync, service, config
  MergeKind merge = MergeKind::none;
  bool autosave = true;
};

namespace dkv_effect {
// The first load is done, or it failed for good (400, 403, 429: the store is closed).
struct Opened {
  Owner owner;
  DkvId dkv;
  std::optional<Error> error;
};
// A remote change, or the server's echo of a local one. No value: deleted.
struct Change {
  Owner owner;
  DkvId dkv;
  std::string key;
  std::optional<EncodedValue> value;
  std::optional<EncodedValue> previous;
};
// The server refused a local change; it is dropped.
struct Rejected {
  Owner owner;
  DkvId dkv;
  std::string key;
  std::optional<EncodedValue> value;
  Error error;
};
struct Stable {  // everything is saved and echoed
  Owner owner;
  DkvId dkv;
};
struct ConnectionChanged {
  Owner owner;
  DkvId dkv;
  bool connected;
};
// Decide a conflict (MergeKind::custom) and answer with resolve_merge. Until then the key is not
// saved. No value: absent.
struct MergeNeeded {
  Owner owner;
  DkvId dkv;
  std::uint32_t merge;
  std::string key;
  std::optional<EncodedValue> local;
  std::optional<EncodedValue> remote;
  std::optional<EncodedValue> previous;
};
// The answer to save().
struct Saved {
  Owner owner;
  DkvId dkv;
  CallId call;
  std::optional<Error> error;
};
}  // namespace dkv_effect

using DkvEffect =
    std::variant<dkv_effect::Opened, dkv_effect::Change, dkv_effect::Rejected, dkv_effect::Stable,
                 dkv_effect::ConnectionChanged, dkv_effect::MergeNeeded, dkv_effect::Saved>;

class Dkvs {
 public:
  Dkvs(StreamClients& streams, Random random);
  ~Dkvs();
  Dkvs(const Dkvs&) = delete;
  Dkvs& operator=(const Dkvs&) = delete;

  // Errors: permission_denied. Opened follows.
  Result<DkvId> open(TimeMs now, Owner owner, DkvOptions options);
  // Nothing more is reported. With autosave, what is unsaved is still sent, as long as the fabric
  // lives; without, it is lost. Of a store that is kept (see restore()) nothing more is sent:
  // another run goes on with it.
  void close(TimeMs now, DkvId dkv);
  // The stream below, for its commands (config, inventory); 0 when the store is closed.
  StreamClientId stream(DkvId dkv) const;

  // Local view: unsaved changes over what the server has.
  std::optional<EncodedValue> get(DkvId dkv, std::string_view key) const;
  bool has(DkvId dkv, std::string_view key) const;
  std::size_t size(DkvId dkv) const;
  // Keys in the order of insertion; stops when `visit` returns false. `visit` must not change the
  // store.
  void for_each(DkvId dkv, const std::function<bool(std::string_view key, PayloadEncoding encoding,
                                                    ByteView raw)>& visit) const;
  // As the server told: nullopt before the echo of the first set, and when deleted.
  std::optional<StreamSequence> seq(DkvId dkv, std::string_view key) const;
  std::optional<UnixMs> time(DkvId dkv, std::string_view key) const;
  Headers headers(DkvId dkv, std::string_view key) const;  // local ones at once

  // Errors: closed, too_large.
  Status set(TimeMs now, DkvId dkv, std::string_view key, EncodedValue value, Headers headers = {});
  Status erase(TimeMs now, DkvId dkv, std::string_view key);
  Status clear(TimeMs now, DkvId dkv);  // every key that is visible now
  // With autosave answered when nothing is unsaved; without, it is one attempt, which needs a
  // connection and is answered on the acknowledgement. Errors: closed.
  Result<CallId> save(TimeMs now, DkvId dkv);
  // nullopt: the merge failed or gave nothing, local wins. An absent merged value deletes.
  void resolve_merge(TimeMs now, DkvId dkv, std::uint32_t merge,
                     std::optional<std::optional<EncodedValue>> merged);

  bool has_unsaved_changes(DkvId dkv) const;
  std::vector<std::string> unsaved_changes(DkvId dkv) const;
  bool is_stable(DkvId dkv) const;

  // Local first. What is known of the server, and what is unsaved with all that merging and
  // recognizing it needs, for restore() in another run of the program; empty when closed. From
  // restore() on what is written names its change in a header, by which it is recognized in the
  // stream however much later. Given once after open() with what an earlier run has kept (empty:
  // nothing), and again with the changes of a run that has ended. `open_now`: Opened follows
  // without waiting for the server. Errors: closed; malformed, and nothing has been restored.
  Bytes kept_state(DkvId dkv) const;
  Bytes kept_changes(DkvId dkv) const;
  Status restore(TimeMs now, DkvId dkv, ByteView state, ByteView changes, bool open_now);

  void on_stream_effect(TimeMs now, StreamClientEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(DkvEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
