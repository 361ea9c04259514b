// stream publish, get, ls, tail, delete, config, info.
#include <algorithm>
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

using native::Stream;

// "max_msgs", as a row of a table or as JSON.
void print_fields(Session& session, const Value& value) {
  if (session.options().json || value.if_map() == nullptr) {
    return session.print(encode_json(value));
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, field] : *value.if_map()) rows.push_back({name, show_value(field)});
  session.print_raw(table(rows));
}

Awaitable<int> publish(Session& session, Stream& stream, Value value) {
  const Options& options = session.options();
  native::StreamPublishSettings settings;
  settings.headers = options.headers;
  if (!options.key.empty()) settings.key = options.key;
  settings.ttl = Milliseconds(static_cast<std::int64_t>(options.ttl_seconds * 1000));
  settings.message_id = session.client().id();  // one message in a run
  const Progress progress(session, Progress::Direction::sending, encode_msgpack(value).size());
  const auto stored = co_await stream.publish(value, settings);
  if (!stored.ok()) co_return session.fail(stored.error());
  if (options.json) {
    Value::Map map{{"seq", Value(stored->seq)}, {"time", Value(stored->time)}};
    session.print(encode_json(Value(std::move(map))));
  } else {
    session.print(std::to_string(stored->seq));
  }
  co_return exit_ok;
}

Awaitable<int> get(Session& session, Stream& stream) {
  const Options& options = session.options();
  Result<std::optional<StreamMessage>> message = std::optional<StreamMessage>();
  if (options.seq > 0) {
    message = co_await stream.get(static_cast<StreamSequence>(options.seq));
  } else {
    message = co_await stream.get(options.key);
  }
  if (!message.ok()) co_return session.fail(message.error());
  if (!*message) {
    const std::string which =
        options.seq > 0 ? "number " + std::to_string(options.seq) : "key '" + options.key + "'";
    co_return session.fail(Error(ErrorKind::not_found, "there is no message with " + which));
  }
  print_stored(session, **message);
  co_return exit_ok;
}

Awaitable<int> list(Session& session, Stream& stream, StreamSequence first, StreamSequence last) {
  auto reader = stream.read(first, last);
  while (const auto batch = co_await reader.next()) {
    for (const StreamMessage& message : *batch) print_stored(session, message);
  }
  if (reader.error()) co_return session.fail(*reader.error());
  co_return exit_ok;
}

// Where the last `count` messages begin. Numbers may have gaps, so that it may be too early by as
// many as there are.
Result<StreamSequence> beginning(const Result<Value>& inventory, std::uint64_t count) {
  if (!inventory.ok()) return inventory.error();
  const Value* seq = inventory->find("seq");
  const StreamSequence last = seq == nullptr ? 0 : seq->integer_or(0);
  return std::max<StreamSequence>(last - static_cast<StreamSequence>(count) + 1, 1);
}

void print_update(Session& session, const StreamUpdate& update) {
  if (!update.is_delete) return print_stored(session, update.message);
  Value::Array seqs(update.deleted.begin(), update.deleted.end());
  if (session.options().json) {
    return session.print(encode_json(Value(Value::Map{{"deleted", Value(std::move(seqs))}})));
  }
  for (const StreamSequence seq : update.deleted) {
    session.print(std::to_string(seq) + "\t(deleted)");
  }
}

Awaitable<int> tail(Session& session, Stream& stream) {
  const Options& options = session.options();
  const Result<StreamSequence> first = beginning(co_await stream.inventory(), options.tail);
  if (!first.ok()) co_return session.fail(first.error());
  if (!options.follow) co_return co_await list(session, stream, *first, 0);
  auto updates = stream.follow(*first);
  if (!updates.ok()) co_return session.fail(updates.error());
  session.expect("following the stream");
  const Status following = co_await updates->wait_until_following();
  session.done_waiting();
  if (!following.ok()) co_return session.fail(following.error());
  session.runs_until_interrupted();
  if (!options.json && !options.raw) session.complain("following " + options.store);
  std::uint64_t seen = 0;
  while (const auto update = co_await updates->next()) {
    print_update(session, *update);
    if (!update->is_delete && ++seen == options.count) co_return exit_ok;
  }
  if (updates->error()) co_return session.fail(*updates->error());
  co_return exit_ok;
}

Awaitable<int> erase(Session& session, Stream& stream) {
  const Options& options = session.options();
  native::StreamErase what;
  what.all = options.all;
  if (options.last > 0) what.up_to = static_cast<StreamSequence>(options.last);
  if (options.seq > 0) what.seqs.push_back(static_cast<StreamSequence>(options.seq));
  const auto gone = co_await stream.erase(what);
  if (!gone.ok()) co_return session.fail(gone.error());
  if (options.json) {
    Value::Array seqs(gone->begin(), gone->end());
    session.print(encode_json(Value(Value::Map{{"seqs", Value(std::move(seqs))}})));
  } else {
    session.print("deleted " + plural(gone->size(), "message"));
  }
  co_return exit_ok;
}

Awaitable<int> config(Session& session, Stream& stream) {
  Value changes;
  for (const std::string& assignment : session.options().assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      session.complain("expected FIELD=VALUE, not '" + assignment + "'");
      co_return exit_usage;
    }
    changes.set(assignment.substr(0, equals), parse_value(assignment.substr(equals + 1)));
  }
  const auto whole = co_await stream.config(changes);
  if (!whole.ok()) co_return session.fail(whole.error());
  for (const auto& [name, value] : changes.if_map() ? *changes.if_map() : Value::Map()) {
    if (whole->find(name) != nullptr) continue;
    co_return session.fail(Error(ErrorKind::invalid_argument, "there is no field '" + name + "'"));
  }
  print_fields(session, *whole);
  co_return exit_ok;
}

Awaitable<int> info(Session& session, Stream& stream) {
  const auto inventory = co_await stream.inventory();
  if (!inventory.ok()) co_return session.fail(inventory.error());
  print_fields(session, *inventory);
  co_return exit_ok;
}

}  // namespace

Awaitable<int> stream_command(Session& session, Value value) {
  const Options& options = session.options();
  native::StreamSettings settings;
  settings.name = options.store;
  settings.account_id = options.account;
  settings.project_id = options.project;
  settings.ephemeral = options.ephemeral;
  settings.timeout = session.timeout();
  auto stream = session.client().stream(settings);
  if (!stream.ok()) co_return session.fail(stream.error());
  switch (options.command) {
    case Command::stream_publish:
      co_return co_await publish(session, *stream, std::move(value));
    case Command::stream_get:
      co_return co_await get(session, *stream);
    case Command::stream_list:
      co_return co_await list(session, *stream, static_cast<StreamSequence>(options.seq),
                              static_cast<StreamSequence>(options.last));
    case Command::stream_tail:
      co_return co_await tail(session, *stream);
    case Command::stream_delete:
      co_return co_await erase(session, *stream);
    case Command::stream_config:
      co_return co_await config(session, *stream);
    default:
      co_return co_await info(session, *stream);
  }
}

}  // namespace conat::cli
