// How the operations of the client end: each takes one of Asio's completion tokens and completes
// once, with one value, on the executor of its handler. The default token is `use_awaitable`:
//
//   auto result = co_await client.publish("news", 1);              // in a coroutine
//   client.publish("news", 1, {}, [](auto result) { ... });        // with a callback
//
// An operation begins when it is awaited, or at once with a callback. It never completes within the
// call that began it, and while it lasts io_context::run() does not return.
//
// Thread safety: begin and complete on the loop's thread.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>

namespace conat::native {

namespace asio = boost::asio;

template <class T>
using Awaitable = asio::awaitable<T>;

// The end of an operation, whatever its token was. To be called once; dropped uncalled, the
// coroutine that waits is destroyed.
template <class T>
using Completion = std::function<void(T)>;

// `begin(Completion<T>)` starts the work. It is copied and moved, and called later than this
// returns, so it must own what it needs.
template <class T, class Token, class Begin>
auto initiate(asio::io_context& loop, Token&& token, Begin begin) {
  return asio::async_initiate<Token, void(T)>(
      [context = &loop](auto handler, Begin start) {
        const auto executor = asio::get_associated_executor(handler, context->get_executor());
        auto work = asio::make_work_guard(executor);
        // Handlers of coroutines cannot be copied.
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        start(Completion<T>([executor, work, shared](T value) {
          asio::post(executor, [shared, value = std::move(value)]() mutable {
            auto last = std::move(*shared);
            last(std::move(value));
          });
        }));
      },
      token, std::move(begin));
}

using DefaultToken = asio::use_awaitable_t<>;

}  // namespace conat::native
