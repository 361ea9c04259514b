// What the links to joined brokers have counted, together. Thread safety: plain values.
#pragma once

#include <cstdint>

#include "conat/broker/link.hpp"

namespace conat::server {

struct LinkMetrics {
  std::uint64_t up = 0;
  std::uint64_t groups = 0;  // queue groups of those brokers which are known
  std::uint64_t unsent_bytes = 0;
  LinkCounters counters;  // of links that have ended as well
};

}  // namespace conat::server
