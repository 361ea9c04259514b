// conatd: parses the options, starts the server, and ends it on SIGINT or SIGTERM.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <functional>

#include "broker/server.hpp"

namespace {

using namespace conat::server;

constexpr int exit_second_signal = 130;

void start_log(const Options& options) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("conatd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));
}

// Each connection takes a descriptor: as many as the system lets this process have.
void raise_descriptor_limit(const Options& options) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < options.max_connections + 100) {
    spdlog::warn("only {} descriptors allowed (ulimit -n), fewer than --max-connections {}",
                 limit.rlim_cur, options.max_connections);
  }
}

int run(Options options) {
  std::signal(SIGPIPE, SIG_IGN);
  start_log(options);
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

  std::function<void()> wait_for_hang_up = [&] {
    hang_ups.async_wait([&](conat::net::error_code error, int) {
      if (error) return;
      server.reload();
      wait_for_hang_up();
    });
  };
  wait_for_hang_up();
  signals.async_wait([&](conat::net::error_code, int) {
    spdlog::info("ending");
    signals.async_wait([](conat::net::error_code error, int) {
      if (!error) std::_Exit(exit_second_signal);
    });
    server.end([&] { main.stop(); });
  });
  main.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  return run(std::move(*parsed.options));
}
