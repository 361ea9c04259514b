// What a StorageEngine is told when it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "conat/base/time.hpp"
#include "conat/stream/storage_group.hpp"

namespace conat::storage {

// The wall clock in whole milliseconds.
UnixMs unix_now();

struct StorageOptions {
  std::filesystem::path data_dir;
  // `disk`: an answer means stable storage. Otherwise `os`: it survives the end of the process, not
  // of the machine. A stream opened with `sync` is always on `disk`.
  bool durable_disk = true;
  unsigned threads = 2;
  // Commands waiting for the threads; beyond it new ones are answered with limit_reached.
  std::size_t max_queued_bytes = 256u << 20;
  StorageGroupLimits group;

  // Read back on opening when newer; written while a stream changes, at most once an interval, and
  // on closing. Empty: none.
  std::filesystem::path archive_dir;
  std::int64_t archive_interval_ms = 30'000;
  // Written on closing. Empty: none.
  std::filesystem::path backup_dir;

  std::function<UnixMs()> clock = &unix_now;
  // Told what an operator should know and no client's answer says. Called on storage threads.
  std::function<void(std::string_view)> log;
};

}  // namespace conat::storage
