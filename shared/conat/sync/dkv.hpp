// The eventually consistent key-value stores of one client.
//
// Values are kept encoded; the core looks inside only to compare and merge. One Dkvs holds all open
// stores; effects carry the Owner given at open(). It sits on StreamClients (see stream_client.hpp).
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

#include "conat/sync/stream_client.hpp"

namespace conat {

using DkvId = std::uint32_t;  // never 0

// How conflicts are decided. `custom` asks the owner by MergeNeeded.
enum class MergeKind : std::uint8_t { none, lww, fields, counter, set, text, custom };

struct DkvOptions {
  StreamOpenOptions stream;   // user, path, ephemeral, sync, service, config
  MergeKind merge = MergeKind::none;
  bool autosave = true;
};

// A value with its encoding; nothing for "absent" (deleted or never set).
struct EncodedValue {
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
};

namespace dkv_effect {
struct Opened {  // the first load is done, or it failed for good (403, 429)
  Owner owner;
  DkvId dkv;
  std::optional<Error> error;
};
struct Change {
  Owner owner;
  DkvId dkv;
  std::string key;
  std::optional<EncodedValue> value;
  std::optional<EncodedValue> previous;
};
struct Rejected {
  Owner owner;
  DkvId dkv;
  std::string key;
  std::optional<EncodedValue> value;
  Error error;
};
struct Stable {
  Owner owner;
  DkvId dkv;
};
struct ConnectionChanged {
  Owner owner;
  DkvId dkv;
  bool connected;
};
// Decide a conflict (MergeKind::custom) and answer with resolve_merge before anything else happens
// to that key.
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

using DkvEffect = std::variant<dkv_effect::Opened, dkv_effect::Change, dkv_effect::Rejected,
                               dkv_effect::Stable, dkv_effect::ConnectionChanged,
                               dkv_effect::MergeNeeded, dkv_effect::Saved>;

class Dkvs {
 public:
  Dkvs(StreamClients& streams, Random random);
  ~Dkvs();

  Result<DkvId> open(TimeMs now, Owner owner, DkvOptions options);
  void close(TimeMs now, DkvId dkv);

  // Local view: unsaved changes over what the server has.
  std::optional<EncodedValue> get(DkvId dkv, std::string_view key) const;
  bool has(DkvId dkv, std::string_view key) const;
  std::size_t size(DkvId dkv) const;
  // Keys in the order of insertion; stops when `visit` returns false.
  void for_each(DkvId dkv, const std::function<bool(std::string_view key, const EncodedValue&)>& visit) const;
  std::optional<StreamSequence> seq(DkvId dkv, std::string_view key) const;
  std::optional<UnixMs> time(DkvId dkv, std::string_view key) const;
  Headers headers(DkvId dkv, std::string_view key) const;

  Status set(TimeMs now, DkvId dkv, std::string_view key, EncodedValue value, Headers headers = {});
  Status erase(TimeMs now, DkvId dkv, std::string_view key);
  Status clear(TimeMs now, DkvId dkv);
  Result<CallId> save(TimeMs now, DkvId dkv);
  // nullopt: the merge failed or gave nothing, local wins. An absent merged value deletes.
  void resolve_merge(TimeMs now, DkvId dkv, std::uint32_t merge,
                     std::optional<std::optional<EncodedValue>> merged);

  bool has_unsaved_changes(DkvId dkv) const;
  std::vector<std::string> unsaved_changes(DkvId dkv) const;
  bool is_stable(DkvId dkv) const;

  void on_stream_effect(TimeMs now, StreamClientEffect effect);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(DkvEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
