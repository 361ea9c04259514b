// conatd's configuration: command line and environment (CONAT_...), checked.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "conat/base/limits.hpp"

namespace conat::server {

struct Options {
  std::string host = "127.0.0.1";  // an address after parsing: 127.0.0.1 or ::1
  std::uint16_t port = 8080;       // 0: any free one
  std::string base_path;           // "" or "/base"
  std::filesystem::path data_directory = "./data";
  std::filesystem::path web_directory;  // empty: the files built in
  unsigned shards = 1;
  std::string id = "0";
  std::string cluster_name;
  std::size_t max_payload_bytes = limits::max_payload_bytes;
  std::size_t max_queue_bytes = limits::max_queue_bytes;
  std::size_t max_subscriptions_per_client = limits::max_subscriptions_per_client;
  std::size_t max_connections = limits::max_connections;
  std::size_t max_connections_per_user = 0;  // 0: no such limit
  std::int64_t ping_interval_ms = limits::ping_interval_ms;
  std::int64_t ping_timeout_ms = limits::ping_timeout_ms;
  std::int64_t handshake_timeout_ms = 10'000;
  bool durable_disk = true;
  bool persist = true;
  std::string log_level = "info";
};

struct ParsedOptions {
  std::optional<Options> options;  // nullopt: end with exit_code, everything is said
  int exit_code = 0;
};

// The exit code for everything that keeps conatd from starting.
inline constexpr int exit_cannot_start = 2;

ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace conat::server
