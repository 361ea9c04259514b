#include "cli/options.hpp"

#include <cmath>
#include <cstdio>

#include "cli/app.hpp"
#include "cli/files.hpp"
#include "client/server_address.hpp"
#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

constexpr std::size_t kMaxSecretBytes = 1u << 20;
constexpr std::uint64_t kMaxBenchMessages = 100'000'000;
constexpr std::uint64_t kMaxBenchBytes = 1'000'000;

using Wrong = std::optional<std::string>;

// '@FILE' stands for what is in the file, so that secrets need not be on the command line.
Wrong read_secret(std::string& text) {
  if (text.empty() || text.front() != '@') return std::nullopt;
  Result<std::string> content = read_file(text.substr(1), kMaxSecretBytes);
  if (!content.ok()) return content.error().text;
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
    content->pop_back();
  }
  text = std::move(*content);
  return std::nullopt;
}

// Goes into a header: what it must not hold would begin another one.
Wrong check_cookie(const std::string& text, const char* name) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      return std::string(name) + " must not have control characters";
    }
  }
  return std::nullopt;
}

Wrong parse_json_option(const std::string& text, const char* name, Value& target) {
  if (text.empty()) return std::nullopt;
  Result<Value> value = decode_json(text);
  if (!value.ok() || value->if_map() == nullptr) {
    return std::string(name) + " must be a JSON object";
  }
  target = std::move(*value);
  return std::nullopt;
}

Wrong check_connection(RawOptions& raw) {
  Context& connection = raw.options.connection;
  if (!connection.server.empty()) {
    const auto server = native::parse_server_address(connection.server);
    if (!server.ok()) return server.error().text;
  }
  for (std::string* secret : {&raw.auth, &connection.token, &connection.system_password}) {
    if (Wrong wrong = read_secret(*secret)) return wrong;
  }
  if (Wrong wrong = check_cookie(connection.cookie, "--cookie")) return wrong;
  if (Wrong wrong = check_cookie(connection.system_password, "--system-password")) return wrong;
  return parse_json_option(raw.auth, "--auth", connection.auth);
}

Wrong check_command(const Options& options) {
  switch (options.command) {
    case Command::reply:
      if (options.echo || !options.shell_command.empty()) break;
      return "reply needs --echo or --command";
    case Command::kv_set:
      if (options.value || !options.file.empty()) break;
      return "kv set needs a VALUE or --file";
    case Command::stream_get:
      if (options.seq > 0 || !options.key.empty()) break;
      return "stream get needs a SEQ or --key";
    case Command::stream_delete:
      if (options.seq > 0 || options.last > 0 || options.all) break;
      return "stream delete needs a SEQ, --to or --all";
    case Command::stream_tail:
      if (options.tail <= 1'000'000'000) break;
      return "--last must be at most 1000000000";
    case Command::bench:
      if (options.bench_messages >= 1 && options.bench_messages <= kMaxBenchMessages &&
          options.bench_bytes <= kMaxBenchBytes) {
        break;
      }
      return "bench takes 1 to 100000000 messages of at most 1000000 bytes";
    case Command::context_add:
    case Command::context_use:
    case Command::context_remove:
      if (!options.name.empty()) break;
      return "a context needs a name";
    default:
      break;
  }
  if (!(options.ttl_seconds >= 0) || options.ttl_seconds > 1e9) {
    return "--ttl must be a number of seconds";
  }
  return std::nullopt;
}

// What CLI11 cannot check; the text of what is wrong, if anything is.
Wrong check(RawOptions& raw, bool has_value) {
  Options& options = raw.options;
  if (!(raw.timeout_seconds > 0) || raw.timeout_seconds > 1e6) {
    return "--timeout must be a positive number of seconds";
  }
  options.timeout_ms = std::max<std::int64_t>(std::llround(raw.timeout_seconds * 1000), 1);
  if (has_value) options.value = raw.value;
  if (options.command == Command::reply && options.queue.empty()) options.queue = "0";
  if (Wrong wrong = check_connection(raw)) return wrong;
  if (Wrong wrong = parse_json_option(raw.headers, "--headers", options.headers)) return wrong;
  return check_command(options);
}

bool has_value(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) {
    const CLI::Option* value = command->get_option_no_throw("VALUE");
    if (value != nullptr && value->count() > 0) return true;
    if (has_value(*command)) return true;
  }
  return false;
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  CLI::App app("Messages, streams and key-value stores of a Conat server", "conat");
  RawOptions raw;
  define_app(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? exit_ok : exit_usage};
  }
  if (const Wrong wrong = check(raw, has_value(app))) {
    std::fprintf(stderr, "conat: %s\n", wrong->c_str());
    return {std::nullopt, exit_usage};
  }
  return {std::move(raw.options), exit_ok};
}

}  // namespace conat::cli
