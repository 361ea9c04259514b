// The options of the client's operations. Times are milliseconds; 0 is "the default" or "no limit",
// as each one says.
//
// They have constructors on purpose: g++ 12 copies aggregates wrongly that are written in braces in
// an expression with co_await.
//
// Thread safety: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/async_queue.hpp"
#include "client/completion.hpp"
#include "conat/base/limits.hpp"
#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/packet.hpp"

namespace conat::native {

using Milliseconds = std::chrono::milliseconds;

struct ClientSettings {
  ClientSettings(std::string server_address = {}) : address(std::move(server_address)) {}

  // http(s)://host[:port][/base]; the environment's CONAT_SERVER when empty.
  std::string address;
  // What tells the server who this is: an object, or a coroutine that is asked for one at each
  // connect (an error counts as a failed attempt, the next comes after the backoff), and before an
  // identity expires.
  Value auth = {};
  std::function<Awaitable<Result<Value>>()> auth_function = {};
  // Signs in as the system account, with the cookie `sys`.
  std::string system_password = {};
  // Sent with the WebSocket handshake.
  std::vector<std::pair<std::string, std::string>> headers = {};
  // TLS: whether the server's certificate must be valid, and a PEM file of certificates that are
  // trusted besides the system's.
  bool verify_certificate = true;
  std::string ca_file = {};

  std::string inbox_prefix = "_INBOX";  // must start with that
  PacketEncoding encoding = PacketEncoding::msgpack;
  bool auto_connect = true;
  bool reconnection = true;
  Milliseconds reconnection_delay{500};
  Milliseconds reconnection_delay_max{15'000};
  double randomization_factor = 0.5;
  Milliseconds request_timeout{limits::request_timeout_ms};
  Milliseconds publish_timeout{limits::publish_timeout_ms};
  // Bytes that wait for the network beyond which publish_now is refused (429).
  std::size_t max_unsent_bytes = limits::max_queue_bytes;
};

struct SubscribeSettings {
  SubscribeSettings() {}

  std::string queue = {};           // empty: every subscriber gets every message
  Milliseconds max_wait{0};         // ends after so long without a message; 0: never
  std::uint64_t message_limit = 0;  // ends after so many messages; 0: never
  Milliseconds timeout{limits::request_timeout_ms};  // for the server's confirmation
  std::size_t max_buffered = 0;                      // messages that nobody has read; 0: no bound
  Overflow overflow = Overflow::drop_oldest;         // beyond max_buffered
};

struct PublishSettings {
  PublishSettings() {}

  Value headers = {};  // a map, or null
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Milliseconds timeout{0};         // 0: the client's publish_timeout
  bool wait_for_interest = false;  // on count 0 wait for a subscriber, then publish again
};

struct RequestSettings {
  RequestSettings() {}

  Value headers = {};
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Milliseconds timeout{0};  // 0: the client's request_timeout
  bool wait_for_interest = false;
};

struct RequestManySettings {
  RequestManySettings() {}

  Value headers = {};
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Milliseconds max_wait{0};        // silence that ends it; 0: the client's request_timeout
  std::uint32_t max_messages = 0;  // 0: no bound
  bool wait_for_interest = false;
};

// Where a store or stream is: below its owner, an account or a project; the hub without one.
struct StoreLocation {
  std::string scope;  // "hub", "account-{id}" or "project-{id}"
  std::string path;   // "hub/{name}", "accounts/{id}/{name}" or "projects/{id}/{name}"
};
// Error: both owners are given.
Result<StoreLocation> store_location(const std::string& name, const std::string& account_id,
                                     const std::string& project_id);

}  // namespace conat::native
