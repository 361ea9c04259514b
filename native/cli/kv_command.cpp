// kv get, set, delete, ls, watch.
#include <string>

#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

using native::Dkv;

std::string shown(const Options& options, const Value& value) {
  return options.json ? encode_json(value) : show_value(value);
}

int not_found(Session& session) {
  return session.fail(
      Error(ErrorKind::not_found, "there is no key '" + session.options().key + "'"));
}

int get(Session& session, const Dkv& store) {
  const Options& options = session.options();
  const std::optional<Value> value = store.get(options.key);
  if (!value) return not_found(session);
  if (options.raw) {
    session.print_raw(raw_value(*value));
  } else {
    session.print(shown(options, *value));
  }
  return exit_ok;
}

int list(Session& session, const Dkv& store) {
  Value::Map all = store.all();
  if (session.options().json) {
    session.print(encode_json(Value(std::move(all))));
    return exit_ok;
  }
  for (const auto& [key, value] : all) session.print(key + "\t" + show_value(value));
  return exit_ok;
}

// After a change: until it is saved, or refused.
Awaitable<int> save(Session& session, Dkv& store, Status changed, std::uint64_t bytes) {
  if (!changed.ok()) co_return session.fail(changed.error());
  std::optional<Error> refusal;
  store.on_reject([&refusal](const std::string&, const Error& error) { refusal = error; });
  const Progress progress(session, Progress::Direction::sending, bytes);
  session.expect("saving");
  const Status saved = co_await store.save();
  session.done_waiting();
  store.on_reject({});
  if (refusal) co_return session.fail(*refusal);
  if (!saved.ok()) co_return session.fail(saved.error());
  co_return exit_ok;
}

void print_change(Session& session, const native::DkvChange& change) {
  const Options& options = session.options();
  if (!options.json) {
    return session.print(change.key + "\t" +
                         (change.value ? show_value(*change.value) : std::string("(deleted)")));
  }
  Value::Map map{{"key", Value(change.key)}};
  if (change.value) {
    map.emplace_back("value", *change.value);
  } else {
    map.emplace_back("deleted", Value(true));
  }
  session.print(encode_json(Value(std::move(map))));
}

Awaitable<int> watch(Session& session, Dkv& store) {
  const Options& options = session.options();
  auto changes = store.changes();
  session.runs_until_interrupted();
  if (!options.json) session.complain("watching " + options.store);
  std::uint64_t seen = 0;
  while (const auto change = co_await changes.next()) {
    if (!options.key.empty() && change->key != options.key) continue;
    print_change(session, *change);
    if (++seen == options.count) co_return exit_ok;
  }
  if (changes.error()) co_return session.fail(*changes.error());
  co_return exit_ok;
}

}  // namespace

Awaitable<int> kv_command(Session& session, Value value) {
  const Options& options = session.options();
  native::DkvSettings settings;
  settings.name = options.store;
  settings.account_id = options.account;
  settings.project_id = options.project;
  settings.ephemeral = options.ephemeral;
  session.expect("opening the store (is there a persistence server?)");
  std::optional<Progress> loading;
  loading.emplace(session, Progress::Direction::receiving, std::uint64_t{0});
  auto store = co_await session.client().dkv(settings);
  loading.reset();
  session.done_waiting();
  if (!store.ok()) co_return session.fail(store.error());
  switch (options.command) {
    case Command::kv_get:
      co_return get(session, *store);
    case Command::kv_set: {
      const std::uint64_t bytes = encode_msgpack(value).size();
      co_return co_await save(session, *store, store->set(options.key, value), bytes);
    }
    case Command::kv_delete:
      if (!store->has(options.key)) co_return not_found(session);
      co_return co_await save(session, *store, store->erase(options.key), 0);
    case Command::kv_list:
      co_return list(session, *store);
    default:
      co_return co_await watch(session, *store);
  }
}

}  // namespace conat::cli
