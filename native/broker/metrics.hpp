// What the shards have counted, and its form for Prometheus.
//
// Thread safety: plain values and a pure function.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "conat/broker/broker.hpp"
#include "net/loop.hpp"

namespace conat::server {

// A shard's counters at one moment.
struct ShardMetrics {
  BrokerCounters broker;
  net::LoopCounters loop;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t http_requests = 0;
  std::uint64_t http_timeouts = 0;
  std::uint64_t http_connections = 0;
  std::uint64_t dropped_by_rate = 0;
  std::uint64_t refused_by_rate = 0;
  std::uint64_t holds = 0;  // times it stopped reading because a sibling had fallen behind
};

// The text format, one value for each shard.
std::string format_metrics(std::span<const ShardMetrics> shards);

}  // namespace conat::server
