#include "broker/options.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "broker/authenticator.hpp"
#include "broker/command_line.hpp"
#include "broker/commands.hpp"
#include "broker/config_file.hpp"
#include "broker/option_table.hpp"
#include "client/server_address.hpp"
#include "conat/base/result.hpp"
#include "conat/broker/authorization.hpp"
#include "conat/wire/codec.hpp"
#include "net/asio.hpp"
#include "net/tls_context.hpp"

namespace conat::server {
namespace {

constexpr unsigned max_default_shards = 256;

Error wrong(std::string text) { return Error(ErrorKind::invalid_argument, std::move(text)); }

// "X must be ..., not 'value'"; a secret is not repeated.
Error wrong_value(const OptionRow& row, const std::string& named, const Error& error,
                  const std::vector<std::string>& values) {
  std::string text = named + " " + error.text;
  if (!row.secret) text += ", not '" + (values.empty() ? "" : values.front()) + "'";
  return wrong(std::move(text));
}

Status set_values(Options& options, const OptionRow& row, const std::vector<std::string>& values) {
  if (is_list(row)) return set_list_option(options, row, values);
  return set_option(options, row, values.empty() ? "" : values.front());
}

// ---- the sources, the weakest first ----

Status apply_file(Options& options, const std::filesystem::path& path) {
  Result<ConfigFile> file = read_config_file(path);
  if (!file) return file.error();
  for (const ConfigFile::Entry& entry : file->entries) {
    if (const Status status = set_values(options, *entry.row, entry.values); !status) {
      return wrong_value(*entry.row, entry.place + ": '" + option_full_key(*entry.row) + "'",
                         status.error(), entry.values);
    }
  }
  options.rules = std::move(file->rules);
  return Nothing{};
}

Status apply_environment(Options& options) {
  for (const OptionRow& row : option_table()) {
    const std::string name = option_environment(row);
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    if (const Status status = set_option(options, row, value); !status) {
      return wrong_value(row, name + " (" + option_flag(row) + ")", status.error(), {value});
    }
  }
  return Nothing{};
}

Status apply_command_line(Options& options, const CommandLine& line) {
  for (const CommandLine::Given& given : line.given) {
    // A list may be given by several options, and with commas in each.
    if (is_list(*given.row)) {
      std::string joined;
      for (const std::string& value : given.values) joined += (joined.empty() ? "" : ",") + value;
      if (const Status status = set_option(options, *given.row, joined); !status) return status;
    } else if (const Status status = set_values(options, *given.row, given.values); !status) {
      return wrong_value(*given.row, option_flag(*given.row), status.error(), given.values);
    }
  }
  return Nothing{};
}

// ---- what single values do not tell ----

// "" and "/" are no base; "base/" is "/base".
std::string normalized_base(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (!path.empty() && path.front() != '/') path.insert(path.begin(), '/');
  return path;
}

Status check_host(Options& options) {
  if (options.host == "localhost") options.host = "127.0.0.1";
  if (options.host == "127.0.0.1" || options.host == "::1") return Nothing{};
  if (!options.authentication()) {
    return wrong("refusing to listen on " + options.host +
                 ": without authentication everybody there could do everything; use --host "
                 "127.0.0.1, ::1 or localhost, or configure authentication "
                 "(docs/configuration.md)");
  }
  net::error_code error;
  net::asio::ip::make_address(options.host, error);
  if (error) {
    return wrong("--host must be an address such as 0.0.0.0 or ::, not '" + options.host + "'");
  }
  return Nothing{};
}

Status check_storage(const Options& options) {
  if (!options.no_persist) return Nothing{};
  for (const auto& [flag, directory] : {std::pair{"--archive", &options.archive_directory},
                                        std::pair{"--backup", &options.backup_directory}}) {
    if (!directory->empty()) {
      return wrong(std::string(flag) + " has no meaning together with --no-persist: leave one out");
    }
  }
  return Nothing{};
}

// The first line of a file, for what should not stand on a command line.
Status read_secret(const std::filesystem::path& path, const std::string& flag, std::string& text) {
  std::ifstream file(path);
  if (!file) return wrong(flag + ": cannot read " + path.string());
  std::getline(file, text);
  if (!text.empty() && text.back() == '\r') text.pop_back();
  if (text.empty()) return wrong(flag + ": the first line of " + path.string() + " is empty");
  return Nothing{};
}

Status check_authentication(Options& options) {
  if (!options.system_password_file.empty()) {
    if (!options.system_password.empty()) {
      return wrong("--system-password and --system-password-file: give one of them");
    }
    const Status status = read_secret(options.system_password_file, "--system-password-file",
                                      options.system_password);
    if (!status) return status;
  }
  if (!options.anonymous_user.empty()) {
    if (const auto user = anonymous_user(options); !user) return user.error();
  }
  if (!options.rules.empty() && !options.authentication()) {
    return wrong(
        "there are [[rules]], but no authentication: everybody may do everything; configure "
        "authentication (docs/configuration.md) or remove the rules");
  }
  return Nothing{};
}

// After check_authentication has read the password.
Status check_join(const Options& options) {
  if (options.join.empty()) return Nothing{};
  if (!options.has_system_account()) {
    return wrong("--join needs --system-password: brokers know each other by it");
  }
  for (const std::string& address : options.join) {
    const auto parsed = native::parse_server_address(address);
    if (!parsed) return wrong("--join: '" + address + "': " + parsed.error().text);
  }
  return Nothing{};
}

Status check(Options& options) {
  options.base_path = normalized_base(options.base_path);
  if (!options.web_directory.empty() && !std::filesystem::is_directory(options.web_directory)) {
    return wrong("--web: there is no directory " + options.web_directory.string());
  }
  if (options.max_queue_bytes / 4 <= options.max_payload_bytes) {
    return wrong("--max-queue must be more than 4 times --max-payload");
  }
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return wrong("--tls-certificate and --tls-key belong together: give both or none");
  }
  if (const Status status = check_storage(options); !status) return status;
  if (const Status status = check_authentication(options); !status) return status;
  if (const Status status = check_join(options); !status) return status;
  return check_host(options);
}

Status load(Options& options, const CommandLine& line) {
  options.shards = std::clamp(std::thread::hardware_concurrency(), 1u, max_default_shards);
  if (!line.config_file.empty()) {
    if (const Status status = apply_file(options, line.config_file); !status) return status;
  }
  if (const Status status = apply_environment(options); !status) return status;
  if (const Status status = apply_command_line(options, line); !status) return status;
  return check(options);
}

// That the files which the options name can be used.
Status check_files(const Options& options) {
  net::asio::io_context context;
  const auto authenticator = Authenticator::open(options, context);
  if (!authenticator) return authenticator.error();
  const auto origins = auth::OriginPolicy::make(origin_options(options));
  if (!origins) return wrong("--origins: " + origins.error().text);
  if (options.tls()) {
    const auto tls = net::TlsContext::load(options.tls_certificate, options.tls_key);
    if (!tls) return tls.error();
  }
  return Nothing{};
}

}  // namespace

Result<Value> anonymous_user(const Options& options) {
  const Result<Value> user = decode_json(options.anonymous_user);
  const Error not_a_user = wrong(
      "--anonymous-user must be {\"account_id\":\"...\"}, {\"project_id\":\"...\"} or "
      "{\"hub_id\":\"...\"}, not '" +
      options.anonymous_user + "'");
  if (!user || user->if_map() == nullptr || user->if_map()->size() != 1) return not_a_user;
  // Whoever may do nothing at all is no user.
  if (!Authorization(*user).may_publish("_INBOX.x")) return not_a_user;
  return *user;
}

std::size_t connections_per_user(const Options& options) {
  if (options.max_connections_per_user != Options::usual) return options.max_connections_per_user;
  return options.authentication() ? limits::max_connections_per_user : 0;
}

ParsedOptions parse_options(int argc, const char* const* argv) {
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return {std::nullopt, *line.exit_code};
  if (line.command == CommandLine::Command::print_markdown) {
    std::fputs(options_markdown().c_str(), stdout);
    return {std::nullopt, 0};
  }
  if (line.command == CommandLine::Command::hash_password) {
    return {std::nullopt, hash_password(line)};
  }
  Options options;
  if (const Status status = load(options, line); !status) {
    std::fprintf(stderr, "conatd: %s\n", status.error().text.c_str());
    return {std::nullopt, exit_cannot_start};
  }
  if (line.command == CommandLine::Command::check_config) {
    if (const Status status = check_files(options); !status) {
      std::fprintf(stderr, "conatd: %s\n", status.error().text.c_str());
      return {std::nullopt, exit_cannot_start};
    }
    std::printf("%s: no errors\n", line.config_file.c_str());
    return {std::nullopt, 0};
  }
  return {std::move(options), 0};
}

}  // namespace conat::server
