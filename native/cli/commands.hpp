// The commands: each starts on a signed-in session and ends it when its work is done.
//
// Thread safety: none, the loop's thread.
#pragma once

#include "cli/session.hpp"

namespace conat::cli {

// Reads the value from standard input first, if it is given as '-'.
int run_command(Options options);

void begin_publish(Session& session);
void begin_subscribe(Session& session);
void begin_request(Session& session);
void begin_reply(Session& session);
void begin_interest(Session& session);
void begin_kv(Session& session);

}  // namespace conat::cli
