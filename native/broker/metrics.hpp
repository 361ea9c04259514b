// What the program has counted, and its form for Prometheus.
//
// Thread safety: plain values and a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/http_callback.hpp"
#include "broker/admission.hpp"
#include "broker/link_metrics.hpp"
#include "broker/process_metrics.hpp"
#include "broker/sign_in_counters.hpp"
#include "conat/broker/broker.hpp"
#include "conat/fabric/persist_host.hpp"
#include "net/loop.hpp"
#include "storage/storage_statistics.hpp"

namespace conat::server {

// A shard's counters at one moment.
struct ShardMetrics {
  BrokerCounters broker;
  std::uint64_t queue_bytes = 0;  // what waits for the readers
  net::LoopCounters loop;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t http_requests = 0;
  std::uint64_t http_timeouts = 0;
  std::uint64_t http_connections = 0;
  std::uint64_t dropped_by_rate = 0;
  std::uint64_t refused_by_rate = 0;
  std::uint64_t holds = 0;       // times it stopped reading because a sibling had fallen behind
  std::uint64_t over_limit = 0;  // connections refused because of a limit on connections
  SignInCounters sign_ins;       // with authentication; renewals are counted alike
};

// The whole program's.
struct Metrics {
  std::string version;
  std::string broker_id;
  std::vector<ShardMetrics> shards;
  Admission::Usage usage;
  auth::HttpCallbackCounters auth_service;  // zero when none is configured
  ProcessMetrics process;
  LinkMetrics links;
  // With persistence.
  std::optional<PersistStatistics> persist;
  std::optional<storage::StorageStatistics> storage;
};

// The text format; what shards count has one value for each shard.
std::string format_metrics(const Metrics& metrics);

}  // namespace conat::server
