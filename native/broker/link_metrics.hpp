// What a link to a joined broker has counted. Thread safety: plain values.
#pragma once

#include <cstdint>
#include <string>

#include "conat/broker/link.hpp"

namespace conat::server {

struct LinkMetrics {
  std::string address;
  bool up = false;
  std::uint64_t groups = 0;  // queue groups of that broker which are known
  std::uint64_t unsent_bytes = 0;
  LinkCounters counters;
};

}  // namespace conat::server
