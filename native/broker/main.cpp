// conatd: parses the options, starts the server, and ends it on SIGINT or SIGTERM.
#include <malloc.h>
#include <sys/resource.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <functional>

#include "broker/log.hpp"
#include "broker/server.hpp"

namespace {

using namespace conat::server;

constexpr int exit_second_signal = 130;

// Each connection takes a descriptor: as many as the system lets this process have.
void raise_descriptor_limit(const Options& options) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < options.max_connections + 100) {
    log_line(LogLevel::warning, "fewer descriptors allowed (ulimit -n) than --max-connections",
             {{"allowed", limit.rlim_cur}, {"max_connections", options.max_connections}});
  }
}

// A chunk of a large message (8 MB) goes back to the system when it is freed. Left to itself the
// allocator learns from the first one to keep them, for each thread, and twice as much free space.
void return_large_buffers() {
  constexpr int from_bytes = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, from_bytes);
  ::mallopt(M_TRIM_THRESHOLD, 4 * from_bytes);
}

int run(Options options) {
  return_large_buffers();
  std::signal(SIGPIPE, SIG_IGN);
  start_log(options.log_format, options.log_level);
  raise_descriptor_limit(options);

  conat::net::asio::io_context main;
  const auto work = conat::net::asio::make_work_guard(main);
  conat::net::asio::signal_set signals(main, SIGINT, SIGTERM);
  conat::net::asio::signal_set hang_ups(main, SIGHUP);
  const bool development = !options.authentication();
  Server server(std::move(options), main);
  if (const auto status = server.start(); !status) {
    std::fprintf(stderr, "conatd: %s\n", status.error().text.c_str());
    return exit_cannot_start;
  }
  std::printf("conatd listening on %s%s\n", server.address().c_str(),
              development ? " (development mode: no authentication, everything is allowed)" : "");
  std::fflush(stdout);
  const std::string address = server.address();
  log_line(LogLevel::info, "started", {{"version", CONAT_VERSION}, {"address", address}});

  std::function<void()> wait_for_hang_up = [&] {
    hang_ups.async_wait([&](conat::net::error_code error, int) {
      if (error) return;
      server.reload();
      wait_for_hang_up();
    });
  };
  wait_for_hang_up();
  signals.async_wait([&](conat::net::error_code, int) {
    log_line(LogLevel::info, "ending");
    signals.async_wait([](conat::net::error_code error, int) {
      if (!error) std::_Exit(exit_second_signal);
    });
    server.end([&] { main.stop(); });
  });
  main.run();
  log_line(LogLevel::info, "ended");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  return run(std::move(*parsed.options));
}
