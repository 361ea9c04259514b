// Random histories of a stream over some store, compared with the model step by step: sets,
// deletes, configurations, passing time, groups that fail, restarts.
#pragma once

#include <functional>
#include <memory>

#include "conat/stream/store.hpp"

namespace conat::test {

struct HistoryOptions {
  std::uint64_t seed = 1;
  int steps = 10'000;
  // Gives the store; called again for each restart, with what the last one stored.
  std::function<Store&()> open_store;
};

void run_stream_history(const HistoryOptions& options);

}  // namespace conat::test
