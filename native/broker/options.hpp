// conatd's configuration: command line, environment (CONAT_...) and configuration file, checked.
//
// Of several sources the first one counts: command line, environment, file, default. The options
// and their names stand in one table (option_table.hpp). Thread safety: plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "conat/base/limits.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/broker/authorization_rules.hpp"

namespace conat::server {

struct Options {
  // Of numbers whose default depends on other options.
  static constexpr std::size_t usual = static_cast<std::size_t>(-1);

  // [listen]
  std::string host = "127.0.0.1";       // an address after parsing
  std::uint16_t port = 8080;            // 0: any free one
  std::string base_path;                // "" or "/base"
  std::filesystem::path web_directory;  // empty: the files built in
  // PEM files; both or none, none: plain HTTP.
  std::filesystem::path tls_certificate;
  std::filesystem::path tls_key;
  bool compression = false;  // agree on permessage-deflate

  // [broker]
  std::string id = "0";
  std::string cluster_name;
  std::vector<std::string> join;  // addresses of brokers
  unsigned shards = 1;

  // [limits]
  std::size_t max_payload_bytes = limits::max_payload_bytes;
  std::size_t max_queue_bytes = limits::max_queue_bytes;
  std::size_t max_subscriptions_per_client = limits::max_subscriptions_per_client;
  std::size_t max_subscriptions_per_hub = limits::max_subscriptions_per_hub;
  std::size_t max_connections = limits::max_connections;
  std::size_t max_connections_per_user = usual;  // 0: no such limit
  // What one connection may send per second, and how much of it at once; 0: no limit.
  std::size_t max_messages_per_second = 0;
  std::size_t max_bytes_per_second = 0;
  std::int64_t rate_burst_ms = 1000;
  // WebSocket handshakes of one address per second, and at once; 0: no limit.
  double connection_rate = 0;
  double connection_burst = 100;
  bool limit_loopback = false;  // addresses of this machine, too

  // [timeouts]
  std::int64_t ping_interval_ms = limits::ping_interval_ms;
  std::int64_t ping_timeout_ms = limits::ping_timeout_ms;
  std::int64_t handshake_timeout_ms = 10'000;
  std::int64_t connect_timeout_ms = limits::connect_timeout_ms;

  // [storage]
  std::filesystem::path data_directory = "./data";
  std::filesystem::path archive_directory;  // empty: none
  std::int64_t archive_interval_ms = 30'000;
  std::filesystem::path backup_directory;  // empty: none
  std::string durability = "disk";
  bool no_persist = false;

  // [log]
  std::string log_level = "info";
  std::string log_format = "text";

  // [authentication]
  std::string system_password;  // after parsing also what the file holds; empty: no system account
  std::filesystem::path system_password_file;
  std::filesystem::path users_file;
  std::vector<std::string> jwt_keys;     // PEM files
  std::vector<std::string> jwt_secrets;  // files
  std::vector<std::string> jwks_files;
  std::vector<std::string> jwt_issuers;    // empty: any
  std::vector<std::string> jwt_audiences;  // empty: any
  std::int64_t jwt_leeway_ms = 0;
  bool jwt_allow_no_expiry = false;
  std::string jwt_claim_account_id = "account_id";
  std::string jwt_claim_project_id = "project_id";
  std::string jwt_claim_hub_id = "hub_id";
  std::string jwt_claim_admin = "admin";
  std::string jwt_claim_projects = "projects";
  std::vector<std::string> token_cookies;  // names, in the order of preference
  std::string auth_url;                    // empty: no service is asked
  std::filesystem::path auth_ca;
  std::filesystem::path auth_secret_file;
  std::int64_t auth_timeout_ms = 5000;
  std::int64_t auth_cache_ms = 10'000;
  std::string anonymous_user;  // JSON; empty: see anonymous_user()

  // [origins]
  std::vector<std::string> origins;               // pages that may connect, besides the own ones
  std::vector<std::string> origins_with_cookies;  // and whose cookies count
  bool trust_forwarded = false;

  // In the file only.
  std::vector<AuthorizationRule> rules;

  bool tls() const { return !tls_certificate.empty(); }
  // The name of the cluster in subjects and answers.
  std::string cluster_or_default() const { return cluster_name.empty() ? "default" : cluster_name; }
  bool has_system_account() const { return !system_password.empty(); }
  bool durable_disk() const { return durability == "disk"; }
  // Whether anything tells who a connection is. Without it everybody may do everything.
  bool authentication() const {
    return !system_password.empty() || !users_file.empty() || jwt() || !auth_url.empty();
  }
  bool jwt() const { return !jwt_keys.empty() || !jwt_secrets.empty() || !jwks_files.empty(); }
};

// What anonymous_user holds; the error's text says what it should be. Not empty.
Result<Value> anonymous_user(const Options& options);

// The limit on one user's connections that is in force, 0 for none. Without authentication all
// connections are one user's, so there is none unless it is asked for.
std::size_t connections_per_user(const Options& options);

struct ParsedOptions {
  std::optional<Options> options;  // nullopt: end with exit_code, everything is said
  int exit_code = 0;
};

// The exit code for everything that keeps conatd from starting.
inline constexpr int exit_cannot_start = 2;

// Also carries out what is asked for in place of starting: --help, check-config, ...
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace conat::server
