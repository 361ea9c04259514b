#include <cstdio>
#include <string>

#include "cli/commands.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

Awaitable<int> work(Session& session, Value value) {
  switch (session.options().command) {
    case Command::publish:
      return publish_command(session, std::move(value));
    case Command::subscribe:
      return subscribe_command(session);
    case Command::request:
      return request_command(session, std::move(value));
    case Command::reply:
      return reply_command(session);
    case Command::interest:
      return interest_command(session);
    case Command::kv_get:
    case Command::kv_set:
    case Command::kv_delete:
    case Command::kv_list:
    case Command::kv_watch:
      return kv_command(session, std::move(value));
    case Command::info:
      return info_command(session);
    case Command::stats:
      return stats_command(session);
    case Command::bench:
      return bench_command(session);
    default:
      return stream_command(session, std::move(value));
  }
}

int refuse(const Error& error) {
  std::fprintf(stderr, "conat: %s\n", error.text.c_str());
  return exit_error;
}

}  // namespace

int run_command(Options options) {
  switch (options.command) {
    case Command::context_add:
    case Command::context_use:
    case Command::context_list:
    case Command::context_remove:
      return context_command(options);
    case Command::completion:
      return completion_command(options);
    default:
      break;
  }
  Result<Value> value = given_value(options);
  if (!value.ok()) return refuse(value.error());
  Result<Context> server = resolve_context(options.connection, options.context);
  if (!server.ok()) return refuse(server.error());
  Session session(std::move(options), std::move(*server));
  return session.run([&value](Session& running) { return work(running, std::move(*value)); });
}

}  // namespace conat::cli
