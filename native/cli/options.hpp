// What the command line says, checked.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/contexts.hpp"
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
  stream_publish,
  stream_get,
  stream_list,
  stream_tail,
  stream_delete,
  stream_config,
  stream_info,
  info,
  stats,
  bench,
  context_add,
  context_use,
  context_list,
  context_remove,
  completion,
};

struct Options {
  Command command = Command::publish;

  // ---- the server ----
  Context connection;   // what options and the environment say; empty: the context decides
  std::string context;  // the name of a context; empty: the one in use
  std::int64_t timeout_ms = 10'000;
  bool json = false;
  bool text_packets = false;  // Socket.IO's default encoding instead of MessagePack

  // ---- messages ----
  std::string subject;  // or pattern
  std::string queue;
  Value headers;
  std::uint64_t count = 0;  // end after so many; 0: never
  bool wait = false;        // for interest
  bool many = false;
  bool echo = false;
  std::string shell_command;

  // ---- values ----
  std::optional<std::string> value;
  std::string file;
  bool as_text = false;   // never JSON
  bool as_bytes = false;  // binary
  bool raw = false;       // print payloads as they are

  // ---- stores and streams ----
  std::string store;
  std::string account;
  std::string project;
  bool ephemeral = false;
  std::string key;
  std::uint64_t seq = 0;   // 0: not given
  std::uint64_t last = 0;  // up to and including; 0: no bound
  bool all = false;
  bool follow = false;
  std::uint64_t tail = 10;  // so many messages at first
  double ttl_seconds = 0;
  std::vector<std::string> assignments;  // field=value

  // ---- others ----
  std::string cluster = "default";
  bool usage = false;
  std::uint64_t bench_messages = 100'000;
  std::uint64_t bench_bytes = 128;  // of one message
  std::string name;                 // of a context, a shell
  bool use = false;
  bool names = false;
};

struct ParsedOptions {
  std::optional<Options> options;  // nullopt: end with exit_code, everything is said
  int exit_code = exit_ok;
};

ParsedOptions parse_options(int argc, const char* const* argv);

// A script that completes this command line in bash, zsh or fish; empty for other shells.
std::string completion_script(const std::string& shell);

}  // namespace conat::cli
