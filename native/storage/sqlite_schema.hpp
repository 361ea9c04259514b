// The tables of a stream's file (docs/persistence.md), shared with other implementations, and what
// this one adds: a table of message ids and an index of expiry times. Additions are made when a
// file lacks them, so that files of other implementations open as they are.
//
// Thread safety: the connection's.
#pragma once

#include "conat/base/result.hpp"
#include "storage/sqlite_database.hpp"

namespace conat::storage {

// Sets up a connection (write-ahead log, cache) and creates what is missing.
// `durable`: every commit is on stable storage when it returns.
Status prepare_stream_file(SqliteDatabase& database, bool durable);

}  // namespace conat::storage
