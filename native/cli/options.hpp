// What the command line says, checked.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/server_address.hpp"
#include "conat/base/value.hpp"

namespace conat::cli {

// What the program ends with.
enum ExitCode : int {
  exit_ok = 0,
  exit_error = 1,    // also: the server cannot be reached, or refuses the user
  exit_usage = 2,    // the command line is wrong
  exit_timeout = 3,  // no answer in time, nobody subscribed
};

enum class Command : std::uint8_t {
  publish,
  subscribe,
  request,
  reply,
  interest,
  kv_get,
  kv_set,
  kv_delete,
  kv_list,
  kv_watch,
};

struct Options {
  Command command = Command::publish;
  native::ServerAddress server;
  std::int64_t timeout_ms = 10'000;
  bool json = false;
  bool text_packets = false;  // Socket.IO's default encoding instead of MessagePack
  std::string queue;
  Value auth;
  Value headers;

  std::string subject;  // or pattern
  std::optional<std::string> value;
  std::uint64_t count = 0;  // subscribe, reply: end after so many; 0: never
  bool wait = false;        // for interest
  bool many = false;
  bool echo = false;
  std::string shell_command;

  std::string store;
  std::string key;
  std::string scope = "hub";
  std::string path;  // of the store
  bool ephemeral = false;
};

struct ParsedOptions {
  std::optional<Options> options;  // nullopt: end with exit_code, everything is said
  int exit_code = exit_ok;
};

ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace conat::cli
