// A key-value store of objects, every field of which is stored, and merges, by itself: of changes
// to different fields of an object both stay, of the same field the last write wins.
//
//   auto people = co_await client.dko({"people"});
//   people->set("ada", object("name", "Ada", "age", 36));
//   co_await people->save();
//
// It is kept in the Dkv named `__dko__{name}`: under the key the names of its fields, under the
// JSON of [key, field] each value. Reads and writes are local and immediate, see dkv.hpp, also for
// errors and what close() does.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/dkv.hpp"

namespace conat::native {

// A field's place in the store below; without a field the object as such.
struct FieldPath {
  std::string key;
  std::optional<std::string> field;
};

// Of DkvSettings: `merge` and `merge_function` are not looked at.
using DkoSettings = DkvSettings;

// A change that came from the server. Without a field: the object as such came, went, or has other
// fields. Of an object that is deleted only that is told.
struct DkoChange {
  std::string key;
  std::optional<std::string> field;
  std::optional<Value> value;  // of the field; nothing: it is gone
};

// The changes of one store, from the moment on when it was made.
class DkoChanges {
 public:
  // Nothing: the store, its client or this was closed; or, with error(), too many were not read.
  template <class Token = DefaultToken>
  auto next(Token&& token = {}) {
    return initiate<std::optional<DkoChange>>(
        changes_.queue_->loop(), token,
        [queue = changes_.queue_, dkv = dkv_](Completion<std::optional<DkoChange>> done) {
          begin_next(queue, dkv, std::move(done));
        });
  }
  const std::optional<Error>& error() const { return changes_.error(); }
  void close() { changes_.close(); }

 private:
  friend class Dko;
  DkoChanges(DkvChanges changes, const std::shared_ptr<Dkv>& dkv)
      : changes_(std::move(changes)), dkv_(dkv) {}
  static void begin_next(const std::shared_ptr<DkvChanges::Queue>& queue,
                         const std::weak_ptr<Dkv>& dkv, Completion<std::optional<DkoChange>> done);

  DkvChanges changes_;
  std::weak_ptr<Dkv> dkv_;
};

class Dko {
 public:
  // ---- reading: the local view ----
  std::optional<Value> get(std::string_view key) const;  // a map
  bool has(std::string_view key) const;
  std::size_t size() const { return all().size(); }
  std::vector<std::string> keys() const;  // in the order of insertion
  // A key that is itself the JSON of two texts also shows as the field that it would be.
  Value::Map all() const;

  // ---- writing; errors: closed, too_large, `values must be objects` ----
  // Writes the fields that differ, removes those that `object` does not have. Null deletes.
  Status set(std::string_view key, const Value& object);
  Status erase(std::string_view key);
  Status clear();
  template <class Token = DefaultToken>
  auto save(Token&& token = {}) {
    return dkv_->save(std::forward<Token>(token));
  }
  bool has_unsaved_changes() const { return dkv_->has_unsaved_changes(); }
  std::vector<FieldPath> unsaved_changes() const;
  bool is_stable() const { return dkv_->is_stable(); }

  // ---- watching ----
  // Bounded: beyond `max_buffered` changes of fields that nobody has read it ends with ENOBUFS.
  DkoChanges changes(std::size_t max_buffered = 100'000) {
    return DkoChanges(dkv_->changes(max_buffered), dkv_);
  }
  // The server refused a change; it is dropped.
  void on_reject(std::function<void(const FieldPath& path, const Error& error)> callback);

  void close() { dkv_->close(); }

  // Which object and field a key of the store below stands for, and back.
  static FieldPath from_path(std::string_view path);
  static std::string to_path(std::string_view key, std::string_view field);

 private:
  friend class Client;
  explicit Dko(Dkv dkv) : dkv_(std::make_shared<Dkv>(std::move(dkv))) {}
  // What to open below.
  static DkvSettings settings_below(DkoSettings settings);

  std::shared_ptr<Dkv> dkv_;
};

}  // namespace conat::native
