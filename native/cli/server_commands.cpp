// info, stats.
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string field(const Value& value, const char* name) {
  const Value* found = value.find(name);
  return found == nullptr || found->is_null() ? "-" : show_value(*found);
}

std::string traffic(const Value& value, const char* direction, const char* name) {
  const Value* found = value.find(direction);
  const Value* count = found == nullptr ? nullptr : found->find(name);
  if (count == nullptr) return "-";
  const auto amount = static_cast<std::uint64_t>(std::max<std::int64_t>(count->integer_or(0), 0));
  return std::string_view(name) == "bytes" ? readable_bytes(amount) : std::to_string(amount);
}

// {broker: {connection: {user, send, recv, subs, connected, active, address}}}
Rows connection_rows(const Value& brokers) {
  Rows rows{{"BROKER", "CONNECTION", "USER", "ADDRESS", "SUBS", "IN", "", "OUT", ""}};
  for (const auto& [broker, connections] : *brokers.if_map()) {
    if (connections.if_map() == nullptr) continue;
    for (const auto& [id, connection] : *connections.if_map()) {
      rows.push_back({broker, id, field(connection, "user"), field(connection, "address"),
                      field(connection, "subs"), traffic(connection, "recv", "messages"),
                      traffic(connection, "recv", "bytes"), traffic(connection, "send", "messages"),
                      traffic(connection, "send", "bytes")});
    }
  }
  return rows;
}

// {broker: {total, perUser: {user: n}}}
Rows usage_rows(const Value& brokers) {
  Rows rows{{"BROKER", "USER", "CONNECTIONS"}};
  for (const auto& [broker, usage] : *brokers.if_map()) {
    const Value* users = usage.find("perUser");
    if (users != nullptr && users->if_map() != nullptr) {
      for (const auto& [user, count] : *users->if_map()) {
        rows.push_back({broker, user, show_value(count)});
      }
    }
    rows.push_back({broker, "(all)", field(usage, "total")});
  }
  return rows;
}

}  // namespace

Awaitable<int> info_command(Session& session) {
  const Value info = session.client().info();
  if (session.options().json) {
    session.print(encode_json(info));
    co_return exit_ok;
  }
  session.expect("the cluster's addresses");
  const auto cluster = co_await session.client().cluster();
  session.done_waiting();
  std::string addresses = "-";
  if (cluster.ok() && !cluster->empty()) {
    addresses = cluster->front();
    for (std::size_t i = 1; i < cluster->size(); ++i) addresses += ", " + (*cluster)[i];
  }
  const Rows rows{{"server", session.server().server},
                  {"id", field(info, "id")},
                  {"cluster", field(info, "clusterName")},
                  {"brokers", addresses},
                  {"user", field(info, "user")},
                  {"max_payload", field(info, "max_payload") + " bytes"}};
  session.print_raw(table(rows));
  co_return exit_ok;
}

Awaitable<int> stats_command(Session& session) {
  const Options& options = session.options();
  native::RequestManySettings settings;
  settings.max_wait = session.timeout();
  // Every broker of the cluster answers, so that one more than are there ends the waiting.
  const auto cluster = co_await session.client().cluster();
  settings.max_messages =
      cluster.ok() ? static_cast<std::uint32_t>(std::max<std::size_t>(cluster->size(), 1)) : 1;
  auto answers = session.client().call_many("sys.conat." + options.cluster,
                                            options.usage ? "usage" : "stats", {}, settings);
  if (!answers.ok()) co_return session.fail(answers.error());
  Value all(Value::Map{});
  while (const auto answer = co_await answers->next()) {
    const Result<Value> result = native::service_result(*answer);
    if (!result.ok()) co_return session.fail(result.error());
    if (result->if_map() == nullptr) {
      co_return session.fail(Error(ErrorKind::malformed, "the server's answer makes no sense"));
    }
    for (const auto& [broker, value] : *result->if_map()) all.set(broker, value);
  }
  if (answers->error()) {
    Error error = *answers->error();
    if (error.code.number == 503) {
      error.text = "there is no system service for the cluster '" + options.cluster +
                   "' (is a system account configured?)";
    }
    co_return session.fail(error);
  }
  if (all.if_map()->empty()) co_return session.fail(Error(ErrorKind::timeout, "timeout"));
  if (options.json) {
    session.print(encode_json(all));
  } else {
    session.print_raw(table(options.usage ? usage_rows(all) : connection_rows(all)));
  }
  co_return exit_ok;
}

}  // namespace conat::cli
