#include "cli/options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

constexpr const char* kFooter =
    R"(Values are JSON if they parse as JSON, else text; '-' reads the value from standard input.
A value that starts with a dash goes behind '--'.

Examples:
  conat sub 'news.*'
  conat pub news.today '{"title":"It works"}'
  date | conat pub clock -
  conat reply double --command 'jq ". * 2"'
  conat request double 21
  conat sub jobs --queue workers --count 10 --json
  conat interest news.today --wait
  conat kv set board note-1 '{"text":"Hello"}'
  conat kv watch board

Exit codes: 0 done; 1 error, also when the server cannot be reached; 2 wrong usage; 3 no answer in
time, or nobody subscribed.)";

// What CLI11 fills in, before it is checked.
struct Raw {
  Options options;
  std::string server;
  double timeout_seconds = 10;
  std::string value;
  std::string auth;
  std::string headers;
  std::string account;
  std::string project;
};

void add_global_options(CLI::App& app, Raw& raw) {
  app.add_option("-s,--server", raw.server, "Address of the server, http(s)://host:port/base")
      ->envname("CONAT_SERVER")
      ->default_val("http://127.0.0.1:8080");
  app.add_option("-t,--timeout", raw.timeout_seconds,
                 "Seconds to wait for the connection, and then for the answer")
      ->default_val(10);
  app.add_flag("-j,--json", raw.options.json, "Print JSON, one value per line");
  app.add_option("--auth", raw.auth, "JSON object that tells the server who you are")
      ->envname("CONAT_AUTH");
  app.add_flag("--text-packets", raw.options.text_packets,
               "Speak Socket.IO's default encoding (for servers without MessagePack)");
  app.set_version_flag("--version", CONAT_VERSION);
}

CLI::App* add_command(CLI::App& parent, Raw& raw, Command command, const char* name,
                      const char* description) {
  CLI::App* added = parent.add_subcommand(name, description);
  added->callback([&raw, command] { raw.options.command = command; });
  added->fallthrough();
  return added;
}

void add_messaging_commands(CLI::App& app, Raw& raw) {
  Options& options = raw.options;
  CLI::App* pub = add_command(app, raw, Command::publish, "pub", "Publish one message");
  pub->add_option("SUBJECT", options.subject)->required();
  pub->add_option("VALUE", raw.value, "JSON or text; '-' for standard input; null if missing");
  pub->add_option("--headers", raw.headers, "JSON object of headers");
  pub->add_flag("--wait", options.wait, "Wait until somebody subscribes");

  CLI::App* sub = add_command(app, raw, Command::subscribe, "sub", "Print messages as they come");
  sub->add_option("PATTERN", options.subject, "'*' matches one token, a last '>' the rest")
      ->required();
  sub->add_option("-n,--count", options.count, "End after so many messages");
  sub->add_option("-q,--queue", options.queue, "Queue group: each message goes to one member");

  CLI::App* request = add_command(app, raw, Command::request, "request", "Ask, print the answer");
  request->add_option("SUBJECT", options.subject)->required();
  request->add_option("VALUE", raw.value, "As for pub");
  request->add_option("--headers", raw.headers, "JSON object of headers");
  request->add_flag("--wait", options.wait, "Wait until somebody subscribes");
  request->add_flag("--many", options.many, "Print answers until null, or silence for --timeout");

  CLI::App* reply = add_command(app, raw, Command::reply, "reply", "Answer requests");
  reply->add_option("SUBJECT", options.subject, "A pattern works too")->required();
  CLI::Option* echo = reply->add_flag("--echo", options.echo, "Answer with what was asked");
  reply
      ->add_option("--command", options.shell_command,
                   "Run by the shell for each request: the value on its standard input, the "
                   "subject in $CONAT_SUBJECT, its output is the answer")
      ->excludes(echo);
  reply->add_option("-q,--queue", options.queue, "Queue group")->default_val("0");
  reply->add_option("-n,--count", options.count, "End after so many requests");

  CLI::App* interest =
      add_command(app, raw, Command::interest, "interest", "Is anybody subscribed? (exit code)");
  interest->add_option("SUBJECT", options.subject)->required();
  interest->add_flag("--wait", options.wait, "Wait for it, up to --timeout");
}

void add_kv_commands(CLI::App& app, Raw& raw) {
  Options& options = raw.options;
  CLI::App* kv = app.add_subcommand("kv", "Key-value stores");
  kv->require_subcommand(1);
  kv->fallthrough();
  kv->add_option("--account", raw.account, "The store of this account, not of the hub");
  kv->add_option("--project", raw.project, "The store of this project, not of the hub");
  kv->add_flag("--ephemeral", options.ephemeral, "A store in the server's memory");

  CLI::App* get = add_command(*kv, raw, Command::kv_get, "get", "Print a value");
  CLI::App* set = add_command(*kv, raw, Command::kv_set, "set", "Set a value and save it");
  CLI::App* erase = add_command(*kv, raw, Command::kv_delete, "delete", "Delete a key");
  CLI::App* list = add_command(*kv, raw, Command::kv_list, "ls", "Print all keys and values");
  CLI::App* watch = add_command(*kv, raw, Command::kv_watch, "watch", "Print changes as they come");
  for (CLI::App* command : {get, set, erase, list, watch}) {
    command->add_option("NAME", options.store, "Name of the store")->required();
  }
  for (CLI::App* command : {get, set, erase}) {
    command->add_option("KEY", options.key)->required();
  }
  watch->add_option("KEY", options.key, "Only this key");
  watch->add_option("-n,--count", options.count, "End after so many changes");
  set->add_option("VALUE", raw.value, "As for pub")->required();
}

std::optional<std::string> parse_json_option(const std::string& text, const char* name,
                                             Value& target) {
  if (text.empty()) return std::nullopt;
  Result<Value> value = decode_json(text);
  if (!value.ok() || value->if_map() == nullptr) {
    return std::string(name) + " must be a JSON object";
  }
  target = *std::move(value);
  return std::nullopt;
}

// What CLI11 cannot check; the text of what is wrong, if anything is.
std::optional<std::string> check(Raw& raw, bool has_value) {
  Options& options = raw.options;
  Result<native::ServerAddress> server = native::parse_server_address(raw.server);
  if (!server.ok()) return server.error().text;
  options.server = *std::move(server);
  if (!(raw.timeout_seconds > 0) || raw.timeout_seconds > 1e6) {
    return "--timeout must be a positive number of seconds";
  }
  options.timeout_ms = static_cast<std::int64_t>(raw.timeout_seconds * 1000);
  if (options.timeout_ms == 0) options.timeout_ms = 1;
  if (auto error = parse_json_option(raw.auth, "--auth", options.auth)) return error;
  if (auto error = parse_json_option(raw.headers, "--headers", options.headers)) return error;
  if (options.command == Command::reply && !options.echo && options.shell_command.empty()) {
    return "reply needs --echo or --command";
  }
  if (!raw.account.empty() && !raw.project.empty()) {
    return "--account and --project exclude each other";
  }
  options.path = "hub/" + options.store;
  if (!raw.account.empty()) {
    options.scope = "account-" + raw.account;
    options.path = "accounts/" + raw.account + "/" + options.store;
  } else if (!raw.project.empty()) {
    options.scope = "project-" + raw.project;
    options.path = "projects/" + raw.project + "/" + options.store;
  }
  if (has_value) options.value = raw.value;
  return std::nullopt;
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
  CLI::App app("Messages and key-value stores of a Conat server", "conat");
  app.require_subcommand(1);
  app.footer(kFooter);
  app.option_defaults()->always_capture_default(false);
  Raw raw;
  add_global_options(app, raw);
  add_messaging_commands(app, raw);
  add_kv_commands(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? exit_ok : exit_usage};
  }
  if (const std::optional<std::string> wrong = check(raw, has_value(app))) {
    std::fprintf(stderr, "conat: %s\n", wrong->c_str());
    return {std::nullopt, exit_usage};
  }
  return {std::move(raw.options), exit_ok};
}

}  // namespace conat::cli
