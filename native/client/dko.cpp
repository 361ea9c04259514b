#include "client/dko.hpp"

#include <algorithm>
#include <unordered_map>

#include "conat/wire/codec.hpp"

namespace conat::native {
namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Nothing: it is no list of fields.
std::optional<Names> names_of(const std::optional<Value>& value) {
  const Value::Array* items = value ? value->if_array() : nullptr;
  if (items == nullptr) return std::nullopt;
  Names names;
  names.reserve(items->size());
  for (const Value& item : *items) {
    if (item.if_text() == nullptr) return std::nullopt;
    names.push_back(*item.if_text());
  }
  return names;
}

Value value_of(const Names& names) { return Value::Array(names.begin(), names.end()); }

// Of the fields of an object what either side added, without what either side removed; of
// everything else the local side wins.
std::optional<Value> merge_names(const DkvConflict& conflict) {
  const auto local = names_of(conflict.local);
  const auto remote = names_of(conflict.remote);
  if (!local || !remote || Dko::from_path(conflict.key).field) return conflict.local;
  const Names before = names_of(conflict.previous).value_or(Names());
  Names merged;
  for (const std::string& name : *remote) {
    if (contains(*local, name) || !contains(before, name)) merged.push_back(name);
  }
  for (const std::string& name : *local) {
    if (!contains(*remote, name) && !contains(before, name)) merged.push_back(name);
  }
  return value_of(merged);
}

}  // namespace

FieldPath Dko::from_path(std::string_view path) {
  FieldPath whole{std::string(path), std::nullopt};
  if (path.empty() || path.front() != '[') return whole;
  const Result<Value> parts = decode_json(path);
  const Value::Array* items = parts.ok() ? parts->if_array() : nullptr;
  if (items == nullptr || items->size() != 2) return whole;
  const std::string* key = items->front().if_text();
  const std::string* field = items->back().if_text();
  if (key == nullptr || field == nullptr) return whole;
  return {*key, *field};
}

std::string Dko::to_path(std::string_view key, std::string_view field) {
  return encode_json(Value(Value::Array{Value(key), Value(field)}));
}

DkvSettings Dko::settings_below(DkoSettings settings) {
  settings.name = "__dko__" + settings.name;
  settings.merge = MergeKind::custom;
  settings.merge_function = merge_names;
  return settings;
}

// ---- reading ----

std::optional<Value> Dko::get(std::string_view key) const {
  const auto fields = names_of(dkv_->get(key));
  if (!fields) return std::nullopt;
  Value::Map object;
  for (const std::string& field : *fields) {
    if (auto value = dkv_->get(to_path(key, field))) object.emplace_back(field, std::move(*value));
  }
  return Value(std::move(object));
}

bool Dko::has(std::string_view key) const { return names_of(dkv_->get(key)).has_value(); }

std::vector<std::string> Dko::keys() const {
  std::vector<std::string> keys;
  for (auto& [key, object] : all()) keys.push_back(key);
  return keys;
}

Value::Map Dko::all() const {
  const Value::Map entries = dkv_->all();
  std::unordered_map<std::string_view, Names> lists;
  for (const auto& [path, value] : entries) {
    if (auto names = names_of(value)) lists.emplace(path, std::move(*names));
  }
  Value::Map all;
  std::unordered_map<std::string, std::size_t> places;
  const auto object_of = [&](const std::string& key) -> Value& {
    const auto [place, is_new] = places.try_emplace(key, all.size());
    if (is_new) all.emplace_back(key, Value(Value::Map{}));
    return all[place->second].second;
  };
  for (const auto& [path, value] : entries) {
    const FieldPath at = from_path(path);
    const auto own = lists.find(path);
    if (!at.field) {
      if (own != lists.end()) object_of(at.key);
      continue;
    }
    // What is left of an object that is gone is not shown.
    const auto fields = lists.find(at.key);
    const bool shown = fields != lists.end() ? contains(fields->second, *at.field)
                                             : own != lists.end() && has(path);
    if (shown) object_of(at.key).set(*at.field, value);
  }
  return all;
}

std::vector<FieldPath> Dko::unsaved_changes() const {
  std::vector<FieldPath> paths;
  for (const std::string& path : dkv_->unsaved_changes()) paths.push_back(from_path(path));
  return paths;
}

// ---- writing ----

Status Dko::set(std::string_view key, const Value& object) {
  if (object.is_null()) return erase(key);
  const Value::Map* entries = object.if_map();
  if (entries == nullptr) return Error(ErrorKind::invalid_argument, "values must be objects");
  Names fields;
  for (const auto& [field, value] : *entries) {
    if (!contains(fields, field)) fields.push_back(field);
  }
  const Names before = names_of(dkv_->get(key)).value_or(Names());
  const bool same = has(key) && before.size() == fields.size() &&
                    std::all_of(fields.begin(), fields.end(),
                                [&](const std::string& field) { return contains(before, field); });
  Status status = same ? Status(Nothing{}) : dkv_->set(key, value_of(fields));
  for (const auto& [field, value] : *entries) {
    if (status.ok()) status = dkv_->set(to_path(key, field), value);
  }
  for (const std::string& field : before) {
    if (status.ok() && !contains(fields, field)) status = dkv_->erase(to_path(key, field));
  }
  return status;
}

Status Dko::erase(std::string_view key) {
  const auto fields = names_of(dkv_->get(key));
  Status status = dkv_->erase(key);
  if (!fields) return status;
  for (const std::string& field : *fields) {
    if (status.ok()) status = dkv_->erase(to_path(key, field));
  }
  return status;
}

Status Dko::clear() { return dkv_->clear(); }

// ---- watching ----

void DkoChanges::begin_next(const std::shared_ptr<DkvChanges::Queue>& queue,
                            const std::weak_ptr<Dkv>& dkv,
                            Completion<std::optional<DkoChange>> done) {
  queue->next(Milliseconds(0), [queue, dkv, done](std::optional<DkvChange> change) {
    if (!change) return done(std::nullopt);
    FieldPath at = Dko::from_path(change->key);
    DkoChange told{std::move(at.key), std::move(at.field), std::nullopt};
    if (told.field) {
      // Of an object that is gone, only the object is told.
      const std::shared_ptr<Dkv> store = dkv.lock();
      const bool has_object = store && names_of(store->get(told.key)).has_value();
      if (!change->value && !has_object) return begin_next(queue, dkv, done);
      told.value = std::move(change->value);
    }
    done(std::move(told));
  });
}

void Dko::on_reject(std::function<void(const FieldPath& path, const Error& error)> callback) {
  dkv_->on_reject([callback = std::move(callback)](const std::string& path, const Error& error) {
    if (callback) callback(from_path(path), error);
  });
}

}  // namespace conat::native
