// Tests of the native client as coroutines.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "client/client.hpp"

namespace conat::test {

using native::Awaitable;
using native::Client;
using native::Milliseconds;
using Loop = native::asio::io_context;

// Runs it to its end, and the loop until nothing is left to do; a failed check ends it. Fails the
// test when that takes longer than a minute.
inline void run_coroutine(const std::function<Awaitable<void>(Loop& loop)>& body) {
  Loop loop{1};
  bool done = false;
  std::exception_ptr failure;
  native::asio::co_spawn(loop, body(loop), [&](std::exception_ptr thrown) {
    done = true;
    failure = thrown;
    if (thrown) loop.stop();
  });
  loop.run_for(std::chrono::seconds(60));
  if (failure) std::rethrow_exception(failure);
  REQUIRE(done);
  REQUIRE(loop.stopped());  // nothing is left to do
}

inline Client connected(Loop& loop, std::uint16_t port,
                        const native::ClientSettings& given = native::ClientSettings()) {
  native::ClientSettings settings = given;
  settings.address = "http://127.0.0.1:" + std::to_string(port);
  settings.reconnection_delay = Milliseconds(50);
  settings.reconnection_delay_max = Milliseconds(300);
  auto client = native::connect(loop, std::move(settings));
  REQUIRE(client.ok());
  return std::move(*client);
}

// Returns when the condition holds, which it must before run_coroutine's minute is over.
inline Awaitable<void> until(Loop& loop, std::function<bool()> condition) {
  native::asio::steady_timer pause(loop);
  while (!condition()) {
    pause.expires_after(Milliseconds(5));
    co_await pause.async_wait(native::asio::use_awaitable);
  }
}

}  // namespace conat::test
