// Carries out storage commands on an open stream, in groups: one transaction for what is waiting,
// one result with all answers and changes. The native storage threads and the simulator share it.
//
// Thread safety: none; the thread that owns the stream.
#pragma once

#include <cstddef>
#include <span>

#include "conat/stream/persist_server.hpp"
#include "conat/stream/stream.hpp"

namespace conat {

// A group ends early when it has grown this large; the rest waits for the next one.
struct StorageGroupLimits {
  std::size_t max_requests = 5000;
  std::size_t max_bytes = 8u << 20;          // of the commands
  std::size_t max_answer_bytes = 24u << 20;  // of what was read
};

// What a command keeps in memory while it waits, in bytes.
std::size_t storage_command_bytes(const StorageCommand& command);

// Runs as many of `requests` as make one group, at least one; `consumed` tells how many. Commands
// are moved from. When the store fails, every write of the group answers the error and reads are
// repeated on what is really there.
StorageResult run_storage_group(Stream& stream, StreamId id, UnixMs now,
                                std::span<StorageRequest> requests, std::size_t& consumed,
                                const StorageGroupLimits& limits = {});

}  // namespace conat
