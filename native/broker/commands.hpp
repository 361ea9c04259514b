// What conatd does in place of starting: lines for the users file.
#pragma once

#include "broker/command_line.hpp"

namespace conat::server {

// Reads a password from standard input (from a terminal without echo, and twice), or makes a token,
// and prints the user's line. Returns the exit code; everything is said.
int hash_password(const CommandLine& line);

}  // namespace conat::server
