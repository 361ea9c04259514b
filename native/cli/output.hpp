// How messages, stored ones and tables are printed.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <string>
#include <vector>

#include "cli/session.hpp"
#include "conat/sync/stream_message.hpp"

namespace conat::cli {

// With --raw the payload alone; with --json {subject?, value, headers?}.
void print_message(Session& session, const Message& message, bool with_subject);
// With --json {seq, time, key?, value, headers?}.
void print_stored(Session& session, const StreamMessage& message);

// Columns of equal width, numbers to the right; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace conat::cli
