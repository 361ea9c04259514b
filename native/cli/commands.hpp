// The commands. Each works on a signed-in session and returns the exit code.
//
// Thread safety: none, the loop's thread.
#pragma once

#include "cli/session.hpp"

namespace conat::cli {

// Everything between the checked command line and the exit code.
int run_command(Options options);

// `value` is what the options say (given_value()), read before the connection is made.
Awaitable<int> publish_command(Session& session, Value value);
Awaitable<int> subscribe_command(Session& session);
Awaitable<int> request_command(Session& session, Value value);
Awaitable<int> reply_command(Session& session);
Awaitable<int> interest_command(Session& session);
Awaitable<int> kv_command(Session& session, Value value);
Awaitable<int> stream_command(Session& session, Value value);
Awaitable<int> info_command(Session& session);
Awaitable<int> stats_command(Session& session);
Awaitable<int> bench_command(Session& session);

// These need no server.
int context_command(const Options& options);
int completion_command(const Options& options);

}  // namespace conat::cli
