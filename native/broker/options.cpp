#include "broker/options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "conat/base/result.hpp"

namespace conat::server {
namespace {

constexpr unsigned max_shards = 256;

void declare(CLI::App& app, Options& options) {
  app.add_option("--host", options.host, "Address to listen on")->envname("CONAT_HOST");
  app.add_option("--port", options.port, "Port to listen on; 0 picks a free one")
      ->envname("CONAT_PORT");
  app.add_option("--path", options.base_path, "Base path: the socket is at {base}/conat")
      ->envname("CONAT_PATH");
  app.add_option("--data", options.data_directory, "Directory of the stored streams")
      ->envname("CONAT_DATA");
  app.add_option("--web", options.web_directory,
                 "Serve this directory in place of the built-in page")
      ->check(CLI::ExistingDirectory)
      ->envname("CONAT_WEB");
  app.add_option("--shards", options.shards, "Event loops, each on a thread (default: the cores)")
      ->check(CLI::Range(1u, max_shards))
      ->envname("CONAT_SHARDS");
  app.add_option("--id", options.id, "This broker's id")->envname("CONAT_ID");
  app.add_option("--cluster-name", options.cluster_name, "Name of the cluster")
      ->envname("CONAT_CLUSTER_NAME");
  std::string& level = options.log_level;
  app.add_option("--log-level", level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->envname("CONAT_LOG_LEVEL");
}

void declare_limits(CLI::App& app, Options& options) {
  app.add_option("--max-payload", options.max_payload_bytes, "Bytes of one WebSocket message")
      ->check(CLI::Range(std::size_t{10'000}, std::size_t{1'000'000'000}))
      ->envname("CONAT_MAX_PAYLOAD");
  app.add_option("--max-queue", options.max_queue_bytes,
                 "Bytes that may wait for one connection until it counts as too slow")
      ->envname("CONAT_MAX_QUEUE");
  app.add_option("--max-subscriptions-per-client", options.max_subscriptions_per_client,
                 "Subscriptions of one connection")
      ->envname("CONAT_MAX_SUBSCRIPTIONS_PER_CLIENT");
  app.add_option("--max-connections", options.max_connections, "Connections in total")
      ->envname("CONAT_MAX_CONNECTIONS");
  app.add_option("--max-connections-per-user", options.max_connections_per_user,
                 "Connections of one user; 0: no limit")
      ->envname("CONAT_MAX_CONNECTIONS_PER_USER");
  app.add_option("--ping-interval", options.ping_interval_ms, "Milliseconds between pings")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{3'600'000}))
      ->envname("CONAT_PING_INTERVAL");
  app.add_option("--ping-timeout", options.ping_timeout_ms, "Milliseconds until a ping is answered")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{3'600'000}))
      ->envname("CONAT_PING_TIMEOUT");
  app.add_option("--handshake-timeout", options.handshake_timeout_ms,
                 "Milliseconds until an HTTP request is complete")
      ->check(CLI::Range(std::int64_t{10}, std::int64_t{3'600'000}))
      ->envname("CONAT_HANDSHAKE_TIMEOUT");
}

// "" and "/" are no base; "base/" is "/base".
std::string normalized_base(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (!path.empty() && path.front() != '/') path.insert(path.begin(), '/');
  return path;
}

// What the single options' checks cannot see.
Status check(Options& options) {
  if (options.host == "localhost") options.host = "127.0.0.1";
  if (options.host != "127.0.0.1" && options.host != "::1") {
    return Error(ErrorKind::invalid_argument,
                 "refusing to listen on " + options.host +
                     ": without authentication everybody there could do everything; use --host "
                     "127.0.0.1, ::1 or localhost");
  }
  options.base_path = normalized_base(options.base_path);
  if (options.max_queue_bytes / 4 <= options.max_payload_bytes) {
    return Error(ErrorKind::invalid_argument,
                 "--max-queue must be more than 4 times --max-payload");
  }
  return Nothing{};
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  Options options;
  options.shards = std::clamp(std::thread::hardware_concurrency(), 1u, max_shards);
  CLI::App app{
      "conatd, the Conat broker. Each option can also be given as an environment variable.",
      "conatd"};
  app.set_version_flag("--version", std::string("conatd ") + CONAT_VERSION);
  declare(app, options);
  declare_limits(app, options);
  std::string durability = "disk";
  app.add_option("--durability", durability,
                 "When a write is acknowledged: on the disk, or handed to the operating system")
      ->check(CLI::IsMember({"disk", "os"}))
      ->envname("CONAT_DURABILITY");
  bool no_persist = false;
  app.add_flag("--no-persist", no_persist, "Run without stored streams")
      ->envname("CONAT_NO_PERSIST");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return {std::nullopt, app.exit(success)};
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "conatd: %s (see conatd --help)\n", error.what());
    return {std::nullopt, exit_cannot_start};
  }
  options.durable_disk = durability == "disk";
  options.persist = !no_persist;
  if (const Status status = check(options); !status) {
    std::fprintf(stderr, "conatd: %s\n", status.error().text.c_str());
    return {std::nullopt, exit_cannot_start};
  }
  return {std::move(options), 0};
}

}  // namespace conat::server
